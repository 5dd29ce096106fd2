//! Read access to the ledger for `status`, `files` and `audit`, also while another gleaner writes it.
//!
//! A reader never blocks the writer and never waits for it. Each query is a short transaction, and long lists
//! are read page by page, so that SQLite's log does not grow while a terminal is slow. A list contains each
//! row that exists from its beginning to its end exactly once; it may or may not contain a row that changes
//! meanwhile.

mod devices;
mod files;

use std::path::{Path, PathBuf};

use engine::ports::{LedgerError, RemainingFile};
use model::{DeviceName, LedgerId, StoreId, Timestamp};
use rusqlite::{Connection, ErrorCode};

use crate::error::{display_path, from_io, from_sqlite};
use crate::schema::{self, DatabaseKind};
use crate::{connection, names, open, remaining, values};

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
    /// Opens the ledger at `path`; neither creates nor changes it.
    ///
    /// Needs read permission for the ledger and the files beside it; the folder need not be writable.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let (connection, found) = open_existing(path)?;
        if found < schema::VERSION {
            return Err(ReadError::OlderSchema {
                path: display_path(path),
                found,
            });
        }
        let opening = |error: &rusqlite::Error| from_sqlite(error, "open", path);
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

    /// The store that the ledger was bound to when it was opened; `None` if it was never bound.
    pub fn store(&self) -> Option<&StoreId> {
        self.store.as_ref()
    }

    /// The status of every device, ordered by name. `now` decides which day is today (in UTC).
    pub fn devices(&self, now: Timestamp) -> Result<Vec<DeviceStatus>, ReadError> {
        self.query(|ledger| devices::all(ledger, now))
    }

    /// The status of one device; `None` if it was never visited. `now` decides which day is today (in UTC).
    pub fn device(&self, name: &DeviceName, now: Timestamp) -> Result<Option<DeviceStatus>, ReadError> {
        self.query(|ledger| devices::one(ledger, name, now))
    }

    /// The newest `limit` passes over a device, newest first.
    pub fn passes(&self, device: &DeviceName, limit: usize) -> Result<Vec<PassSummary>, ReadError> {
        self.query(|ledger| match names::known_device(ledger, device)? {
            Some(device) => devices::passes(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    /// The first `limit` files that the last complete survey left on a device, oldest first within a reason.
    pub fn remaining(&self, device: &DeviceName, limit: usize) -> Result<Vec<RemainingFile>, ReadError> {
        self.query(|ledger| match names::known_device(ledger, device)? {
            Some(device) => remaining::files(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    /// The recorded files that pass the filter, by device and source, oldest first. Reads a page at a time,
    /// so that memory is bounded.
    pub fn files(&self, filter: FileFilter) -> Result<Files<'_>, ReadError> {
        Files::new(self, filter)
    }

    /// Every recorded copy in the store, ordered by name, each name and content once. Reads a page at a time,
    /// so that memory is bounded.
    pub fn stored_copies(&self) -> StoredCopies<'_> {
        StoredCopies::new(self)
    }

    /// Runs one query in a transaction of its own.
    fn query<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let run = || {
            let transaction = self.connection.unchecked_transaction()?;
            query(&transaction)
        };
        run().map_err(|error| from_sqlite(&error, "read", &self.path).into())
    }
}

/// Opens the ledger at `path` for reading, of this or an older schema, whose version it returns.
pub(crate) fn open_existing(path: &Path) -> Result<(Connection, i64), ReadError> {
    let missing = || ReadError::Missing {
        path: display_path(path),
    };
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => {}
        Ok(_) => return Err(missing()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(from_io(&error, "open", path).into()),
    }
    let (connection, kind) = connect(path).map_err(|error| from_sqlite(&error, "open", path))?;
    match kind {
        DatabaseKind::Ledger(found) if found > schema::VERSION => Err(open::newer_error(path, found).into()),
        DatabaseKind::Ledger(found) => Ok((connection, found)),
        DatabaseKind::Empty => Err(missing()),
        DatabaseKind::Foreign => Err(open::foreign_error(path).into()),
    }
}

/// Connects and identifies the file. If SQLite's log is missing and the process may not create one, the
/// ledger was closed in order (or is a copy): then the file alone is complete, and is read without locks.
fn connect(path: &Path) -> rusqlite::Result<(Connection, DatabaseKind)> {
    let identify = |connection: Connection| schema::identify(&connection).map(|kind| (connection, kind));
    let lacks_log = |error: &rusqlite::Error| {
        let refused = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        );
        refused && !has_log(path)
    };
    match connection::open_read_only(path).and_then(identify) {
        Err(error) if lacks_log(&error) => connection::open_immutable(path).and_then(identify),
        connected => connected,
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // If the check fails, the log may exist.
    Path::new(&log).try_exists().unwrap_or(true)
}

/// Why the ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file does not exist or is empty.
    #[error("there is no ledger at {path} yet")]
    Missing {
        /// The path, escaped.
        path: String,
    },
    /// An older gleaner wrote the ledger; only a gleaner that opens it for writing can migrate it.
    #[error("the ledger {path} has schema {found}, written by an older gleaner")]
    OlderSchema {
        /// The path, escaped.
        path: String,
        /// The schema of the ledger.
        found: i64,
    },
    /// An error that a writer can have, too.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ReadError {
    /// What the operator can do about the error.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "the first `gleaner run` creates it; if there was a ledger, check `ledger.path`"
            }
            Self::OlderSchema { .. } => "run `gleaner run` once with this version; it migrates the ledger",
            Self::Ledger(LedgerError::Failed { .. }) => {
                "check that you may read the ledger and the -wal and -shm files beside it: the service's group may"
            }
            Self::Ledger(error) => crate::remedy(error),
        }
    }
}
