//! The schema of a ledger: identification, creation, migration.

use rusqlite::{Connection, TransactionBehavior};

/// Distinguishes a ledger from the SQLite file of another program: "glnr".
pub(crate) const APPLICATION_ID: i64 = 0x676c_6e72;

/// The schema of a new ledger.
pub(crate) const SCHEMA: &str = include_str!("sql/schema.sql");

/// The steps from an empty file to [`SCHEMA`]. A released step is never edited: ledgers have already run it.
pub(crate) const MIGRATIONS: [&str; 8] = [
    include_str!("sql/migrations/0001_first.sql"),
    include_str!("sql/migrations/0002_compression.sql"),
    include_str!("sql/migrations/0003_suspects.sql"),
    include_str!("sql/migrations/0004_writer_check.sql"),
    include_str!("sql/migrations/0005_causes.sql"),
    include_str!("sql/migrations/0006_claims.sql"),
    include_str!("sql/migrations/0007_words.sql"),
    include_str!("sql/migrations/0008_lease.sql"),
];

/// The version of [`SCHEMA`]: the number of migrations.
pub(crate) const VERSION: i64 = 8;

/// What an SQLite file contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// Nothing: a crash while a ledger is created leaves such a file.
    Empty,
    /// A ledger with this schema version.
    Ledger(i64),
    /// The data of another program.
    Foreign,
}

/// Identifies the content of the file; writes nothing.
pub(crate) fn identify(connection: &Connection) -> rusqlite::Result<DatabaseKind> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(match (application, version, objects) {
        (APPLICATION_ID, 1.., 1..) => DatabaseKind::Ledger(version),
        (0, 0, 0) => DatabaseKind::Empty,
        _ => DatabaseKind::Foreign,
    })
}

/// Creates the ledger in an empty file and runs `fill`, in one transaction: a crash leaves the file empty or
/// the ledger complete.
pub(crate) fn create(
    connection: &mut Connection,
    fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    fill(&transaction)?;
    transaction.commit()
}

/// Migrates a ledger from the older schema `from` to [`VERSION`], one transaction for each step: a crash
/// leaves the ledger complete, at the last committed step.
pub(crate) fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    for (number, step) in (1_i64..).zip(MIGRATIONS) {
        if number <= from {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
