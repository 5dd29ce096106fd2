//! A device: its file system, its clock, and what it can report.

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
    /// The content.
    pub bytes: Arc<Vec<u8>>,
    /// The mtime.
    pub modified: Timestamp,
    pub(super) changed: Timestamp,
    /// How many writers hold it open.
    pub(super) writers: u32,
    /// When the device last inspected the file for gleaner, and whether the file was really written since.
    /// The flag orders two events of the same instant.
    pub(super) inspected_at: Option<Instant>,
    pub(super) written_since: bool,
}

/// A change on the device between two requests.
type Hook = Box<dyn FnOnce(&mut DeviceState) + Send>;

/// The hooks, each with the request that triggers it. A separate type because closures do not implement
/// `Debug`.
#[derive(Default)]
struct Hooks(Vec<(Request, Hook)>);

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.len().fmt(formatter)
    }
}

/// What the device's card holds.
#[derive(Debug, Clone, Default)]
struct Card {
    names: BTreeMap<Vec<u8>, u64>,
    files: BTreeMap<u64, DeviceFile>,
    folders: BTreeSet<Vec<u8>>,
}

/// The state of a device.
#[derive(Debug)]
pub struct DeviceState {
    /// What the device can do.
    pub abilities: Abilities,
    writers: Writers,
    /// Temporarily the device cannot find writers: leases are refused for all files, and scans are cut short.
    /// Its clock is right meanwhile: see `clock_jumped`.
    pub hides_writers: bool,
    /// Whether compression pays off, as sessions with this device find.
    pub compression_paid: Option<bool>,
    /// The requests that the device received.
    pub requests: Requests,
    hooks: Hooks,
    /// Faults that a test sets.
    pub faults: DeviceFaults,
    card: Card,
    /// The card as last written out: this is what a power cut on the device leaves.
    written_out: Card,
    clock: SimulatedClock,
    /// The offset of the device's clock from the truth, in nanoseconds.
    pub clock_off: i64,
    /// The clock is wrong, and not because of a boot. Files written now may seem to have rested once the
    /// clock is right again. A pass that starts then, and has not seen the wrong clock, cannot know this.
    pub(super) clock_jumped: bool,
    /// Increases with every boot.
    pub(super) boot: u64,
    booted: Timestamp,
    /// The card is full: nothing can be written.
    pub is_full: bool,
    /// How many of the next reads return a wrong byte.
    pub(super) wrong_reads: u32,
    /// How many of the next digests are wrong.
    pub wrong_digests: u32,
}

/// A device. Clones share the same device.
#[derive(Debug, Clone)]
pub struct Device(Arc<Mutex<DeviceState>>);

impl Device {
    /// A device with an empty source that has been up for 1000 hours.
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

    /// Locks the state to inspect or change it.
    pub fn lock(&self) -> MutexGuard<'_, DeviceState> {
        self.0.lock()
    }
}

/// File system clocks advance in kernel ticks: events within one tick have the same time. In nanoseconds.
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

    /// The identity that the device reports for a file.
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

    /// How the device proves that no process writes to a file.
    pub fn writer_check(&self) -> WriterCheck {
        self.writers.check()
    }

    /// The files that the device knows to be open for writing. `None` where it cannot know.
    pub(super) fn open_files(&self) -> Option<BTreeSet<u64>> {
        if self.writer_check() == WriterCheck::Blind || (self.hides_writers && !self.clock_jumped) {
            return None;
        }
        let is_open = |file: &DeviceFile| !self.writers.grants_lease(file.writers > 0);
        let open = self.card.files.iter().filter(|(_, file)| is_open(file));
        Some(open.map(|(inode, _)| *inode).collect())
    }

    /// Whether the kernel reports that a file about to be renamed is open.
    pub(super) fn is_known_to_be_open(&self, path: &[u8]) -> bool {
        self.writer_check() == WriterCheck::Leases
            && self
                .card
                .names
                .get(path)
                .is_some_and(|inode| self.open_files().is_some_and(|open| open.contains(inode)))
    }

    /// The openness that a listing reports. Where leases work, the kernel is asked later.
    pub(super) fn listed(&self, open: Option<&BTreeSet<u64>>, inode: u64) -> Openness {
        match self.writer_check() {
            WriterCheck::Leases => Openness::Unasked,
            WriterCheck::Scan | WriterCheck::Blind => openness(open, inode),
        }
    }

    /// Writes the card out: its current content survives a power cut.
    pub(super) fn write_out(&mut self) {
        self.written_out = self.card.clone();
    }

    /// Cuts the power and boots: everything not written out is lost, and the clock starts at a stale time.
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

    /// Runs `hook` just before the device replies to the next such request.
    pub fn before_next(&mut self, request: Request, hook: impl FnOnce(&mut Self) + Send + 'static) {
        self.hooks.0.push((request, Box::new(hook)));
    }

    /// Begins a request: records it, runs its first hook, and applies `ends_at` and `silent_at`.
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
                Err(Unanswered::Ended(DeviceFailure::new(class, message)))
            }
            _ if self.faults.silent_at == Some(request) => Err(Unanswered::Silent),
            _ => Ok(()),
        }
    }
}

/// Why a device refused a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No file has that name.
    Missing,
    /// A new folder is needed, and the card is full.
    Full,
    /// Something else has the name of a needed folder or of the target.
    Obstructed,
}

/// The openness of a file, given the set of open files if it is known.
pub(super) fn openness(open: Option<&BTreeSet<u64>>, inode: u64) -> Openness {
    match open {
        None => Openness::Unknown,
        Some(open) if open.contains(&inode) => Openness::Open,
        Some(_) => Openness::Closed,
    }
}
