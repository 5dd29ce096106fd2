//! Whose turn it is on the wire.

use std::sync::Arc;

use parking_lot::Mutex;

use tokio::sync::OwnedSemaphorePermit;

/// When so little of a batch is still to come, the next one begins to be fetched: its first bytes take some round trips, in which the wire would be
/// idle. A third of a second at 100 Mbit/s.
const LITTLE: u64 = 4 << 20;
/// And no more than this part of it: on a slow link the next one must not delay what is about to be whole.
const PART: u64 = 8;

/// The turn of one batch. Ends when little of it is still to come.
#[derive(Debug)]
pub(super) struct Turn {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    missing: u64,
    little: u64,
    permit: Option<OwnedSemaphorePermit>,
}

/// What one file has to come. What has not come when it is dropped is not waited for.
#[derive(Debug)]
pub(super) struct Share {
    turn: Arc<Turn>,
    missing: u64,
}

impl Turn {
    /// The turn of a batch of so many bytes.
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                missing: bytes,
                little: LITTLE.min(bytes / PART),
                permit,
            }),
        })
    }

    /// The share of a file of so many bytes.
    pub(super) fn share(self: &Arc<Self>, bytes: u64) -> Share {
        Share {
            turn: Arc::clone(self),
            missing: bytes,
        }
    }

    fn came(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.missing = state.missing.saturating_sub(bytes);
        if state.missing <= state.little {
            state.permit = None;
        }
    }
}

impl Share {
    /// So many bytes are here.
    pub(super) fn came(&mut self, bytes: u64) {
        let bytes = bytes.min(self.missing);
        self.missing -= bytes;
        self.turn.came(bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.turn.came(self.missing);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn a_turn_ends_when_little_is_still_to_come_and_what_fails_is_not_waited_for() {
        const BATCH: u64 = PART * LITTLE;
        let wire = Arc::new(Semaphore::new(1));
        let turn = Turn::new(wire.clone().try_acquire_owned().ok(), BATCH);
        let (mut one, other) = (turn.share(BATCH - LITTLE), turn.share(LITTLE));
        one.came(LITTLE);
        assert_eq!(wire.available_permits(), 0);
        // More than it has does not count for others.
        one.came(2 * BATCH);
        assert_eq!(wire.available_permits(), 1);
        drop((one, other));

        let turn = Turn::new(wire.clone().try_acquire_owned().ok(), BATCH);
        let share = turn.share(BATCH);
        assert_eq!(wire.available_permits(), 0);
        drop(share);
        assert_eq!(wire.available_permits(), 1);
    }

    #[test]
    fn a_small_batch_is_nearly_whole_before_the_next_one_shares_the_wire() {
        let wire = Arc::new(Semaphore::new(1));
        let turn = Turn::new(wire.clone().try_acquire_owned().ok(), LITTLE);
        let mut share = turn.share(LITTLE);
        share.came(LITTLE / 2);
        assert_eq!(wire.available_permits(), 0);
        share.came(LITTLE / 2 - LITTLE / PART);
        assert_eq!(wire.available_permits(), 1);
    }

    #[test]
    fn a_batch_of_nothing_keeps_nobody_waiting_once_its_files_are_done_with() {
        let wire = Arc::new(Semaphore::new(1));
        let turn = Turn::new(wire.clone().try_acquire_owned().ok(), 0);
        drop(turn.share(0));
        assert_eq!(wire.available_permits(), 1);
    }
}
