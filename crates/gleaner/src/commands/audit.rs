//! `gleaner audit`: re-reads every stored copy and compares it with the ledger. Changes nothing, except that
//! `--quarantine` moves bad copies aside.

mod compare;
mod json;
mod progress;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use engine::ports::{History, ListedFile, StoreInspection, Unlisted};
use ledger::Reader;
use model::{Amount, RelativePath, StoreId};
use storage::{DirectoryStore, StoreFolder, SystemDisk, UntouchedStore};
use tokio::sync::mpsc;

use crate::cli;
use crate::commands::{Context, run, status};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::failures::store_failure;
use crate::holding;
use crate::output::Output;
use crate::wiring::{SystemClock, store_settings};

use compare::{CheckedCopy, Comparison};

/// Compares the store with the ledger.
pub fn audit(arguments: &cli::AuditArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let store = open_store(&config, None)?;
    let reader: Box<dyn History> = Box::new(Reader::open(&config.ledger).map_err(status::unreadable)?);
    let store = match reader.store() {
        Some(expected) => open_store(&config, Some(expected))?,
        None => store,
    };
    let holder = holding::holder(&config);
    let mut settings = store_settings(&config, holder.collector_id(reader.id()));
    let runtime = run::runtime()?;
    if arguments.quarantine {
        settings.former_staging =
            holding::former_staging(&store, &holder, reader.id()).map_err(store_failure)?;
        let store = DirectoryStore::open(store, settings).map_err(store_failure)?;
        runtime.block_on(audit_store(&store, &*reader, arguments, context))
    } else {
        let store = UntouchedStore::new(store, settings);
        runtime.block_on(audit_store(&store, &*reader, arguments, context))
    }
}

/// Compares any store with the ledger.
async fn audit_store<S: StoreInspection>(
    store: &S,
    reader: &dyn History,
    arguments: &cli::AuditArgs,
    context: &mut Context<'_>,
) -> Result<ExitStatus, Failure> {
    let mut audit = Audit {
        store,
        reader,
        quarantines: arguments.quarantine,
        lists_unknown: context.global.verbose > 0,
        totals: Totals::default(),
        known: HashSet::new(),
        hasher: RandomState::new(),
    };
    let report: &mut dyn AuditReport = if arguments.json {
        &mut json::JsonReport::default()
    } else {
        &mut text::TextReport {
            lists_unknown: audit.lists_unknown,
        }
    };
    audit.compare(report, context.output).await?;
    audit.find_unknown_files(report, context.output).await?;
    report.end(&audit.totals, context.output)?;
    Ok(audit.totals.status())
}

fn open_store(config: &Config, expected: Option<&StoreId>) -> Result<StoreFolder<SystemDisk>, Failure> {
    StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, expected).map_err(store_failure)
}

/// An output format for the result, written as the audit proceeds.
trait AuditReport {
    /// A stored copy that differs from the ledger. `moved` is the result of the quarantine, if requested.
    fn finding(
        &mut self,
        finding: &CheckedCopy,
        moved: Option<&QuarantineResult>,
        output: &mut Output,
    ) -> io::Result<()>;

    /// A file in the store that is not in the ledger.
    fn unknown(&mut self, name: &RelativePath, size: u64, output: &mut Output) -> io::Result<()>;

    /// A part of the store that could not be searched for such files.
    fn unlisted(&mut self, error: &Unlisted, output: &mut Output) -> io::Result<()>;

    /// The totals.
    fn end(&mut self, totals: &Totals, output: &mut Output) -> io::Result<()>;
}

/// The totals of an audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    sound: Amount,
    missing: Amount,
    different: Amount,
    unreadable: Amount,
    quarantined: Amount,
    unknown: Amount,
    unlisted: u64,
}

impl Totals {
    fn compared(&self) -> Amount {
        self.sound
            .plus(self.missing)
            .plus(self.different)
            .plus(self.unreadable)
    }

    fn status(&self) -> ExitStatus {
        if self.compared() == self.sound {
            ExitStatus::Well
        } else {
            ExitStatus::Partial
        }
    }

