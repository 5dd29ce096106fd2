//! What the store promises, on real file systems.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "these are tests, also in the functions that they share"
)]

mod context;
mod mounts;
mod take_over;
mod watched;

mod audit;
mod call_failures;
mod condition;
mod destinations;
mod faults;
mod flushes;
mod init;
mod ledgers;
mod names;
mod publish;
mod races;
mod resume;
mod seal;
mod staging;
