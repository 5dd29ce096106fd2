//! The crate from outside: its codec against itself, its client against OpenSSH's server and against servers that lie.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends here; clippy's own exception does not reach the functions that tests share"
)]

mod codec;
mod downloads;
mod hostile;
mod openssh;
mod openssh_server;
mod scripted_server;

use std::future::Future;
use std::time::Duration;

/// A test that waits for what never comes shall say so.
async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work)
        .await
        .expect("nothing came within a minute")
}
