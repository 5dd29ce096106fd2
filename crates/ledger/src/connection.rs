//! Connections to SQLite and their settings.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long a statement waits for a lock that another program holds (an operator with `sqlite3`, a
/// checkpoint).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection caches; gleaner has fewer than 40.
const CACHED_STATEMENTS: usize = 64;

/// Opens an existing file for reading and writing. Commits are durable only after [`set_durable`].
pub(crate) fn open_writable(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens an existing file for reading only.
pub(crate) fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens the file for reading only, without locks, and ignores the files beside it.
///
/// Only for a ledger without a `-wal` file, in a folder that the process may not write.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens an empty database in memory, which exists as long as the connection.
pub(crate) fn open_in_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory_with_flags(
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // The last connection must leave -wal and -shm in place: a reader that may not write the folder cannot
    // create them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A damaged file must not make SQLite run code from its schema.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Otherwise SQLite recompiles a statement for each bound value that might change its plan: once for each
    // file whose state is set.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Makes every commit flush before it returns. Returns the journal mode, which is `wal` only if the file
/// system supports it. Writes to the file: only for a ledger.
pub(crate) fn set_durable(connection: &Connection) -> rusqlite::Result<String> {
    let journal = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // A checkpoint after 16 MiB of log: each checkpoint costs two more flushes.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // A checkpoint truncates a larger log to this.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // 16 MiB hold the upper index pages of ten million rows.
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(journal)
}

fn immutable_uri(path: &Path) -> String {
    let encoded = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(encoded).collect();
    format!("file:{path}?immutable=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_path_are_escaped_in_a_uri() {
        assert_eq!(
            immutable_uri(Path::new("/a b/x?y#z%.db")),
            "file:/a%20b/x%3Fy%23z%25.db?immutable=1"
        );
    }
}
