//! A device: its file system, its clock, and what it is able to tell.

mod answers;
mod kind;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::{Abilities, Openness, WriterCheck};
use model::{Identity, Timestamp};
use tokio::time::Instant;

use super::book::original_path;
use super::clock::SimulatedClock;
pub(super) use answers::invented;
pub use kind::Kind;
use kind::Writers;
pub(super) use requests::Unanswered;
pub use requests::{Faults, Request, Requests};

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
    pub(super) looked_at: Option<Instant>,
    pub(super) written_since: bool,
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
    /// What a test has go wrong.
    pub faults: Faults,
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
            faults: Faults::default(),
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

    /// A finished recording. `false` where that is impossible.
    pub fn record(&mut self, path: &[u8], bytes: &[u8]) -> bool {
        let inode = self.create(path);
        if let Some(inode) = inode {
            self.append(inode, bytes);
            self.close(inode);
        }
        inode.is_some()
    }

    /// Begins a file under a name that nobody has, and holds it open for writing. `None` where that is impossible.
    pub(super) fn create(&mut self, path: &[u8]) -> Option<u64> {
        if self.is_full || self.card.names.contains_key(path) || !self.make_parents(path) {
            return None;
        }
        // The lowest number that is free, as ext4 does: a number soon stands for another file.
        let inode = (1..u64::MAX).find(|inode| !self.card.files.contains_key(inode))?;
        let now = self.now();
        let file = DeviceFile {
            bytes: Arc::default(),
            modified: now,
            changed: now,
            writers: 1,
            looked_at: None,
            written_since: false,
        };
        self.card.files.insert(inode, file);
        self.card.names.insert(path.to_vec(), inode);
        Some(inode)
    }

    /// Opens a file that is there, for writing.
    pub fn open(&mut self, path: &[u8]) -> Option<u64> {
        let inode = *self.card.names.get(path)?;
        self.card.files.get_mut(&inode)?.writers += 1;
        Some(inode)
    }

    /// Appends to a file that is held open, wherever it lies by now.
    pub(super) fn append(&mut self, inode: u64, bytes: &[u8]) {
        let now = self.now();
        if let Some(file) = self.card.files.get_mut(&inode) {
            Arc::make_mut(&mut file.bytes).extend_from_slice(bytes);
            (file.modified, file.changed, file.written_since) = (now, now, true);
        }
    }

    /// Writes other bytes over a file that is held open.
    pub fn overwrite(&mut self, inode: u64, bytes: &[u8]) {
        if let Some(file) = self.card.files.get_mut(&inode) {
            file.bytes = Arc::default();
        }
        self.append(inode, bytes);
    }

    /// Closes a file, and answers with what is in it.
    pub fn close(&mut self, inode: u64) -> Option<Arc<Vec<u8>>> {
        let file = self.card.files.get_mut(&inode)?;
        file.writers = file.writers.saturating_sub(1);
        let bytes = Arc::clone(&file.bytes);
        self.forget_nameless();
        Some(bytes)
    }

    /// Closes everything that is held open.
    pub fn close_all(&mut self) {
        self.card.files.values_mut().for_each(|file| file.writers = 0);
        self.forget_nameless();
    }

    /// Sets the time of a file, as a copy that keeps times does.
    pub fn set_modified(&mut self, path: &[u8], ago: Duration) {
        let now = self.now();
        if let Some(file) = self
            .card
            .names
            .get(path)
            .and_then(|inode| self.card.files.get_mut(inode))
        {
            (file.modified, file.changed) = (now.minus(ago), now);
        }
    }

    /// Renames, replacing what has the name; answers with what was replaced. `false` if there is nothing to rename.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<Option<Arc<Vec<u8>>>, Refusal> {
        if !self.card.names.contains_key(from) {
            return Err(Refusal::Missing);
        }
        if self.is_full && parent(from) != parent(to) && !self.has_folder(parent(to)) {
            return Err(Refusal::Full);
        }
        if self.card.folders.contains(to) || !self.make_parents(to) {
            return Err(Refusal::Obstructed);
        }
        let inode = self.card.names.remove(from).ok_or(Refusal::Missing)?;
        let now = self.now();
        if let Some(file) = self.card.files.get_mut(&inode) {
            file.changed = now;
        }
        let replaced = self.card.names.insert(to.to_vec(), inode);
        let bytes = replaced
            .and_then(|inode| self.card.files.get(&inode))
            .map(|file| Arc::clone(&file.bytes));
        self.forget_nameless();
        Ok(bytes)
    }

    /// Removes a file, and answers with what it was.
    pub fn remove(&mut self, path: &[u8]) -> Option<DeviceFile> {
        let inode = self.card.names.remove(path)?;
        let file = self.card.files.get(&inode).cloned();
        self.forget_nameless();
        file
    }

    /// Notes that the device is looking at a file now.
    pub(super) fn look_at(&mut self, inode: u64) {
        if let Some(file) = self.card.files.get_mut(&inode) {
            (file.looked_at, file.written_since) = (Some(Instant::now()), false);
        }
    }

    /// Whether a file still has a name.
    pub(super) fn is_named(&self, inode: u64) -> bool {
        self.card.names.values().any(|named| *named == inode)
    }

    /// Removes a folder if nothing is in it.
    pub(super) fn remove_folder(&mut self, path: &[u8]) {
        let is_inside = |name: &Vec<u8>| is_beneath(name, path);
        if !self.card.names.keys().any(is_inside) && !self.card.folders.iter().any(is_inside) {
            self.card.folders.remove(path);
        }
    }

    /// The file that has a name.
    pub fn file(&self, path: &[u8]) -> Option<(u64, &DeviceFile)> {
        let inode = *self.card.names.get(path)?;
        Some((inode, self.card.files.get(&inode)?))
    }

    /// A file by its number, whatever its name.
    pub(super) fn node(&self, inode: u64) -> Option<&DeviceFile> {
        self.card.files.get(&inode)
    }

    /// Every file by its name.
    pub fn files(&self) -> impl Iterator<Item = (&Vec<u8>, &DeviceFile)> {
        let names = self.card.names.iter();
        names.filter_map(|(path, inode)| Some((path, self.card.files.get(inode)?)))
    }

    /// Every folder.
    pub fn folders(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.card.folders.iter()
    }

    /// Whether these bytes are a whole file of this device.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        self.files().any(|(_, file)| file.bytes.as_slice() == bytes)
    }

    /// Whether these bytes are a whole file of this device that has, or had before it was withdrawn, that path.
    pub(super) fn holds_of(&self, path: &[u8], bytes: &[u8]) -> bool {
        self.files()
            .any(|(at, file)| file.bytes.as_slice() == bytes && original_path(at) == path)
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
        let is_told = |file: &DeviceFile| !self.writers.grants_lease(file.writers > 0);
        let open = self.card.files.iter().filter(|(_, file)| is_told(file));
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
        self.forget_nameless();
    }

    pub(super) fn make_parents(&mut self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let parents: Vec<&[u8]> = ends.filter_map(|(end, _)| path.get(..end)).collect();
        if parents.iter().any(|parent| self.card.names.contains_key(*parent)) {
            return false;
        }
        self.card.folders.extend(parents.into_iter().map(<[u8]>::to_vec));
        !self.card.folders.contains(path)
    }

    pub(super) fn has_folder(&self, path: &[u8]) -> bool {
        path.is_empty() || self.card.folders.contains(path)
    }

    fn forget_nameless(&mut self) {
        let named: BTreeSet<u64> = self.card.names.values().copied().collect();
        self.card
            .files
            .retain(|inode, file| file.writers > 0 || named.contains(inode));
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

pub(super) fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

fn is_beneath(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// What is told of a file that may be open.
pub(super) fn openness(open: Option<&BTreeSet<u64>>, inode: u64) -> Openness {
    match open {
        None => Openness::Unknown,
        Some(open) if open.contains(&inode) => Openness::Open,
        Some(_) => Openness::Closed,
    }
}
