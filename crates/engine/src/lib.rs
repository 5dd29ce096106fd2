//! The way of a file: survey, plan, withdraw, fetch, verify, publish, record, release.
//!
//! The engine opens no socket and no file, runs no SQL and reads no clock: it uses its [`ports`]. The way
//! down:
//!
//! - [`fleet`] visits devices, several at a time;
//! - `pass` visits one device;
//! - `source` surveys one folder of it, [plans](plan) and runs batches;
//! - `source/batch.rs` takes a batch through the `stages`, each of which takes the proof of the one before.
//!
//! Begin reading with `source/batch.rs`.

pub mod fleet;

mod pass;

mod source;

mod stages;

pub mod plan;

mod visit;

mod tally;

mod suspects;

mod blame;

pub mod placement;

pub mod withdrawn;

pub mod exclude;

mod file_system;

mod path_hash;

pub mod rules;

pub mod ports;

pub mod event;

pub mod probe;

pub mod recourse;

pub mod dry_run_store;

pub mod world;
