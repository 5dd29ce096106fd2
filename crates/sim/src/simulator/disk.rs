//! A disk that loses unflushed changes in a crash, and that can be full, read-only, unmounted or replaced by
//! another.

mod crash;
mod inspect;
mod system_calls;
mod volume;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::Clock as _;
use model::Timestamp;
use rustix::io::Errno;

use super::clock::SimulatedClock;
use super::power::Power;
pub use crash::CrashLoss;
pub use system_calls::FolderEntries;
pub use volume::StoredFile;
use volume::{Content, FileChange, Volume};

/// The disk of a simulated collector: volumes and their mount points. Clones share the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<DiskState>>,
    clock: SimulatedClock,
}

#[derive(Debug)]
struct DiskState {
    power: Power,
    volumes: BTreeMap<u64, Volume>,
    mounts: BTreeMap<PathBuf, u64>,
    /// Handles of an earlier generation are stale: the machine has lost power since, or the volume was
    /// unmounted.
    generation: u64,
    numbers: u64,
    faults: DiskFaults,
}

/// Faults of the disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFaults {
    /// The next flush of a file reports success, but one bit of the bytes that it wrote (not of older bytes)
    /// is wrong.
    pub corrupts_next_flush: bool,
    /// The next flush of a file fails, and the bytes that it should have written count as written from then
    /// on (Rebello and others: "Can Applications Recover from fsync Failures?", 2020).
    pub fails_next_flush: Option<Errno>,
    /// After this many folder flushes, one fails and the file system stops: it turns read-only, and every
    /// later flush fails, until it is mounted again. ext4 with its journal, XFS and Btrfs do so when a commit
    /// that makes an entry durable fails.
    pub stops_at_folder_flush: Option<u64>,
    /// Writes and reads transfer half of the possible bytes.
    pub short_transfers: bool,
}

/// An open file or folder.
#[derive(Debug, Clone, Copy)]
pub struct OpenNode {
    volume: u64,
    inode: u64,
    generation: u64,
}

impl OpenNode {
    fn inode(self) -> u64 {
        self.inode
    }
}

/// Where the store is mounted.
pub const STORE: &str = "/store";

impl SimulatedDisk {
    /// A disk with an empty volume at [`STORE`] beside the root file system.
    pub fn new(clock: SimulatedClock, seed: u64) -> Self {
        let now = clock.now();
        let (root, store) = (Volume::new(1, now), Volume::new(2, now));
        let state = DiskState {
            power: Power::default(),
            volumes: BTreeMap::from([(1, root), (2, store)]),
            mounts: BTreeMap::from([(PathBuf::from("/"), 1), (PathBuf::from(STORE), 2)]),
            generation: 0,
            numbers: seed,
            faults: DiskFaults::default(),
        };
        let disk = Self {
            state: Arc::new(Mutex::new(state)),
            clock,
        };
        disk.make_mount_point();
        disk
    }

    fn make_mount_point(&self) {
        let now = self.now();
        if let Some(root) = self.lock().volumes.get_mut(&1) {
            let folder = Content::Folder(volume::FolderContent::default());
            root.make(volume::ROOT, b"store", folder, now).unwrap_or_default();
            root.lose_unflushed(&mut CrashLoss::Nothing);
        }
    }

    /// Restarts the machine with new power after `loss` of unflushed changes. Every open handle becomes
    /// stale.
    pub fn restart(&self, power: Power, mut loss: CrashLoss) {
        let mut state = self.lock();
        state.power = power;
        state.generation += 1;
        for volume in state.volumes.values_mut() {
            volume.mount_anew(&mut loss);
        }
    }

    /// Whether the store's file system has stopped after a failed flush.
    pub fn has_stopped(&self) -> bool {
        self.lock()
            .volumes
            .get(&2)
            .is_some_and(|volume| volume.has_stopped)
    }

    /// Remounts the store after it has stopped: unflushed changes are lost according to `loss`, and every
    /// open handle becomes stale.
    pub fn mount_store_anew(&self, mut loss: CrashLoss) {
        let mut state = self.lock();
        state.generation += 1;
        state.faults.stops_at_folder_flush = None;
        if let Some(volume) = state.volumes.get_mut(&2) {
            volume.mount_anew(&mut loss);
        }
    }

    /// Starts a new process after a kill: nothing is lost, and unflushed changes stay unflushed.
    pub fn next_process(&self, power: Power) {
        let mut state = self.lock();
        state.power = power;
        state.generation += 1;
        state.volumes.values_mut().for_each(Volume::drop_unreachable);
    }

