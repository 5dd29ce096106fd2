//! The ledger: the durable record of one collector, in an SQLite file.
//!
//! One process writes it ([`SqliteLedger`], the engine's port `Ledger`). Any number of processes can read it
//! at the same time ([`Reader`], the port `History`) or copy it ([`backup()`]). The ledger is a record, not
//! an authority: losing it, or restoring an old one, costs time and no data.
//!
//! Begin reading with [`ledger`], then `worker.rs` for how requests become transactions; the tables are in
//! `sql/schema.sql`.

#![allow(clippy::doc_markdown, reason = "SQLite is a name, not code")]

pub mod ledger;
pub mod reader;

mod backup;
mod claims;
mod connection;
mod error;
mod identify;
mod lease;
mod lock;
mod names;
mod open;
mod passes;
mod records;
mod remaining;
mod schema;
mod sightings;
mod suspects;
mod totals;
mod values;
mod worker;

#[cfg(test)]
mod tests;

pub use backup::{Backup, BackupError, backup};
pub use error::{read_remedy, remedy};
pub use identify::id_of;
pub use ledger::SqliteLedger;
pub use open::OpenOptions;
pub use reader::Reader;
