//! How tasks learn that their owner has gone, and how the owner learns that they have ended.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Long enough for a task to kill its child and wait for it; a task that takes longer is left to the runtime.
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

/// The owner's side. Dropping it tells every task to end, without waiting.
#[derive(Debug)]
pub(crate) struct Owner {
    closing: watch::Sender<()>,
    ended: mpsc::Receiver<Infallible>,
}

impl Owner {
    /// Tells every task to end, and waits until the last has let go of its [`Lifetime`].
    pub(crate) async fn end(mut self) {
        drop(self.closing);
        // Nothing is ever sent: either the channel closes, or patience runs out.
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
    /// Resolves when the owner has gone.
    pub(crate) async fn over(&mut self) {
        while self.closed.changed().await.is_ok() {}
    }
}
