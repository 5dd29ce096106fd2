//! A device: its file system, its clock, and what it is able to tell.

mod file_system;
mod kind;
mod replies;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::{Abilities, DeviceFailure, Openness, WriterCheck};
use model::{Identity, Timestamp};
use tokio::time::Instant;

use super::clock::SimulatedClock;
pub use kind::Kind;
use kind::Writers;
pub(super) use replies::invented;
pub(super) use requests::Unanswered;
pub use requests::{DeviceFaults, Request, Requests};

/// A file on a device.
#[derive(Debug, Clone)]
pub struct DeviceFile {
    /// What is in it.
    pub bytes: Arc<Vec<u8>>,
    /// Its mtime.
    pub modified: Timestamp,
    pub(super) changed: Timestamp,
    /// How many writers hold it open.
    pub(super) writers: u32,
    /// When the device last looked at it for gleaner, and whether it was written since, in truth: two things of one moment have an order.
    pub(super) inspected_at: Option<Instant>,
    pub(super) written_since: bool,
}

/// Something that happens on a device between two requests.
type Hook = Box<dyn FnOnce(&mut DeviceState) + Send>;

/// What is to happen before which request. A type of its own, because closures have no `Debug`.
#[derive(Default)]
struct Hooks(Vec<(Request, Hook)>);

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.len().fmt(formatter)
    }
}

/// What survives on the card of a device.
#[derive(Debug, Clone, Default)]
struct Card {
    names: BTreeMap<Vec<u8>, u64>,
    files: BTreeMap<u64, DeviceFile>,
    folders: BTreeSet<Vec<u8>>,
}

/// A device at one moment.
#[derive(Debug)]
pub struct DeviceState {
    /// What it can do.
    pub abilities: Abilities,
    writers: Writers,
    /// For now it cannot tell who writes: leases are refused to everybody, and scans are cut short. Its clock
    /// is right meanwhile: see `clock_jumped`.
    pub hides_writers: bool,
    /// What its sessions find out about compression.
    pub compression_paid: Option<bool>,
    /// What it was asked.
    pub requests: Requests,
    hooks: Hooks,
    /// What a test has go wrong.
    pub faults: DeviceFaults,
    card: Card,
    /// The card as it was last written out: what a power cut on the device leaves.
    written_out: Card,
    clock: SimulatedClock,
    /// How far the device's clock is from the truth, in nanoseconds.
    pub clock_off: i64,
    /// The clock is wrong, and not from a boot. What is written now may seem to have rested once it is right again: a pass that comes then and has
    /// not met the wrong clock cannot know.
    pub(super) clock_jumped: bool,
    /// Grows with every boot.
    pub(super) boot: u64,
    booted: Timestamp,
    /// Nothing can be written any more.
    pub is_full: bool,
    /// The next so many reads give a wrong byte.
    pub(super) wrong_reads: u32,
    /// The next so many digests are wrong.
    pub wrong_digests: u32,
}

/// A device. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Device(Arc<Mutex<DeviceState>>);

impl Device {
    /// A device that has been up for weeks, with an empty source.
    pub fn new(kind: Kind, clock: SimulatedClock) -> Self {
        let booted = clock.true_time().minus(Duration::from_hours(1000));
        Self(Arc::new(Mutex::new(DeviceState {
            abilities: kind.abilities(),
            writers: kind.writers(),
            hides_writers: false,
            compression_paid: None,
            requests: Requests::default(),
            hooks: Hooks::default(),
            faults: DeviceFaults::default(),
            card: Card::default(),
            written_out: Card::default(),
            clock,
            clock_off: 0,
            clock_jumped: false,
            boot: 1,
            booted,
            is_full: false,
            wrong_reads: 0,
            wrong_digests: 0,
        })))
    }

    /// Looks at it, or changes it.
    pub fn lock(&self) -> MutexGuard<'_, DeviceState> {
        self.0.lock()
    }
}

/// Clocks of file systems move in steps of a kernel tick: what happens within one has the same time.
const TICK: i64 = 4_000_000;

