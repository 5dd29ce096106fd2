//! `gleaner audit`: reads every stored copy again and compares it with the ledger. Changes nothing, unless bad copies are to be set aside.

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

use ledger::Reader;
use model::{Amount, RelativePath, StoreId};
use storage::audit::WalkError;
use storage::disk::EntryKind;
use storage::{DirectoryStore, Executor, Settings, StoreFolder, SystemDisk};

use crate::cli;
use crate::commands::{Context, run, status};
use crate::config::Config;
use crate::home::{SystemClock, store_failure};
use crate::{ExitStatus, Failure, Output};

use compare::{Compared, Comparison};

/// Compares the store with the ledger.
pub fn audit(arguments: &cli::Audit, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let store = open_store(&config, None)?;
    let reader = Reader::open(&config.ledger).map_err(status::unreadable)?;
    let store = match reader.store() {
        Some(expected) => open_store(&config, Some(expected))?,
        None => store,
    };
    let mut audit = Audit {
        quarantine: arguments
            .quarantine
            .then(|| Quarantine::open(&store, &reader, &config))
            .transpose()?,
        store,
        reader,
        quarantined_before: quarantine_folders(&config),
        lists_unknown: context.global.verbose > 0,
        totals: Totals::default(),
        known: HashSet::new(),
        hasher: RandomState::new(),
    };
    let form: &mut dyn Form = if arguments.json {
        &mut json::Document::default()
    } else {
        &mut text::Lines {
            lists_unknown: audit.lists_unknown,
        }
    };
    audit.compare(form, context.output)?;
    audit.look_for_others(form, context.output)?;
    form.end(&audit.totals, context.output)?;
    Ok(audit.totals.status())
}

fn open_store(config: &Config, expected: Option<&StoreId>) -> Result<StoreFolder<SystemDisk>, Failure> {
    StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, expected).map_err(store_failure)
}

/// The folders into which audits have moved copies, the latest first.
fn quarantine_folders(config: &Config) -> Vec<PathBuf> {
    let numbered = |entry: std::fs::DirEntry| {
        let number: u64 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path()))
    };
    // If it cannot be listed, a hint is missing and nothing else.
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

/// How the outcome is told, as it comes in.
trait Form {
    /// A stored copy that is not as the ledger says; `moved` tells what became of it where bad copies are set aside.
    fn finding(&mut self, finding: &Compared, moved: Option<&Moved>, output: &mut Output) -> io::Result<()>;

    /// A file in the store that the ledger does not know.
    fn unknown(&mut self, name: &RelativePath, size: u64, output: &mut Output) -> io::Result<()>;

    /// A part of the store that could not be looked at for such files.
    fn unlisted(&mut self, error: &WalkError, output: &mut Output) -> io::Result<()>;

    /// What it comes to.
    fn end(&mut self, totals: &Totals, output: &mut Output) -> io::Result<()>;
}

/// What an audit comes to.
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

    fn add(&mut self, compared: &Compared) {
        let count = match compared.comparison {
            Comparison::Sound => &mut self.sound,
            Comparison::Missing => &mut self.missing,
            Comparison::Different { .. } => &mut self.different,
            Comparison::Unreadable(_) => &mut self.unreadable,
        };
        *count = count.plus(one(compared.copy.size));
    }
}

fn one(bytes: u64) -> Amount {
    Amount { files: 1, bytes }
}

/// What became of a bad copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Moved {
    /// It is in the control folder.
    Aside,
    /// It could not be moved.
    Not(String),
    /// It is gone from its place; an earlier audit has put a copy of that name here, in the store.
    Before(String),
}

/// One audit.
struct Audit {
    store: StoreFolder<SystemDisk>,
    reader: Reader,
    quarantine: Option<Quarantine>,
    quarantined_before: Vec<PathBuf>,
    lists_unknown: bool,
    totals: Totals,
    /// Eight bytes for each name in the ledger. Two names with the same hash would hide an unknown file, and harm nothing.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl Audit {
    fn compare(&mut self, form: &mut dyn Form, output: &mut Output) -> Result<(), Failure> {
        let bar = progress::Bar::over(expected(&self.reader)?);
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
                    Some(quarantine) if compared.comparison.is_bad_copy() => Some(quarantine.take(name)),
                    _ if compared.comparison == Comparison::Missing => self.moved_before(name),
                    _ => None,
                };
                if moved == Some(Moved::Aside) {
                    self.totals.quarantined = self.totals.quarantined.plus(one(compared.copy.size));
                }
                bar.around(|| form.finding(&compared, moved.as_ref(), output))?;
            }
        }
        bar.finish();
        Ok(())
    }

    fn moved_before(&self, name: &RelativePath) -> Option<Moved> {
        let relative = Path::new(OsStr::from_bytes(name.as_bytes()));
        let is_there = |folder: &&PathBuf| folder.join(relative).symlink_metadata().is_ok();
        let number = self.quarantined_before.iter().find(is_there)?.file_name()?;
        let number = number.to_string_lossy();
        Some(Moved::Before(format!(".gleaner/quarantine/{number}/{name}")))
    }

    /// Files that the ledger does not know are no fault: others may use the store too.
    fn look_for_others(&mut self, form: &mut dyn Form, output: &mut Output) -> Result<(), Failure> {
        for entry in self.store.walk() {
            match entry {
                Ok(entry) if entry.kind != EntryKind::File => {}
                Ok(entry) if self.known.contains(&self.hasher.hash_one(entry.name.as_bytes())) => {}
                Ok(entry) => {
                    self.totals.unknown = self.totals.unknown.plus(one(entry.size));
                    if self.lists_unknown {
                        form.unknown(&entry.name, entry.size, output)?;
                    }
                }
                Err(error) => {
                    self.totals.unlisted += 1;
                    form.unlisted(&error, output)?;
                }
            }
        }
        Ok(())
    }
}

/// How much there is to read, as far as the ledger can tell at once.
fn expected(reader: &Reader) -> Result<Amount, Failure> {
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

/// Where bad copies are set aside.
struct Quarantine {
    store: DirectoryStore<SystemDisk>,
    runtime: tokio::runtime::Runtime,
}

impl Quarantine {
    fn open(store: &StoreFolder<SystemDisk>, reader: &Reader, config: &Config) -> Result<Self, Failure> {
        let settings = Settings {
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

    fn take(&self, name: &RelativePath) -> Moved {
        use engine::ports::Store as _;
        match self.runtime.block_on(self.store.quarantine(name)) {
            Ok(()) => Moved::Aside,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                Moved::Not(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }
}
