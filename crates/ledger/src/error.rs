//! Errors of SQLite and of the system as the port's [`LedgerError`].

use std::path::Path;

use engine::ports::{HistoryError, LedgerError};
use model::{FailureClass, escaped};
use rusqlite::ErrorCode;

/// The error of an `operation` on the ledger at `path` that SQLite refused. A value that its column cannot
/// hold counts as damage.
pub(crate) fn from_sqlite(error: &rusqlite::Error, operation: &'static str, path: &Path) -> LedgerError {
    let location = display_path(path);
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => LedgerError::Damaged {
            location,
            reason: format!("it holds an invalid value: {error}"),
        },
        _ => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => LedgerError::Damaged {
                location,
                reason: "the file is not a database".into(),
            },
            Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged {
                location,
                reason: "the database is malformed".into(),
            },
            _ => LedgerError::Failed {
                location,
                operation,
                reason: reason(error),
            },
        },
    }
}

/// The reason of an error that is not damage, as a fragment of a message.
pub(crate) fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".into(),
        Some(ErrorCode::DatabaseBusy) => "another program holds a lock on it".into(),
        _ => error.to_string(),
    }
}

/// The error of an `operation` on the ledger at `path` that the system refused.
pub(crate) fn from_io(error: &std::io::Error, operation: &'static str, path: &Path) -> LedgerError {
    LedgerError::Failed {
        location: display_path(path),
        operation,
        reason: error.to_string(),
    }
}

/// The path, escaped for messages.
pub(crate) fn display_path(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

/// What the operator can do about the error.
pub const fn remedy(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::Busy { .. } => {
            "wait until the other gleaner ends, or stop it; `gleaner status` works while it runs"
        }
        LedgerError::OtherStore { .. } => {
            "check that the right store is mounted; if it was replaced on purpose, run `gleaner store init --replace OLD_ID` with the id that the ledger remembers"
        }
        LedgerError::NewerSchema { .. } => "use the newer gleaner that wrote it",
        LedgerError::Damaged { .. } => {
            "check `ledger.path`; if it names the right file, restore a backup, or move the file and its -wal and -shm away: \
             a new ledger costs time (gleaner compares files with the store again), but no data"
        }
        LedgerError::LeaseLost { .. } => FailureClass::TakenOver.remedy(),
        LedgerError::Failed { .. } => "check that the ledger's folder exists, is writable and is not full",
    }
}

/// What the operator can do about an error of reading.
pub const fn read_remedy(error: &HistoryError) -> &'static str {
    match error {
        HistoryError::Missing { .. } => {
            "the first `gleaner run` creates it; if there was a ledger, check `ledger.path`"
        }
        HistoryError::OlderSchema { .. } => {
            "run `gleaner run` once with this version; it migrates the ledger"
        }
        HistoryError::Ledger(LedgerError::Failed { .. }) => {
            "check that you may read the ledger and the -wal and -shm files beside it: the service's group may"
        }
        HistoryError::Ledger(error) => remedy(error),
    }
}
