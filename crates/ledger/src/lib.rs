//! The ledger: the durable record of one collector, in an SQLite file.
//!
//! One process writes ([`SqliteLedger`], the engine's port `Ledger`); any number read beside it ([`Reader`]). The ledger is a
//! record, not an authority: losing it, or restoring an old one, costs time and no data.
//!
//! Begin reading with [`ledger`], then [`worker`] for how requests become transactions; the tables are in `sql/schema.sql`.

#![allow(clippy::doc_markdown, reason = "SQLite is a name, not code")]

pub mod ledger;
pub mod reader;

mod claims;
mod connection;
mod fault;
mod lock;
mod names;
mod opening;
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

pub use fault::remedy;
pub use ledger::SqliteLedger;
pub use opening::OpenOptions;
pub use reader::{
    DeviceStatus, FileFilter, FileRow, Files, PassSummary, ReadError, Reader, StateTotals, StoredCopies,
    StoredCopy,
};
