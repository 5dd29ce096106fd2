//! What SQLite says, in the words of the port.

use std::path::Path;

use engine::ports::LedgerError;
use model::escaped;
use rusqlite::ErrorCode;

/// What went wrong while `operation` was tried on the ledger at `path`.
pub(crate) fn translated(error: &rusqlite::Error, operation: &'static str, path: &Path) -> LedgerError {
    let path = shown(path);
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => LedgerError::Damaged {
            path,
            reason: format!("it holds a value that cannot be: {error}"),
        },
        _ => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => LedgerError::Damaged {
                path,
                reason: "the file is no database".into(),
            },
            Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged {
                path,
                reason: "the database is malformed".into(),
            },
            Some(ErrorCode::DiskFull) => LedgerError::Failed {
                path,
                operation,
                reason: "the disk is full".into(),
            },
            Some(ErrorCode::DatabaseBusy) => LedgerError::Failed {
                path,
                operation,
                reason: "another program holds a lock on it".into(),
            },
            _ => LedgerError::Failed {
                path,
                operation,
                reason: error.to_string(),
            },
        },
    }
}

/// What the system said while `operation` was tried on the ledger at `path`.
pub(crate) fn refused(error: &std::io::Error, operation: &'static str, path: &Path) -> LedgerError {
    LedgerError::Failed {
        path: shown(path),
        operation,
        reason: error.to_string(),
    }
}

/// A path as it may be shown.
pub(crate) fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

/// What a person can do about it.
pub const fn remedy(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::Busy { .. } => {
            "wait until the other gleaner has ended, or stop it; `gleaner status` works beside it"
        }
        LedgerError::OtherStore { .. } => {
            "check that the right store is mounted; if it was replaced on purpose, run `gleaner store init --replace OLD_ID` with the id that the ledger remembers"
        }
        LedgerError::NewerSchema { .. } => "use the newer gleaner that wrote it",
        LedgerError::Damaged { .. } => {
            "check `ledger.path`; if it is the right file, put back a copy of it, or move it and its -wal and -shm away: \
             a new ledger costs time (files are compared with the store again), but no data"
        }
        LedgerError::Failed { .. } => "check that the folder of the ledger is there, writable and not full",
    }
}
