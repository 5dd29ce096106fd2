//! Keeps the number of unauthenticated connections to one host below its sshd's limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// sshd's `MaxStartups` is 10:30:100 by default: from the tenth on, it drops connections at random. Two are
/// left for people.
const MAX_UNAUTHENTICATED: usize = 8;
/// Each login costs both ends together about 0.15 seconds of CPU. With many more at once, on a busy machine,
/// none finishes in time. At 100 ms of round trip a login takes over a second, so fewer would delay a large
/// fleet.
const MAX_THROUGH_JUMP: usize = 32;
/// A permit expires after this time, so that a silent host does not delay other devices for long. A handshake
/// takes eight round trips and some computing: a second at 100 ms.
const MAX_PERMIT_TIME: Duration = Duration::from_secs(2);

/// One queue for each first hop.
#[derive(Debug, Default)]
pub(crate) struct ConnectPacing {
    queues: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The permission to be connecting. Ends when it is dropped, or when its time is up.
#[derive(Debug)]
pub(crate) struct ConnectPermit {
    timer: tokio::task::JoinHandle<()>,
}

impl ConnectPacing {
    /// Waits for permission to connect to a host.
    pub(crate) async fn permit(&self, host: &str) -> ConnectPermit {
        self.acquire(host.to_owned(), MAX_UNAUTHENTICATED).await
    }

    /// Waits for permission to connect to a device through that host, over an existing connection.
    /// `MaxStartups` does not apply there, but too many key exchanges at once would keep each other from
    /// finishing.
    pub(crate) async fn permit_through(&self, host: &str) -> ConnectPermit {
        self.acquire(format!("through {host}"), MAX_THROUGH_JUMP).await
    }

    async fn acquire(&self, queue: String, max: usize) -> ConnectPermit {
        let queue = {
            let mut queues = self.queues.lock();
            let queue = queues.entry(queue);
            queue.or_insert_with(|| Arc::new(Semaphore::new(max))).clone()
        };
        // The semaphore is never closed.
        let permit = queue.acquire_owned().await.ok();
        ConnectPermit {
            timer: tokio::spawn(hold(permit)),
        }
    }
}

async fn hold(permit: Option<OwnedSemaphorePermit>) {
    tokio::time::sleep(MAX_PERMIT_TIME).await;
    drop(permit);
}

impl Drop for ConnectPermit {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn at_most_eight_connect_to_one_host_at_once_and_others_do_not_wait() {
        let pacing = ConnectPacing::default();
        let mut permits = Vec::new();
        for _ in 0..MAX_UNAUTHENTICATED {
            permits.push(pacing.permit("jump").await);
        }
        let soon = Duration::from_millis(1);
        assert!(timeout(soon, pacing.permit("jump")).await.is_err());
        assert!(timeout(soon, pacing.permit("other")).await.is_ok());
        permits.pop();
        assert!(timeout(soon, pacing.permit("jump")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn silent_hosts_delay_no_device_for_long() {
        let pacing = ConnectPacing::default();
        let mut silent = Vec::new();
        for _ in 0..MAX_UNAUTHENTICATED {
            silent.push(pacing.permit("jump").await);
        }
        let began = Instant::now();
        drop(pacing.permit("jump").await);
        assert!(began.elapsed() <= MAX_PERMIT_TIME + Duration::from_millis(2));
        drop(silent);
    }
}
