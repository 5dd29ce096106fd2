//! Which schema a ledger has, and how it comes to ours.

use rusqlite::{Connection, TransactionBehavior};

/// Tells a ledger from every other program's SQLite file: "glnr".
pub(crate) const APPLICATION_ID: i64 = 0x676c_6e72;

/// The schema as a new ledger gets it.
pub(crate) const SCHEMA: &str = include_str!("sql/schema.sql");

/// What leads to it from nothing, step by step. A step that has been released is never edited: ledgers out there have it.
pub(crate) const MIGRATIONS: [&str; 7] = [
    include_str!("sql/migrations/0001_first.sql"),
    include_str!("sql/migrations/0002_compression.sql"),
    include_str!("sql/migrations/0003_suspects.sql"),
    include_str!("sql/migrations/0004_writer_check.sql"),
    include_str!("sql/migrations/0005_causes.sql"),
    include_str!("sql/migrations/0006_claims.sql"),
    include_str!("sql/migrations/0007_words.sql"),
];

/// The number of our schema.
pub(crate) const VERSION: i64 = 7;

/// What an SQLite file turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody's: nothing has ever been written to it (a creation that was cut short leaves this behind).
    Empty,
    /// A ledger with that schema.
    Ledger(i64),
    /// Another program's.
    Foreign,
}

/// Looks what it is; writes nothing.
pub(crate) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(match (application, version, objects) {
        (APPLICATION_ID, 1.., 1..) => Kind::Ledger(version),
        (0, 0, 0) => Kind::Empty,
        _ => Kind::Foreign,
    })
}

/// Makes an empty file a ledger, and runs `fill` in the same transaction: a crash leaves it empty or complete.
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

/// Brings a ledger from an older schema to ours, one transaction for each step: a crash leaves it at one of the steps.
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
