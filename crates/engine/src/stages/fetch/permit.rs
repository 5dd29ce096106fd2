//! The permit to fetch: one batch has the link at a time, except for its last bytes.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

/// The next batch begins to be fetched when at most this much of a batch is missing. Its first bytes take
/// some round trips, in which the link would be idle. A third of a second at 100 Mbit/s.
const HANDOVER_BYTES: u64 = 4 << 20;
/// And at most this part of the batch: on a slow link the next batch must not delay one that is nearly whole.
const HANDOVER_DIVISOR: u64 = 8;

/// The permit of one batch. It is returned when little of the batch is missing.
#[derive(Debug)]
pub(super) struct FetchPermit {
    state: Mutex<PermitState>,
}

#[derive(Debug)]
struct PermitState {
    missing: u64,
    handover: u64,
    permit: Option<OwnedSemaphorePermit>,
}

/// The bytes of one file that count towards a permit. Bytes still missing when it is dropped no longer count.
#[derive(Debug)]
pub(super) struct FetchQuota {
    permit: Arc<FetchPermit>,
    missing: u64,
}

impl FetchPermit {
    /// The permit of a batch of `bytes` bytes.
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(PermitState {
                missing: bytes,
                handover: HANDOVER_BYTES.min(bytes / HANDOVER_DIVISOR),
                permit,
            }),
        })
    }

    /// The quota of a file of `bytes` bytes.
    pub(super) fn quota(self: &Arc<Self>, bytes: u64) -> FetchQuota {
        FetchQuota {
            permit: Arc::clone(self),
            missing: bytes,
        }
    }

    fn received(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.missing = state.missing.saturating_sub(bytes);
        if state.missing <= state.handover {
            state.permit = None;
        }
    }
}

impl FetchQuota {
    /// `bytes` bytes of the file were received.
    pub(super) fn received(&mut self, bytes: u64) {
        let bytes = bytes.min(self.missing);
        self.missing -= bytes;
        self.permit.received(bytes);
    }
}

impl Drop for FetchQuota {
    fn drop(&mut self) {
        self.permit.received(self.missing);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn a_permit_returns_when_little_is_missing_and_failures_do_not_count() {
        const BATCH: u64 = HANDOVER_DIVISOR * HANDOVER_BYTES;
        let link = Arc::new(Semaphore::new(1));
        let permit = FetchPermit::new(link.clone().try_acquire_owned().ok(), BATCH);
        let (mut one, other) = (permit.quota(BATCH - HANDOVER_BYTES), permit.quota(HANDOVER_BYTES));
        one.received(HANDOVER_BYTES);
        assert_eq!(link.available_permits(), 0);
        // Bytes beyond its size do not count for other files.
        one.received(2 * BATCH);
        assert_eq!(link.available_permits(), 1);
        drop((one, other));

        let permit = FetchPermit::new(link.clone().try_acquire_owned().ok(), BATCH);
        let quota = permit.quota(BATCH);
        assert_eq!(link.available_permits(), 0);
        drop(quota);
        assert_eq!(link.available_permits(), 1);
    }

    #[test]
    fn a_small_batch_is_nearly_whole_before_the_next_one_shares_the_link() {
        let link = Arc::new(Semaphore::new(1));
        let permit = FetchPermit::new(link.clone().try_acquire_owned().ok(), HANDOVER_BYTES);
        let mut quota = permit.quota(HANDOVER_BYTES);
        quota.received(HANDOVER_BYTES / 2);
        assert_eq!(link.available_permits(), 0);
        quota.received(HANDOVER_BYTES / 2 - HANDOVER_BYTES / HANDOVER_DIVISOR);
        assert_eq!(link.available_permits(), 1);
    }

    #[test]
    fn an_empty_batch_returns_its_permit_with_its_last_file() {
        let link = Arc::new(Semaphore::new(1));
        let permit = FetchPermit::new(link.clone().try_acquire_owned().ok(), 0);
        drop(permit.quota(0));
        assert_eq!(link.available_permits(), 1);
    }
}
