//! How many devices are connected to and served at a time.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::plan::oldest::PlanBytes;

/// A pass that runs longer gives up its slot, and a source starts no batch later than this after its first.
///
/// Otherwise a device that records faster than its link carries would hold the sweep indefinitely. The next
/// pass continues where this one stopped.
pub const MAX_PASS_TIME: Duration = Duration::from_mins(15);

/// Devices that may be connecting or waiting for a slot, for each working slot. Devices that never answer
/// must not use up the connections of those that do.
const CONNECTING_PER_SLOT: usize = 4;

/// How much of the collector a fleet may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Number of devices served at a time.
    pub parallel: usize,
    /// Memory for plans.
    pub plans: PlanBytes,
    /// A pass that takes longer is overdue, and a source starts no batch later than this after its first.
    pub max_pass_time: Duration,
}

impl Bounds {
    /// Serves `parallel` devices at a time; everything else has its default.
    pub fn with_parallel(parallel: usize) -> Self {
        Self {
            parallel,
            plans: PlanBytes::default(),
            max_pass_time: MAX_PASS_TIME,
        }
    }
}

/// The slots that the devices of a fleet share.
#[derive(Debug)]
pub(crate) struct Slots {
    connecting: Semaphore,
    working: Semaphore,
    /// For passes that exceed [`Bounds::max_pass_time`]. They move here so that they do not occupy a working
    /// slot: a slow or hostile device may take a day.
    overdue: Semaphore,
}

impl Slots {
    pub(crate) fn new(parallel: usize) -> Self {
        Self {
            connecting: Semaphore::new(parallel.saturating_mul(CONNECTING_PER_SLOT)),
            working: Semaphore::new(parallel),
            overdue: Semaphore::new(parallel),
        }
    }

    /// A slot for connecting.
    pub(crate) async fn connecting(&self) -> Slot<'_> {
        Slot::of(&self.connecting).await
    }

    /// A slot for serving a connected device.
    pub(crate) async fn working(&self) -> Slot<'_> {
        Slot::of(&self.working).await
    }

    /// A slot for a pass that exceeds its time.
    pub(crate) async fn overdue(&self) -> Slot<'_> {
        Slot::of(&self.overdue).await
    }
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'s>(#[expect(dead_code, reason = "held, not read")] Option<SemaphorePermit<'s>>);

impl<'s> Slot<'s> {
    async fn of(semaphore: &'s Semaphore) -> Self {
        // The semaphores are never closed.
        Self(semaphore.acquire().await.ok())
    }
}

/// Holds `slot` during `work`. After `limit` it trades the slot for an overdue one, as soon as one is free.
pub(crate) async fn hold_slot<P, T>(
    slot: P,
    overdue_slot: impl Future<Output = P>,
    limit: Duration,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = timeout(limit, &mut work).await {
        return done;
    }
    let _overdue_slot = tokio::select! {
        biased;
        done = &mut work => return done,
        overdue_slot = overdue_slot => overdue_slot,
    };
    drop(slot);
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_takes_too_long_gives_up_its_slot() {
        let (working, overdue) = (Semaphore::new(1), Semaphore::new(1));
        let pass = async |takes: Duration| {
            hold_slot(
                working.acquire().await,
                overdue.acquire(),
                MAX_PASS_TIME,
                tokio::time::sleep(takes),
            )
            .await;
        };
        let first = pass(MAX_PASS_TIME * 4);
        let mut first = std::pin::pin!(first);
        assert!(timeout(MAX_PASS_TIME / 2, &mut first).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (0, 1));
        assert!(timeout(MAX_PASS_TIME, &mut first).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (1, 0));
        // The overdue slot is taken: the second pass keeps its own until the first has ended.
        let second = pass(MAX_PASS_TIME * 8);
        let mut second = std::pin::pin!(second);
        assert!(timeout(MAX_PASS_TIME * 3 / 2, &mut second).await.is_err());
        assert_eq!(working.available_permits(), 0);
        first.await;
        assert!(timeout(MAX_PASS_TIME, &mut second).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (1, 0));
    }
}
