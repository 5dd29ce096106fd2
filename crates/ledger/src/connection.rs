//! Connections and what is set on them.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long a statement waits for a lock that another program holds (a person with `sqlite3`, a checkpoint).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept; there are fewer than 40.
const STATEMENTS: usize = 64;

/// A connection that writes: every commit is flushed before it returns.
pub(crate) fn writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

/// A connection that only reads, and creates no ledger.
pub(crate) fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

/// A connection that reads the file as it lies, without locks and without what is beside it.
///
/// Only for a ledger without a `-wal` file, in a folder that we may not write.
pub(crate) fn reading_as_it_lies(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(immutable_address(path), flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// A connection to an empty database that is nowhere on a disk, and gone with the connection.
pub(crate) fn in_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory_with_flags(
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Whoever closes last must leave -wal and -shm in place: a reader who may not write the folder cannot make them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A damaged file must not make SQLite run what stands in its schema.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Else SQLite compiles a statement anew for each value that might lead to another plan: for each file that is settled.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Sets what the writer needs on a ledger that is ours. Says which journal the file system let us have.
pub(crate) fn set_durable(connection: &Connection) -> rusqlite::Result<String> {
    let journal = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // 16 MiB of log between checkpoints: each costs two more flushes.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // After a burst the log is cut back to this.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // 16 MiB: the upper pages of the indexes of ten million rows.
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(journal)
}

fn immutable_address(path: &Path) -> String {
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
    fn no_byte_of_a_path_means_anything_in_an_address() {
        assert_eq!(
            immutable_address(Path::new("/a b/x?y#z%.db")),
            "file:/a%20b/x%3Fy%23z%25.db?immutable=1"
        );
    }
}
