//! One visit to one device: what its sources and batches share.

mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{BatchId, RelativePath, SourcePath, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::blame::Blame;
use crate::event::Event;
use crate::fleet::FleetContext;
use crate::ports::{Clock, PassLease};
use crate::rules::DeviceRules;
use crate::tally::{LeftFile, Tally};
use crate::world::{SessionOf, World};

pub(crate) use source::SourceVisit;

/// One visit to one device.
pub(crate) struct Visit<'a, W: World> {
    pub(crate) world: &'a W,
    pub(crate) fleet: &'a FleetContext<'a>,
    pub(crate) device: &'a DeviceRules,
    pub(crate) session: &'a SessionOf<W>,
    /// The right to write to the ledger. A dry run has none.
    pub(crate) lease: Option<&'a PassLease>,
    pub(crate) connect: ConnectTimes,
    /// What became of the files so far.
    pub(crate) tally: Tally,
    /// Which files may have ended the session.
    pub(crate) blame: Mutex<Blame>,
    /// One batch fetches at a time, except for its last bytes. Meanwhile the other is flushed, published,
    /// recorded and released. Two that shared the link would reach each stage together, and leave link and
    /// disk idle in turn.
    pub(crate) fetching: Arc<Semaphore>,
    /// Some files are received outside the store's own staging. The store must then know the folder that each
    /// file is bound for.
    pub(crate) receives_beside: AtomicBool,
    batches: AtomicU64,
}

/// When the device was connected to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectTimes {
    /// When connecting began, by the monotonic clock: nothing was inspected on the device before.
    pub(crate) begun: Timestamp,
    /// When the device was connected, by the collector's wall clock. The device's facts are of this moment.
    pub(crate) connected: Timestamp,
    /// The same moment, for measuring spans.
    pub(crate) connected_instant: Instant,
}

impl<'a, W: World> Visit<'a, W> {
    pub(crate) fn new(
        world: &'a W,
        fleet: &'a FleetContext<'a>,
        device: &'a DeviceRules,
        session: &'a SessionOf<W>,
        lease: Option<&'a PassLease>,
        connect: ConnectTimes,
    ) -> Self {
        Self {
            world,
            fleet,
            device,
            session,
            lease,
            connect,
            tally: Tally::default(),
            blame: Mutex::default(),
            fetching: Arc::new(Semaphore::new(1)),
            receives_beside: AtomicBool::new(false),
            batches: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    pub(crate) fn report(&self, event: &Event) {
        self.world.report(event);
    }

    /// Whether a source may begin another batch, given when its first one began.
    pub(crate) fn may_continue(&self, first_batch: Instant) -> bool {
        !self.fleet.stop.is_requested() && first_batch.elapsed() < self.fleet.bounds.max_pass_time
    }

    /// An id that no other batch has, of any pass, ledger or collector: its folder is new on every device.
    ///
    /// The time keeps apart batches that a restored ledger would number alike.
    pub(crate) fn next_batch(&self, lease: &PassLease) -> Option<BatchId> {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        let time = self.now().nanoseconds().unsigned_abs();
        let pass = lease.row().0.unsigned_abs();
        BatchId::new(format!("{time:x}-{pass}-{batch}"))
    }

    /// Records and reports a file that stays on the device for now.
    pub(crate) fn leave_behind(&self, file: LeftFile<'_>) {
        self.tally.record_remaining(&file);
        self.report(&Event::LeftBehind {
            device: self.device.name.clone(),
            source: file.source.clone(),
            path: file.original.clone(),
            reason: file.reason,
            detail: file.detail,
        });
    }

    /// Records and reports a file that is gone from the device.
    pub(crate) fn release(&self, source: &SourcePath, original: &RelativePath, size: u64) {
        self.tally.record_released(source, original, size);
        self.report(&Event::Released {
            device: self.device.name.clone(),
            source: source.clone(),
            path: original.clone(),
            size,
        });
    }
}