    /// Sets the faults of the disk.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.lock().faults = faults;
    }

    /// Sets the capacity of the store in bytes; `None`: unlimited.
    pub fn set_store_capacity(&self, capacity: Option<u64>) {
        self.store(|volume| volume.capacity = capacity);
    }

    /// Makes the store read-only, or writable again.
    pub fn set_store_read_only(&self, read_only: bool) {
        self.store(|volume| volume.read_only = read_only);
    }

    /// Sets whether the store has hard links. exFAT and some SMB mounts have none.
    pub fn set_store_has_links(&self, has_links: bool) {
        self.store(|volume| volume.has_links = has_links);
    }

    /// Sets whether links and renames between outermost folders of the store fail, as on a union of disks or
    /// with project quotas.
    pub fn set_store_is_divided(&self, is_divided: bool) {
        self.store(|volume| volume.is_divided = is_divided);
    }

    /// Sets the maximum size of a file in the store; `None`: unlimited.
    pub fn set_store_largest_file(&self, largest: Option<u64>) {
        self.store(|volume| volume.largest_file = largest);
    }

    /// Unmounts the store: its mount point, an empty folder of the root file system, appears instead. Calls
    /// on open handles fail.
    pub fn unmount_store(&self) {
        let mut state = self.lock();
        state.mounts.remove(Path::new(STORE));
        state.generation += 1;
    }

    /// Mounts the store.
    pub fn mount_store(&self) {
        self.lock().mounts.insert(PathBuf::from(STORE), 2);
    }

    /// Mounts another volume in place of the store. The volume is created empty the first time.
    pub fn mount_other_volume(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.volumes.entry(3).or_insert_with(|| Volume::new(3, now));
        state.mounts.insert(PathBuf::from(STORE), 3);
        state.generation += 1;
    }

    /// Bytes in use on the store.
    pub fn store_used(&self) -> u64 {
        self.lock().volumes.get(&2).map_or(0, Volume::used)
    }

    fn store(&self, change: impl FnOnce(&mut Volume)) {
        if let Some(volume) = self.lock().volumes.get_mut(&2) {
            change(volume);
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock()
    }
}

impl DiskState {
    fn volume(&mut self, node: OpenNode) -> Result<&mut Volume, Errno> {
        if self.power.is_off() || node.generation != self.generation {
            return Err(Errno::IO);
        }
        self.volumes.get_mut(&node.volume).ok_or(Errno::STALE)
    }

    /// As [`Self::volume`], within an effect that already has power.
    pub(super) fn volume_for_effect(&mut self, node: OpenNode) -> Result<&mut Volume, Errno> {
        if node.generation != self.generation {
            return Err(Errno::IO);
        }
        self.volumes.get_mut(&node.volume).ok_or(Errno::STALE)
    }

    /// Makes the bytes and the size of a file durable.
    fn flush(&mut self, volume: u64, inode: u64) -> Result<(), Errno> {
        let faults = &mut self.faults;
        let (corrupts, fails) = (
            std::mem::take(&mut faults.corrupts_next_flush),
            faults.fails_next_flush.take(),
        );
        let volume = self.volumes.get_mut(&volume).ok_or(Errno::STALE)?;
        if volume.has_stopped {
            return Err(Errno::IO);
        }
        let file = volume.file_mut(inode)?;
        if let Some(errno) = fails {
            file.unflushed.clear();
            return Err(errno);
        }
        let mut written = None;
        for change in std::mem::take(&mut file.unflushed) {
            if let FileChange::Write { at, bytes } = &change {
                written = Some(at + bytes.len() / 2);
            }
            change.apply(&mut file.durable);
        }
        match written.and_then(|at| file.durable.get_mut(at)) {
            Some(byte) if corrupts => *byte ^= 0x10,
            // Nothing was written that could be damaged: damage the next flush instead.
            None if corrupts => self.faults.corrupts_next_flush = true,
            _ => {}
        }
        Ok(())
    }

    /// Makes the entries of a folder durable.
    fn flush_folder(&mut self, node: OpenNode) -> Result<(), Errno> {
        let left = self.faults.stops_at_folder_flush.take();
        let volume = self.volume_for_effect(node)?;
        volume.has_stopped |= left == Some(0);
        if volume.has_stopped {
            return Err(Errno::IO);
        }
        volume.flush_entries(node.inode())?;
        self.faults.stops_at_folder_flush = left.map(|left| left - 1);
        Ok(())
    }
}
