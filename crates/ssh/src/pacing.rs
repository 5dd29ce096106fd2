//! Keeps the number of unauthenticated connections to one host below what its sshd takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// sshd's `MaxStartups` is 10:30:100 by default: from the tenth on, it drops connections at random. Two are left for
/// people.
const AT_ONCE: usize = 8;
/// Each costs both ends together some 0.15 seconds of CPU: with many more at once, on a machine that has other things to do, none is in time. At 100 ms of
/// round trip each takes more than a second, so that fewer would make a large fleet wait.
const AT_ONCE_THROUGH: usize = 32;
/// A turn ends after that time at the latest, so that a host that accepts connections and keeps silent delays no other device
/// for long. A handshake takes eight round trips and some computing: a second at 100 ms.
const MAX_TURN: Duration = Duration::from_secs(2);

/// One queue for each host that is connected to first.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    queues: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to be connecting. Ends when it is dropped, or when its time is up.
#[derive(Debug)]
pub(crate) struct Turn {
    timer: tokio::task::JoinHandle<()>,
}

impl Pacing {
    /// Waits for a turn to connect to a host.
    pub(crate) async fn turn(&self, host: &str) -> Turn {
        self.turn_of(host.to_owned(), AT_ONCE).await
    }

    /// Waits for a turn to connect to a device through that host, by a connection that is there: no `MaxStartups` is in the way, but so
    /// many key exchanges at once that none of them comes to its end.
    pub(crate) async fn turn_through(&self, host: &str) -> Turn {
        self.turn_of(format!("through {host}"), AT_ONCE_THROUGH).await
    }

    async fn turn_of(&self, queue: String, at_once: usize) -> Turn {
        let queue = {
            let mut queues = self.queues.lock();
            let queue = queues.entry(queue);
            queue.or_insert_with(|| Arc::new(Semaphore::new(at_once))).clone()
        };
        // The semaphore is never closed.
        let permit = queue.acquire_owned().await.ok();
        Turn {
            timer: tokio::spawn(hold(permit)),
        }
    }
}

async fn hold(permit: Option<OwnedSemaphorePermit>) {
    tokio::time::sleep(MAX_TURN).await;
    drop(permit);
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_connect_to_one_host_at_once_and_other_hosts_do_not_wait() {
        let pacing = Pacing::default();
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(pacing.turn("jump").await);
        }
        let soon = Duration::from_millis(1);
        assert!(timeout(soon, pacing.turn("jump")).await.is_err());
        assert!(timeout(soon, pacing.turn("other")).await.is_ok());
        turns.pop();
        assert!(timeout(soon, pacing.turn("jump")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_silent_holds_nobody_up_for_long() {
        let pacing = Pacing::default();
        let mut silent = Vec::new();
        for _ in 0..AT_ONCE {
            silent.push(pacing.turn("jump").await);
        }
        let began = Instant::now();
        drop(pacing.turn("jump").await);
        assert!(began.elapsed() <= MAX_TURN + Duration::from_millis(2));
        drop(silent);
    }
}