impl DeviceState {
    /// The device's own time, in ticks.
    pub fn now(&self) -> Timestamp {
        let time = self
            .clock
            .true_time()
            .nanoseconds()
            .saturating_add(self.clock_off);
        Timestamp::from_nanoseconds(time - time.rem_euclid(TICK))
    }

    pub(super) fn uptime(&self) -> Duration {
        self.clock.true_time().since(self.booted)
    }

    /// What the device says of a file.
    pub(super) fn identity(&self, inode: u64, file: &DeviceFile) -> Identity {
        let complete = self.abilities.complete_identities;
        let size = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
        Identity {
            device_number: complete.then_some(1),
            inode: complete.then_some(inode),
            size,
            modified: if complete {
                file.modified
            } else {
                Timestamp::from_seconds(file.modified.seconds())
            },
            changed: complete.then_some(file.changed),
        }
    }

    /// How it proves that nobody writes to a file.
    pub fn writer_check(&self) -> WriterCheck {
        self.writers.check()
    }

    /// The files that it can tell to be held open for writing; `None` where it can tell nothing.
    pub(super) fn open_files(&self) -> Option<BTreeSet<u64>> {
        if self.writer_check() == WriterCheck::Blind || (self.hides_writers && !self.clock_jumped) {
            return None;
        }
        let is_open = |file: &DeviceFile| !self.writers.grants_lease(file.writers > 0);
        let open = self.card.files.iter().filter(|(_, file)| is_open(file));
        Some(open.map(|(inode, _)| *inode).collect())
    }

    /// Whether the kernel says so of a file that is about to be renamed.
    pub(super) fn is_known_to_be_open(&self, path: &[u8]) -> bool {
        self.writer_check() == WriterCheck::Leases
            && self
                .card
                .names
                .get(path)
                .is_some_and(|inode| self.open_files().is_some_and(|open| open.contains(inode)))
    }

    /// What a listing says of a file. A kernel that can be asked is asked later.
    pub(super) fn listed(&self, open: Option<&BTreeSet<u64>>, inode: u64) -> Openness {
        match self.writer_check() {
            WriterCheck::Leases => Openness::Unasked,
            WriterCheck::Scan | WriterCheck::Blind => openness(open, inode),
        }
    }

    /// The card is written out: what is on it now outlives a power cut.
    pub(super) fn write_out(&mut self) {
        self.written_out = self.card.clone();
    }

    /// Loses power and boots: what was not written out is gone, and the clock begins at a stale time.
    pub(super) fn reboot(&mut self, clock_off: i64) {
        self.card = self.written_out.clone();
        for file in self.card.files.values_mut() {
            file.writers = 0;
        }
        self.boot += 1;
        self.booted = self.clock.true_time();
        (self.clock_off, self.clock_jumped) = (clock_off, false);
        self.drop_nameless();
    }

    /// Has something happen just before the device answers the next such request.
    pub fn before_next(&mut self, request: Request, hook: impl FnOnce(&mut Self) + Send + 'static) {
        self.hooks.0.push((request, Box::new(hook)));
    }

    /// A request begins: what was to happen before it happens.
    pub(in crate::simulator) fn begin(&mut self, request: Request) -> Result<(), Unanswered> {
        self.requests.begun.push(request);
        let mut hooks = self.hooks.0.iter();
        if let Some(at) = hooks.position(|(before, _)| *before == request) {
            let (_, hook) = self.hooks.0.remove(at);
            hook(self);
        }
        match self.faults.ends_at {
            Some((at, class)) if at == request => {
                let message = "gone".to_owned();
                Err(Unanswered::Ended(DeviceFailure {
                    class,
                    message,
                    remedy: None,
                }))
            }
            _ if self.faults.silent_at == Some(request) => Err(Unanswered::Silent),
            _ => Ok(()),
        }
    }
}

/// Why a device did not rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name.
    Missing,
    /// A folder is wanted, and there is no room for it.
    Full,
    /// Something else is where a folder or the file should be.
    Obstructed,
}

/// What is told of a file that may be open.
pub(super) fn openness(open: Option<&BTreeSet<u64>>, inode: u64) -> Openness {
    match open {
        None => Openness::Unknown,
        Some(open) if open.contains(&inode) => Openness::Open,
        Some(_) => Openness::Closed,
    }
}
