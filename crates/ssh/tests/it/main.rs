//! Sessions with a real sshd behind a real jump host.

#![allow(missing_docs, reason = "tests are named after what they prove")]

mod connecting;
mod digests;
mod files;
mod guard;
mod lesser;
mod listing;
mod stalls;
mod world;
