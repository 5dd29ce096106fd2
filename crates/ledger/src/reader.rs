//! The port `History` on SQLite, also while another gleaner writes the ledger.
//!
//! A reader never blocks the writer and never waits for it. Each query is a short transaction, and long lists
//! are read page by page, so that SQLite's log does not grow while a terminal is slow.

mod devices;
mod files;

use std::path::{Path, PathBuf};

use engine::ports::history::{FileRows, StoredCopies};
use engine::ports::{DeviceStatus, FileFilter, History, HistoryError, PastPass, RemainingFile};
use model::{DeviceName, LedgerId, StoreId, Timestamp};
use rusqlite::{Connection, ErrorCode};

use crate::error::{display_path, from_io, from_sqlite};
use crate::schema::{self, DatabaseKind};
use crate::{connection, names, open, remaining, values};

use files::{Copies, Files};

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
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let (connection, found) = open_existing(path)?;
        if found < schema::VERSION {
            return Err(HistoryError::OlderSchema {
                location: display_path(path),
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

    /// Runs one query in a transaction of its own.
    fn query<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, HistoryError> {
        let run = || {
            let transaction = self.connection.unchecked_transaction()?;
            query(&transaction)
        };
        run().map_err(|error| from_sqlite(&error, "read", &self.path).into())
    }
}

impl History for Reader {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    fn store(&self) -> Option<&StoreId> {
        self.store.as_ref()
    }

    fn devices(&self, now: Timestamp) -> Result<Vec<DeviceStatus>, HistoryError> {
        self.query(|ledger| devices::all(ledger, now))
    }

    fn device(&self, name: &DeviceName, now: Timestamp) -> Result<Option<DeviceStatus>, HistoryError> {
        self.query(|ledger| devices::one(ledger, name, now))
    }

    fn passes(&self, device: &DeviceName, limit: usize) -> Result<Vec<PastPass>, HistoryError> {
        self.query(|ledger| match names::known_device(ledger, device)? {
            Some(device) => devices::passes(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    fn remaining(&self, device: &DeviceName, limit: usize) -> Result<Vec<RemainingFile>, HistoryError> {
        self.query(|ledger| match names::known_device(ledger, device)? {
            Some(device) => remaining::files(ledger, device, limit),
            None => Ok(Vec::new()),
        })
    }

    fn files(&self, filter: FileFilter) -> Result<FileRows<'_>, HistoryError> {
        Ok(Box::new(Files::new(self, filter)?))
    }

    fn stored_copies(&self) -> StoredCopies<'_> {
        Box::new(Copies::new(self))
    }
}

/// Opens the ledger at `path` for reading, of this or an older schema, whose version it returns.
pub(crate) fn open_existing(path: &Path) -> Result<(Connection, i64), HistoryError> {
    let missing = || HistoryError::Missing {
        location: display_path(path),
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
