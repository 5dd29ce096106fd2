//! Taking possession of a ledger: lock it, look what it is, make it ours, make it current.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use engine::ports::LedgerError;
use model::{LedgerId, Timestamp};
use rusqlite::{Connection, ErrorCode, named_params};

use crate::fault::{refused, shown, translated};
use crate::lock::Lock;
use crate::schema::{self, Kind};
use crate::{connection, values};

/// Who may read a new ledger: the service's group, so that its members can ask for the status.
const FILE_MODE: u32 = 0o640;

/// Who may enter a folder that is made for it.
const FOLDER_MODE: u32 = 0o750;

/// What a ledger that is not there yet is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// The id of a new ledger: that of one that was lost, to take up what it left withdrawn on the devices and staged in
    /// the store; `None` for a random one. A ledger that is there keeps its own.
    pub create_with: Option<LedgerId>,
    /// The present time, which a new ledger notes.
    pub at: Timestamp,
}

/// A ledger that nobody else writes.
pub(crate) struct Opened {
    /// Where it lies, symbolic links resolved.
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    /// None for what is in memory: nobody else can get at it.
    pub(crate) lock: Option<Lock>,
    pub(crate) id: LedgerId,
    /// Whether it was made just now.
    pub(crate) is_new: bool,
}

/// Opens the ledger at `path` for writing; makes it, and its folder, if it is not there.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Opened, LedgerError> {
    let path = resolved(path).map_err(|error| refused(&error, "make the folder of", path))?;
    let lock = Lock::take(&path, FILE_MODE)?;
    create_file(&path).map_err(|error| refused(&error, "create", &path))?;
    let kind = look(&path)?;
    let opening = |error: &rusqlite::Error| translated(error, "open", &path);
    match kind {
        Kind::Foreign => return Err(foreign(&path)),
        Kind::Ledger(found) if found > schema::VERSION => return Err(newer(&path, found)),
        Kind::Ledger(_) | Kind::Empty => {}
    }
    let mut connection = connection::writing(&path).map_err(|error| opening(&error))?;
    let journal = connection::set_durable(&connection).map_err(|error| opening(&error))?;
    if journal != "wal" {
        return Err(LedgerError::Failed {
            path: shown(&path),
            operation: "open",
            reason: "its file system has no shared memory for SQLite's log (is it a network mount?)".into(),
        });
    }
    match kind {
        Kind::Ledger(found) => schema::migrate(&mut connection, found)
            .map_err(|error| translated(&error, "bring up to date", &path))?,
        Kind::Empty | Kind::Foreign => create(&mut connection, options, &path)?,
    }
    let id = values::ledger_id(&connection).map_err(|error| opening(&error))?;
    Ok(Opened {
        path,
        connection,
        lock: Some(lock),
        id,
        is_new: kind == Kind::Empty,
    })
}

/// Whether there is a ledger at `path`, or something else that is in its place. An empty file is what a creation that was cut short
/// leaves: there is no ledger yet.
pub(crate) fn is_there(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(file) => file.len() > 0,
        // Whatever else is wrong is for `open` to say.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Makes a ledger in memory, as if it were at `path`, where nothing is touched.
pub(crate) fn in_memory(path: &Path, options: &OpenOptions) -> Result<Opened, LedgerError> {
    let opening = |error: &rusqlite::Error| translated(error, "open", path);
    let mut connection = connection::in_memory().map_err(|error| opening(&error))?;
    create(&mut connection, options, path)?;
    let id = values::ledger_id(&connection).map_err(|error| opening(&error))?;
    Ok(Opened {
        path: path.to_owned(),
        connection,
        lock: None,
        id,
        is_new: true,
    })
}

/// The path with its folder made and symbolic links resolved, so that one ledger has one lock.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("the path names no file"));
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    make_folder(folder)?;
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fs::canonicalize(folder)?.join(name)),
        Err(error) => Err(error),
    }
}

/// Makes the folder and those above it, each durable before the next.
fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = folder.parent().ok_or(error)?;
            make_folder(above)?;
            DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
        }
        Err(error) => return Err(error),
    }
    // A strict umask would keep the group out.
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    flush_folder_of(folder)
}

fn flush_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Makes an empty file where there is none. SQLite gives the files that it makes beside it the same owner and mode.
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

/// Looks what the file is, by a connection that cannot write to it: what is not ours stays as it is.
fn look(path: &Path) -> Result<Kind, LedgerError> {
    let seen = connection::reading(path).and_then(|connection| schema::kind(&connection));
    let seen = match seen {
        // Somebody died in the middle of a transaction; whoever comes next must undo it, as SQLite itself always does.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            connection::writing(path).and_then(|connection| schema::kind(&connection))
        }
        seen => seen,
    };
    seen.map_err(|error| translated(&error, "open", path))
}

fn create(connection: &mut Connection, options: &OpenOptions, path: &Path) -> Result<(), LedgerError> {
    let id = match &options.create_with {
        Some(id) => id.clone(),
        None => random_id().map_err(|error| refused(&error, "find a random id for", path))?,
    };
    let fill = |connection: &Connection| {
        let row = named_params! { ":id": id.as_str(), ":created": options.at.nanoseconds() };
        connection
            .execute(include_str!("sql/write/ledger.sql"), row)
            .map(drop)
    };
    schema::create(connection, fill).map_err(|error| translated(&error, "create", path))
}

/// Sixteen hexadecimal digits: among a thousand ledgers two are alike with a probability of one in 10^13.
fn random_id() -> io::Result<LedgerId> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    LedgerId::new(format!("{:016x}", u64::from_ne_bytes(bytes)))
        .ok_or_else(|| io::Error::other("hexadecimal digits make no id"))
}

pub(crate) fn foreign(path: &Path) -> LedgerError {
    LedgerError::Damaged {
        path: shown(path),
        reason: "it is no ledger but another program's database".into(),
    }
}

pub(crate) fn newer(path: &Path, found: i64) -> LedgerError {
    LedgerError::NewerSchema {
        path: shown(path),
        found,
        known: schema::VERSION,
    }
}
