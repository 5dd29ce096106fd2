//! A copy of the ledger, taken while a gleaner may be writing it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use engine::ports::HistoryError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode};
use tempfile::NamedTempFile;

use crate::error::{display_path, from_sqlite, read_remedy, reason};
use crate::{connection, reader, values};

/// A finished copy of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// The size of the copy in bytes.
    pub bytes: u64,
    /// The number of rows of files in the copy, whatever their state.
    pub files: u64,
}

/// Copies the ledger at `ledger` to the new file `target`, as it is at one moment between two commits. Blocks
/// on the disk.
///
/// The copy is a single file with mode 0600, of the same schema; an older schema is not migrated. It is
/// checked and flushed before it gets its name, and an existing file is never replaced. The writer is not
/// blocked, but SQLite's log grows until the copy is complete.
///
/// An error leaves no file, except that a copy whose folder cannot be flushed stays: it is complete, but a
/// power cut may remove it.
pub fn backup(ledger: &Path, target: &Path) -> Result<Backup, BackupError> {
    let copier = Copier { ledger, target };
    copier.refuse_existing()?;
    let (source, _schema) = reader::open_existing(ledger)?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Removed at the end, also after an error, with the journal that SQLite may leave in it. A crash leaves
    // the folder; no later backup uses it.
    let work_folder = tempfile::Builder::new()
        .prefix(".gleaner-backup-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(folder)
        .map_err(|error| copier.failed("create", &error))?;
    // Its mode is 0600.
    let copy = NamedTempFile::new_in(work_folder.path()).map_err(|error| copier.failed("create", &error))?;
    let written = copier.write(&source, &copy);
    // Closes all files in the folder before it is removed.
    drop(source);
    written?;
    let files = copier.check(copy.path())?;
    let bytes = copier.flush(copy.as_file())?;
    copier.publish(copy, folder)?;
    Ok(Backup { bytes, files })
}

/// The two paths, for the errors of each step.
struct Copier<'a> {
    ledger: &'a Path,
    target: &'a Path,
}

impl Copier<'_> {
    /// Refuses an existing target before the work; [`Copier::publish`] refuses one that appears meanwhile.
    fn refuse_existing(&self) -> Result<(), BackupError> {
        match fs::symlink_metadata(self.target) {
            Ok(_) => Err(self.exists()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.failed("create", &error)),
        }
    }

    /// Copies the whole ledger within one read transaction. The copy has no log, so it is complete without
    /// other files.
    fn write(&self, source: &Connection, copy: &NamedTempFile) -> Result<(), BackupError> {
        // A path may be any bytes; SQLite passes them on to the system.
        let path = ToSqlOutput::Borrowed(ValueRef::Text(copy.path().as_os_str().as_bytes()));
        source
            .execute("VACUUM INTO ?1", [path])
            .map(drop)
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    HistoryError::from(from_sqlite(&error, "read", self.ledger)).into()
                }
                _ => self.refused("write", reason(&error)),
            })
    }

    /// Reads the copy back. Returns how many files it records.
    fn check(&self, copy: &Path) -> Result<u64, BackupError> {
        let read = |connection: Connection| -> rusqlite::Result<(String, u64)> {
            let result = connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
            let files = "SELECT count(*) AS files FROM file";
            let files = connection.query_row(files, (), |row| values::count(row, "files"))?;
            Ok((result, files))
        };
        let checked = connection::open_read_only(copy).and_then(read);
        match checked {
            Ok((result, files)) if result == "ok" => Ok(files),
            Ok((result, _)) => Err(self.refused("check", result)),
            Err(error) => Err(self.refused("check", reason(&error))),
        }
    }

    /// Flushes the copy. Returns its size in bytes.
    fn flush(&self, copy: &File) -> Result<u64, BackupError> {
        let flush = || {
            copy.sync_all()?;
            Ok(copy.metadata()?.len())
        };
        flush().map_err(|error| self.failed("flush", &error))
    }

    /// Renames the copy to the target, unless that exists, and flushes its folder. A crash before the rename
    /// leaves no target. A crash before the flush ends leaves the complete copy under its name, or no target.
    fn publish(&self, copy: NamedTempFile, folder: &Path) -> Result<(), BackupError> {
        copy.persist_noclobber(self.target).map_err(|refusal| {
            if refusal.error.kind() == io::ErrorKind::AlreadyExists {
                self.exists()
            } else {
                self.failed("rename", &refusal.error)
            }
        })?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| self.failed("flush the folder of", &error))
    }

    fn exists(&self) -> BackupError {
        BackupError::Exists {
            path: display_path(self.target),
        }
    }

    fn failed(&self, operation: &'static str, error: &io::Error) -> BackupError {
        self.refused(operation, error.to_string())
    }

    fn refused(&self, operation: &'static str, reason: String) -> BackupError {
        BackupError::Failed {
            path: display_path(self.target),
            operation,
            reason,
        }
    }
}

/// Why a ledger could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] HistoryError),
    /// The target exists; it was not touched.
    #[error("{path} already exists")]
    Exists {
        /// The path of the target, escaped.
        path: String,
    },
    /// The copy cannot be written, or is not what it must be.
    #[error("failed to {operation} the copy {path}: {reason}")]
    Failed {
        /// The path of the target, escaped.
        path: String,
        /// The step that failed, as a verb.
        operation: &'static str,
        /// The message of the system or of SQLite.
        reason: String,
    },
}

impl BackupError {
    /// What the operator can do about the error.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Ledger(error) => read_remedy(error),
            Self::Exists { .. } => "choose another file name; gleaner never replaces a file with a copy",
            Self::Failed { .. } => {
                "check that the folder of the copy exists, is writable and has room for another ledger"
            }
        }
    }
}
