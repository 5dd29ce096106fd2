//! Tells tasks that their owner is gone, and the owner that its tasks have ended.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Long enough for a task to kill its child and wait for it. A slower task is left to the runtime.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn lifetime() -> (Owner, Lifetime) {
    let (closing, closed) = watch::channel(());
    let (alive, ended) = mpsc::channel(1);
    (
        Owner { closing, ended },
        Lifetime {
            closed,
            _alive: alive,
        },
    )
}

/// The owner's side. Dropping it ends every task without waiting.
#[derive(Debug)]
pub(crate) struct Owner {
    closing: watch::Sender<()>,
    ended: mpsc::Receiver<Infallible>,
}

impl Owner {
    /// Ends every task and waits until all have dropped their [`Lifetime`].
    pub(crate) async fn end(mut self) {
        drop(self.closing);
        // No message is ever sent: either the channel closes, or the timeout expires.
        drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, self.ended.recv()).await);
    }
}

/// A task's side, held for as long as the task runs.
#[derive(Clone, Debug)]
pub(crate) struct Lifetime {
    closed: watch::Receiver<()>,
    _alive: mpsc::Sender<Infallible>,
}

impl Lifetime {
    /// Resolves when the owner is gone.
    pub(crate) async fn over(&mut self) {
        while self.closed.changed().await.is_ok() {}
    }
}
