//! The collector's clock. Simulated time advances only while every task is idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::ports::Clock;
use model::Timestamp;
use tokio::time::Instant;

/// The start of every simulation: 2027-01-15 08:00 UTC.
const BEGIN: i64 = 1_800_000_000;

/// The collector's clock: true time, which the runtime keeps, plus an offset. Clones share the same clock.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    began: Instant,
    off: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that is right. The runtime's time must be paused.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            off: Arc::default(),
        }
    }

    /// The true time, without the offset.
    pub fn true_time(&self) -> Timestamp {
        Timestamp::from_seconds(BEGIN).plus(self.began.elapsed())
    }

    /// Moves this clock forward (or backward, if negative) by nanoseconds.
    pub fn jump(&self, nanoseconds: i64) {
        self.off.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let off = self.off.load(Ordering::Relaxed);
        Timestamp::from_nanoseconds(self.true_time().nanoseconds().saturating_add(off))
    }

    fn steady(&self) -> Timestamp {
        Timestamp::from_nanoseconds(i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}
