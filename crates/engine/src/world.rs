//! The ports that an engine runs on, and one visit to one device.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{PassId, RelativePath, SourcePath, Timestamp};

use crate::event::{Event, Reporter};
use crate::ports::{Clock, Devices, Ledger, Reason, RowId, Store};
use crate::rules::DeviceRules;
use crate::selection::StandingBook;

/// The world that an engine runs in: one implementation of each port.
pub trait World: Send + Sync + 'static {
    /// Reaches the devices.
    type Devices: Devices;
    /// Takes the files.
    type Store: Store;
    /// Keeps the record.
    type Ledger: Ledger;
    /// Tells the time.
    type Clock: Clock;
    /// Takes events.
    type Reporter: Reporter;

    /// The devices.
    fn devices(&self) -> &Self::Devices;
    /// The store.
    fn store(&self) -> &Self::Store;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The reporter.
    fn reporter(&self) -> &Self::Reporter;
}

/// A session with a device of that world.
pub(crate) type SessionOf<W> = <<W as World>::Devices as Devices>::Session;

/// A wish to stop, which many may look at.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks to stop: batches that are under way are finished, no new one is begun.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One visit to one device: what its stages share.
pub(crate) struct Visit<'a, W: World> {
    pub(crate) world: &'a W,
    pub(crate) device: &'a DeviceRules,
    pub(crate) session: &'a SessionOf<W>,
    pub(crate) stop: &'a Stop,
    /// The row of this pass in the ledger.
    pub(crate) pass: RowId,
    pub(crate) tally: Tally,
    /// What the batches leave behind, beside what the surveys found.
    pub(crate) left_behind: Mutex<StandingBook>,
    /// Folders that several batches of a source share, and that may be empty when all of them are done.
    pub(crate) shared_folders: Mutex<BTreeSet<RelativePath>>,
    batches: AtomicU64,
}

/// What a pass has done so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stored: Count,
    pub(crate) released: Count,
}

/// Files and bytes.
#[derive(Debug, Default)]
pub(crate) struct Count {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    pub(crate) fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> (u64, u64) {
        (
            self.files.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

impl<'a, W: World> Visit<'a, W> {
    pub(crate) fn new(
        world: &'a W,
        device: &'a DeviceRules,
        session: &'a SessionOf<W>,
        stop: &'a Stop,
        pass: RowId,
    ) -> Self {
        let (tally, left_behind, shared_folders) = (Tally::default(), Mutex::default(), Mutex::default());
        Self {
            world,
            device,
            session,
            stop,
            pass,
            tally,
            left_behind,
            shared_folders,
            batches: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    pub(crate) fn report(&self, event: &Event) {
        self.world.reporter().report(event);
    }

    /// An id for a batch that no other batch has, of any pass, ledger or collector: its folder is new on every device.
    ///
    /// The time keeps apart what a restored ledger would number alike.
    pub(crate) fn next_batch(&self) -> Option<PassId> {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        PassId::new(format!(
            "{:x}-{}-{batch}",
            self.now().nanoseconds().unsigned_abs(),
            self.pass.0.unsigned_abs()
        ))
    }

    /// Notes that a file stays on the device for now, and says so.
    pub(crate) fn leave_behind(
        &self,
        source: &SourcePath,
        original: &RelativePath,
        size: u64,
        reason: Reason,
        detail: Option<String>,
    ) {
        if let Ok(mut book) = self.left_behind.lock() {
            book.note(source, original.to_string(), reason, size, detail.clone());
        }
        self.report(&Event::LeftBehind {
            device: self.device.name.clone(),
            source: source.clone(),
            path: original.clone(),
            reason,
            detail,
        });
    }
}
