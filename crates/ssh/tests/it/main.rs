//! Sessions with a real sshd behind a real jump host.

#![allow(missing_docs, reason = "tests are named after what they prove")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what goes wrong here is a failed test"
)]

mod compression;
mod confirming;
mod conformance;
mod connecting;
mod digests;
mod files;
mod guard;
mod lesser;
mod listing;
mod shared;
mod stalls;
mod together;
mod world;
mod writers;