    fn add(&mut self, compared: &CheckedCopy) {
        let count = match compared.comparison {
            Comparison::Sound => &mut self.sound,
            Comparison::Missing => &mut self.missing,
            Comparison::Different { .. } => &mut self.different,
            Comparison::Unreadable(_) => &mut self.unreadable,
        };
        *count = count.plus(Amount::of_file(compared.copy.size));
    }
}

/// What happened to a bad copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum QuarantineResult {
    /// It was moved into the control folder.
    Moved,
    /// It could not be moved.
    Failed(String),
    /// It is missing because an earlier audit moved a copy of that name to this path in the store.
    MovedEarlier(String),
}

/// Entries of the listing that wait to be compared with the ledger.
const LISTED_AHEAD: usize = 256;

/// One audit.
struct Audit<'a, S> {
    store: &'a S,
    reader: &'a dyn History,
    quarantines: bool,
    lists_unknown: bool,
    totals: Totals,
    /// A hash of eight bytes for each name in the ledger. A collision would only hide an unknown file.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl<S: StoreInspection> Audit<'_, S> {
    async fn compare(&mut self, report: &mut dyn AuditReport, output: &mut Output) -> Result<(), Failure> {
        let bar = progress::Bar::over(expected(self.reader)?);
        let mut copies = compare::by_name(self.reader.stored_copies());
        loop {
            let batch = compare::next_batch(&mut copies).map_err(status::unreadable)?;
            if batch.is_empty() {
                break;
            }
            for compared in compare::all(self.store, batch, &bar).await {
                self.known
                    .insert(self.hasher.hash_one(compared.copy.store_name.as_bytes()));
                self.totals.add(&compared);
                if compared.comparison == Comparison::Sound {
                    continue;
                }
                let name = &compared.copy.store_name;
                let moved = if self.quarantines && compared.comparison.is_bad_copy() {
                    Some(self.move_copy(name).await)
                } else if compared.comparison == Comparison::Missing {
                    let earlier = self.store.quarantined(name).await;
                    earlier.map(QuarantineResult::MovedEarlier)
                } else {
                    None
                };
                if moved == Some(QuarantineResult::Moved) {
                    self.totals.quarantined =
                        self.totals.quarantined.plus(Amount::of_file(compared.copy.size));
                }
                bar.around(|| report.finding(&compared, moved.as_ref(), output))?;
            }
        }
        bar.finish();
        Ok(())
    }

    async fn move_copy(&self, name: &RelativePath) -> QuarantineResult {
        match self.store.quarantine(name).await {
            Ok(()) => QuarantineResult::Moved,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                QuarantineResult::Failed(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }

    /// Files that are not in the ledger are not an error: other programs may use the store too.
    async fn find_unknown_files(
        &mut self,
        report: &mut dyn AuditReport,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let store = self.store;
        let (sender, listing) = mpsc::channel(LISTED_AHEAD);
        let ((), received) = tokio::join!(store.list(sender), self.receive(listing, report, output));
        received
    }

    /// Owns the listing, so that an error here ends it.
    async fn receive(
        &mut self,
        mut listing: mpsc::Receiver<Result<ListedFile, Unlisted>>,
        report: &mut dyn AuditReport,
        output: &mut Output,
    ) -> Result<(), Failure> {
        while let Some(entry) = listing.recv().await {
            match entry {
                Ok(file) if self.known.contains(&self.hasher.hash_one(file.name.as_bytes())) => {}
                Ok(file) => {
                    self.totals.unknown = self.totals.unknown.plus(Amount::of_file(file.size));
                    if self.lists_unknown {
                        report.unknown(&file.name, file.size, output)?;
                    }
                }
                Err(error) => {
                    self.totals.unlisted += 1;
                    report.unlisted(&error, output)?;
                }
            }
        }
        Ok(())
    }
}

/// The amount to read, estimated from the ledger.
fn expected(reader: &dyn History) -> Result<Amount, Failure> {
    let devices = reader
        .devices(engine::ports::Clock::now(&SystemClock))
        .map_err(status::unreadable)?;
    let all = devices.iter().map(|device| device.totals);
    Ok(all.fold(Amount::default(), |sum, recorded| {
        sum.plus(recorded.stored)
            .plus(recorded.released)
            .plus(recorded.kept)
    }))
}
