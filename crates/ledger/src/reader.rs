//! The ledger as others see it: `status`, `files` and `audit` read it beside a gleaner that is at work.
//!
//! A reader never blocks the writer and never waits for it: every question is a short transaction of its own, and long lists come
//! in pages, so that SQLite's log does not grow behind a slow terminal. What changes while a list is read may or may not be
//! in it; what was there before and stays is in it once.

mod devices;
mod files;

use std::path::{Path, PathBuf};

use engine::ports::{LedgerError, RemainingFile};
use model::{DeviceName, LedgerId, StoreId, Timestamp};
use rusqlite::{Connection, ErrorCode};

use crate::fault::{shown, translated};
use crate::schema::{self, Kind};
use crate::{connection, names, opening, remaining, values};

pub use devices::{DeviceStatus, PassSummary, StateTotals};
pub use files::{FileFilter, FileRow, Files, StoredCopies, StoredCopy};

#[cfg(test)]
pub(crate) use files::{FILES, FILES_UNRELEASED, STORED_COPIES};

/// A ledger, open for reading only.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    id: LedgerId,
    store: Option<StoreId>,
}

impl Reader {
    /// Opens the ledger at `path`; makes none, and changes nothing in it.
    ///
    /// Read permission for the file and those beside it is enough: the folder need not be writable.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let opening = |error: &rusqlite::Error| translated(error, "open", path);
        match std::fs::metadata(path) {
            Ok(file) if file.len() > 0 => {}
            Ok(_) => return Err(ReadError::Missing { path: shown(path) }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ReadError::Missing { path: shown(path) });
            }
            Err(error) => return Err(crate::fault::refused(&error, "open", path).into()),
        }
        let (connection, kind) = connected(path).map_err(|error| opening(&error))?;
        match kind {
            Kind::Ledger(schema::VERSION) => {}
            Kind::Ledger(found) if found > schema::VERSION => return Err(opening::newer(path, found).into()),
            Kind::Ledger(found) => {
                return Err(ReadError::OlderSchema {
                    path: shown(path),
                    found,
                });
            }
            Kind::Empty => return Err(ReadError::Missing { path: shown(path) }),
            Kind::Foreign => return Err(opening::foreign(path).into()),
        }
        let id = values::ledger_id(&connection).map_err(|error| opening(&error))?;
        let store = values::store_id(&connection).map_err(|error| opening(&error))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            id,
            store,
        })
    }

    /// The ledger's own id.
    pub fn id(&self) -> &LedgerId {
        &self.id
    }

    /// The store that it belonged to when it was opened; `None` before the first.
    pub fn store(&self) -> Option<&StoreId> {
        self.store.as_ref()
    }

    /// What is known of every device, by name. `now` tells which day is today.
    pub fn devices(&self, now: Timestamp) -> Result<Vec<DeviceStatus>, ReadError> {
        self.asked(|ledger| devices::all(ledger, now))
    }

    /// What is known of one device; `None` if it was never visited.
    pub fn device(&self, name: &DeviceName, now: Timestamp) -> Result<Option<DeviceStatus>, ReadError> {
        self.asked(|ledger| devices::one(ledger, name, now))
    }

    /// The newest passes over a device, newest first.
    pub fn passes(&self, device: &DeviceName, limit: usize) -> Result<Vec<PassSummary>, ReadError> {
        self.asked(|ledger| match names::known_device(ledger, device)? {
            Some(device) => devices::passes(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    /// The first of the files that the last survey left on a device, oldest first within a reason.
    pub fn remaining(&self, device: &DeviceName, limit: usize) -> Result<Vec<RemainingFile>, ReadError> {
        self.asked(|ledger| match names::known_device(ledger, device)? {
            Some(device) => remaining::files(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    /// The recorded files that pass the filter, by device and source, oldest first. Memory stays bounded however many they are.
    pub fn files(&self, filter: FileFilter) -> Result<Files<'_>, ReadError> {
        Files::new(self, filter)
    }

    /// Everything that is said to be in the store, by name, each name and content once. Memory stays bounded.
    pub fn stored_copies(&self) -> StoredCopies<'_> {
        StoredCopies::new(self)
    }

    /// Asks one question, in a transaction of its own.
    fn asked<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let answer = || {
            let transaction = self.connection.unchecked_transaction()?;
            question(&transaction)
        };
        answer().map_err(|error| translated(&error, "read", &self.path).into())
    }
}

/// Connects and looks what it is. Where SQLite's log is missing and we may not make one, the ledger was closed in an orderly way (or
/// is a copy): then it is read as it lies.
fn connected(path: &Path) -> rusqlite::Result<(Connection, Kind)> {
    let look = |connection: Connection| schema::kind(&connection).map(|kind| (connection, kind));
    let lacks_log = |error: &rusqlite::Error| {
        let refused = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        );
        refused && !has_log(path)
    };
    match connection::reading(path).and_then(look) {
        Err(error) if lacks_log(&error) => connection::reading_as_it_lies(path).and_then(look),
        connected => connected,
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // One that cannot be looked at may be there.
    Path::new(&log).try_exists().unwrap_or(true)
}

/// Why the ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none, or an empty file.
    #[error("there is no ledger at {path} yet")]
    Missing {
        /// Where it was looked for.
        path: String,
    },
    /// It was written by an older gleaner, and only a gleaner that writes may bring it up to date.
    #[error("the ledger {path} has schema {found}, of an older gleaner")]
    OlderSchema {
        /// Which file.
        path: String,
        /// What it has.
        found: i64,
    },
    /// As for a writer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ReadError {
    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "it is made by the first `gleaner run`; if there was one, check `ledger.path`"
            }
            Self::OlderSchema { .. } => {
                "run this gleaner once with `gleaner run`; it brings the ledger up to date"
            }
            Self::Ledger(LedgerError::Failed { .. }) => {
                "check that you may read the ledger and the -wal and -shm beside it: the service's group may"
            }
            Self::Ledger(error) => crate::remedy(error),
        }
    }
}
