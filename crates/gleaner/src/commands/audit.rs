//! `gleaner audit`: re-reads every stored copy and compares it with the ledger. Changes nothing, except that
//! `--quarantine` moves bad copies aside.

mod compare;
mod json;
mod progress;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ports::History;
use ledger::Reader;
use model::{Amount, RelativePath, StoreId};
use storage::audit::WalkError;
use storage::disk::EntryKind;
use storage::{DirectoryStore, Executor, StoreFolder, StoreSettings, SystemDisk};

use crate::cli;
use crate::commands::{Context, run, status};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;
use crate::wiring::{SystemClock, store_failure};

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
    let mut audit = Audit {
        quarantine: arguments
            .quarantine
            .then(|| Quarantine::open(&store, &*reader, &config))
            .transpose()?,
        store,
        reader,
        quarantined_before: quarantine_folders(&config),
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
    audit.compare(report, context.output)?;
    audit.find_unknown_files(report, context.output)?;
    report.end(&audit.totals, context.output)?;
    Ok(audit.totals.status())
}

fn open_store(config: &Config, expected: Option<&StoreId>) -> Result<StoreFolder<SystemDisk>, Failure> {
    StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, expected).map_err(store_failure)
}

/// The quarantine folders of earlier audits, latest first.
fn quarantine_folders(config: &Config) -> Vec<PathBuf> {
    let numbered = |entry: std::fs::DirEntry| {
        let number: u64 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path()))
    };
    // If the folder cannot be listed, only a hint is lost.
    let entries = std::fs::read_dir(config.store.path.join(".gleaner/quarantine"));
    let mut folders: Vec<(u64, PathBuf)> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(numbered)
        .collect();
    folders.sort_by(|one, other| other.cmp(one));
    folders.into_iter().map(|(_, path)| path).collect()
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
    fn unlisted(&mut self, error: &WalkError, output: &mut Output) -> io::Result<()>;

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

/// One audit.
struct Audit {
    store: StoreFolder<SystemDisk>,
    reader: Box<dyn History>,
    quarantine: Option<Quarantine>,
    quarantined_before: Vec<PathBuf>,
    lists_unknown: bool,
    totals: Totals,
    /// A hash of eight bytes for each name in the ledger. A collision would only hide an unknown file.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl Audit {
    fn compare(&mut self, report: &mut dyn AuditReport, output: &mut Output) -> Result<(), Failure> {
        let bar = progress::Bar::over(expected(&*self.reader)?);
        let mut copies = compare::by_name(self.reader.stored_copies());
        loop {
            let batch = compare::next_batch(&mut copies).map_err(status::unreadable)?;
            if batch.is_empty() {
                break;
            }
            for compared in compare::all(&self.store, &batch, &bar) {
                self.known
                    .insert(self.hasher.hash_one(compared.copy.store_name.as_bytes()));
                self.totals.add(&compared);
                if compared.comparison == Comparison::Sound {
                    continue;
                }
                let name = &compared.copy.store_name;
                let moved = match &self.quarantine {
                    Some(quarantine) if compared.comparison.is_bad_copy() => Some(quarantine.move_copy(name)),
                    _ if compared.comparison == Comparison::Missing => self.find_earlier_quarantine(name),
                    _ => None,
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

    fn find_earlier_quarantine(&self, name: &RelativePath) -> Option<QuarantineResult> {
        let relative = Path::new(OsStr::from_bytes(name.as_bytes()));
        let is_there = |folder: &&PathBuf| folder.join(relative).symlink_metadata().is_ok();
        let number = self.quarantined_before.iter().find(is_there)?.file_name()?;
        let number = number.to_string_lossy();
        Some(QuarantineResult::MovedEarlier(format!(
            ".gleaner/quarantine/{number}/{name}"
        )))
    }

    /// Files that are not in the ledger are not an error: other programs may use the store too.
    fn find_unknown_files(
        &mut self,
        report: &mut dyn AuditReport,
        output: &mut Output,
    ) -> Result<(), Failure> {
        for entry in self.store.walk() {
            match entry {
                Ok(entry) if entry.kind != EntryKind::File => {}
                Ok(entry) if self.known.contains(&self.hasher.hash_one(entry.name.as_bytes())) => {}
                Ok(entry) => {
                    self.totals.unknown = self.totals.unknown.plus(Amount::of_file(entry.size));
                    if self.lists_unknown {
                        report.unknown(&entry.name, entry.size, output)?;
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

/// Moves bad copies into the control folder.
struct Quarantine {
    store: DirectoryStore<SystemDisk>,
    runtime: tokio::runtime::Runtime,
}

impl Quarantine {
    fn open(store: &StoreFolder<SystemDisk>, reader: &dyn History, config: &Config) -> Result<Self, Failure> {
        let settings = StoreSettings {
            ledger: reader.id().clone(),
            min_free: config.store.min_free,
            file_mode: config.store.file_mode,
            dir_mode: config.store.dir_mode,
            range_length: engine::ports::store::RANGE_LENGTH,
            executor: Executor::inline(),
            clock: Arc::new(SystemClock),
        };
        Ok(Self {
            store: DirectoryStore::open(store.clone(), settings).map_err(store_failure)?,
            runtime: run::runtime()?,
        })
    }

    fn move_copy(&self, name: &RelativePath) -> QuarantineResult {
        use engine::ports::Store as _;
        match self.runtime.block_on(self.store.quarantine(name)) {
            Ok(()) => QuarantineResult::Moved,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                QuarantineResult::Failed(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }
}
