//! Opens a ledger for writing: locks it, identifies it, creates or migrates it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use engine::ports::LedgerError;
use model::{LedgerId, Timestamp};
use rusqlite::{Connection, ErrorCode, named_params};

use crate::error::{display_path, from_io, from_sqlite};
use crate::lock::Lock;
use crate::schema::{self, DatabaseKind};
use crate::{connection, values};

/// The mode of a new ledger: the service's group may read it, so that its members can run `gleaner status`.
const FILE_MODE: u32 = 0o640;

/// The mode of a folder that gleaner creates for the ledger.
const FOLDER_MODE: u32 = 0o750;

/// The content of a new ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// The id of a new ledger. The id of a lost ledger lets gleaner continue with the files that it left
    /// withdrawn on the devices and staged in the store; `None` makes a random id. An existing ledger keeps
    /// its own id.
    pub create_with: Option<LedgerId>,
    /// The present time, which a new ledger records.
    pub at: Timestamp,
}

/// A ledger that no other process writes.
pub(crate) struct OpenLedger {
    /// The path of the ledger, with symbolic links resolved.
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    /// `None` for a ledger in memory, which no other process can open.
    pub(crate) lock: Option<Lock>,
    pub(crate) id: LedgerId,
    /// Whether this call created it.
    pub(crate) is_new: bool,
}

/// Opens the ledger at `path` for writing; creates it and its folder if needed.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<OpenLedger, LedgerError> {
    let path = resolve(path).map_err(|error| from_io(&error, "create the folder of", path))?;
    let lock = Lock::take(&path, FILE_MODE)?;
    create_file(&path).map_err(|error| from_io(&error, "create", &path))?;
    let kind = identify_file(&path)?;
    let opening = |error: &rusqlite::Error| from_sqlite(error, "open", &path);
    match kind {
        DatabaseKind::Foreign => return Err(foreign_error(&path)),
        DatabaseKind::Ledger(found) if found > schema::VERSION => return Err(newer_error(&path, found)),
        DatabaseKind::Ledger(_) | DatabaseKind::Empty => {}
    }
    let mut connection = connection::open_writable(&path).map_err(|error| opening(&error))?;
    let journal = connection::set_durable(&connection).map_err(|error| opening(&error))?;
    if journal != "wal" {
        return Err(LedgerError::Failed {
            location: display_path(&path),
            operation: "open",
            reason:
                "its file system lacks the shared memory that SQLite's log needs (is it a network mount?)"
                    .into(),
        });
    }
    match kind {
        DatabaseKind::Ledger(found) => {
            schema::migrate(&mut connection, found).map_err(|error| from_sqlite(&error, "migrate", &path))?;
        }
        DatabaseKind::Empty | DatabaseKind::Foreign => create(&mut connection, options, &path)?,
    }
    let id = values::ledger_id(&connection).map_err(|error| opening(&error))?;
    Ok(OpenLedger {
        path,
        connection,
        lock: Some(lock),
        id,
        is_new: kind == DatabaseKind::Empty,
    })
}

/// Whether a ledger, or another file with content, exists at `path`. An empty file is no ledger: a crash
/// while a ledger is created leaves one.
pub(crate) fn exists(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(file) => file.len() > 0,
        // `open` reports any other error.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Creates a ledger in memory that names `path` in its errors; does not touch `path`.
pub(crate) fn in_memory(path: &Path, options: &OpenOptions) -> Result<OpenLedger, LedgerError> {
    let opening = |error: &rusqlite::Error| from_sqlite(error, "open", path);
    let mut connection = connection::open_in_memory().map_err(|error| opening(&error))?;
    create(&mut connection, options, path)?;
    let id = values::ledger_id(&connection).map_err(|error| opening(&error))?;
    Ok(OpenLedger {
        path: path.to_owned(),
        connection,
        lock: None,
        id,
        is_new: true,
    })
}

/// Creates the folder and resolves symbolic links, so that one ledger has one lock.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("the path does not name a file"));
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    create_folder(folder)?;
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fs::canonicalize(folder)?.join(name)),
        Err(error) => Err(error),
    }
}

/// Creates the folder and its parents, each durable before the next: a crash leaves some of the outer ones.
fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = folder.parent().ok_or(error)?;
            create_folder(above)?;
            DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
        }
        Err(error) => return Err(error),
    }
    // The umask may have removed the group's permissions.
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    flush_folder_of(folder)
}

fn flush_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Creates an empty file unless one exists. SQLite copies its owner and mode to the files that it creates
/// beside it.
fn create_file(path: &Path) -> io::Result<()> {
    let created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    match created {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            flush_folder_of(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Identifies the file by a connection that cannot write: the file of another program stays unchanged.
fn identify_file(path: &Path) -> Result<DatabaseKind, LedgerError> {
    let kind = connection::open_read_only(path).and_then(|connection| schema::identify(&connection));
    let kind = match kind {
        // A process died within a transaction. The next connection that may write rolls it back, as SQLite
        // always does.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            connection::open_writable(path).and_then(|connection| schema::identify(&connection))
        }
        kind => kind,
    };
    kind.map_err(|error| from_sqlite(&error, "open", path))
}

fn create(connection: &mut Connection, options: &OpenOptions, path: &Path) -> Result<(), LedgerError> {
    let id = match &options.create_with {
        Some(id) => id.clone(),
        None => random_id().map_err(|error| from_io(&error, "make a random id for", path))?,
    };
    let fill = |connection: &Connection| {
        let row = named_params! { ":id": id.as_str(), ":created": options.at.nanoseconds() };
        connection
            .execute(include_str!("sql/write/ledger.sql"), row)
            .map(drop)
    };
    schema::create(connection, fill).map_err(|error| from_sqlite(&error, "create", path))
}

/// Sixteen random hexadecimal digits: with a thousand ledgers, the probability that two are equal is 1 in
/// 10^13.
fn random_id() -> io::Result<LedgerId> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    LedgerId::new(format!("{:016x}", u64::from_ne_bytes(bytes)))
        .ok_or_else(|| io::Error::other("the random digits do not form an id"))
}

pub(crate) fn foreign_error(path: &Path) -> LedgerError {
    LedgerError::Damaged {
        location: display_path(path),
        reason: "it is the database of another program".into(),
    }
}

pub(crate) fn newer_error(path: &Path, found: i64) -> LedgerError {
    LedgerError::NewerSchema {
        location: display_path(path),
        found,
        known: schema::VERSION,
    }
}
