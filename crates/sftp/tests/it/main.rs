//! The crate from outside: its codec against itself, its client against OpenSSH's server and against hostile
//! servers.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends here; clippy's own exception does not reach the functions that tests share"
)]

mod codec;
mod downloads;
mod greeting;
mod hostile;
mod lifetimes;
mod listing;
mod openssh;
mod openssh_server;
mod scripted_server;
mod shared_budget;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sftp::{Budget, Client, ConnectionError, DownloadOutcome, Error, FileChunk};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A test that waits without end must fail instead.
async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work)
        .await
        .expect("nothing came within a minute")
}

/// Runs every other task of a current-thread runtime as far as possible.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The cause of a failed connection.
fn cause<T: std::fmt::Debug>(result: Result<T, Error>) -> Arc<ConnectionError> {
    match result {
        Err(Error::Connection(cause)) => cause,
        other => panic!("{other:?} in place of a failed connection"),
    }
}

type Download = JoinHandle<Result<DownloadOutcome, Error>>;

/// A download of a file of eight bytes by READs of four, on its own task.
fn download_of_eight(client: &Client) -> (Download, mpsc::UnboundedReceiver<FileChunk>) {
    let (sink, chunks) = mpsc::unbounded_channel();
    let client = client.clone();
    let download = async move { client.download(b"file", 0, 8, &Budget::new(16), sink).await };
    (tokio::spawn(download), chunks)
}
