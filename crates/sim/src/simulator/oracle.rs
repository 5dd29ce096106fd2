//! The record of everything that was recorded, with one checker for each promise.
//!
//! A recording is finished when its writer has closed it for the last time. From then on it is due: it must
//! be whole on its device, or whole and durable in the store. Only two parties may cancel it: the camera,
//! which may replace its own files, and the device's card, which loses what it had not written out.

mod removal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use model::{Digest, FileState};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::device::{Device, DeviceFile, DeviceState};
use super::disk::{SimulatedDisk, StoredFile};
use super::ledger::LedgerContent;
use super::naming::{Naming, is_withdrawn_folder, original_path, without_marks};
pub(super) use removal::Removal;

/// A finished recording.
#[derive(Debug, Clone)]
struct Recording {
    device: usize,
    path: Vec<u8>,
    bytes: Arc<Vec<u8>>,
    digest: Digest,
}

/// Records every recording and checks the promises. Clones share the same oracle.
#[derive(Debug, Clone, Default)]
pub struct Oracle(Arc<Mutex<OracleState>>);

#[derive(Debug, Default)]
struct OracleState {
    naming: Naming,
    due: Vec<Recording>,
    /// Every content that a closed file of a device ever had, with the store name of its path.
    true_contents: BTreeSet<(Vec<u8>, Digest)>,
    /// The durable content under each name of the store.
    durable: BTreeMap<Vec<u8>, Digest>,
    /// Store names that something other than gleaner damaged or removed, with the time of the last damage.
    /// Earlier ledger rows cannot be true for these.
    damaged: BTreeMap<Vec<u8>, Instant>,
    /// The content of rotted files, which is allowed in place of the original.
    rotted: BTreeMap<Vec<u8>, Digest>,
    /// The digests of files before they were damaged.
    damaged_contents: BTreeSet<Digest>,
    breaches: Vec<String>,
    counts: Counts,
}

/// What happened to recordings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Finished recordings.
    pub recorded: u64,
    /// Recordings that a device's own card lost.
    pub forgotten: u64,
    /// Recordings written to a withdrawn file after the last inspection before its removal, and removed with
    /// it.
    pub written_too_late: u64,
}

/// How something other than gleaner damages a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreDamage {
    /// One bit flips.
    BitRot,
    /// The file is gone, as when a store is restored from a backup.
    FileLost,
}

/// The maximum number of reported breaches. The first one matters.
const MAX_REPORTED: usize = 8;

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

impl Oracle {
    /// An empty oracle for a store with this naming.
    pub fn new(naming: Naming) -> Self {
        Self(Arc::new(Mutex::new(OracleState {
            naming,
            ..OracleState::default()
        })))
    }

    /// Records a content that a closed file had. gleaner may gather it, and the camera may replace it.
    pub fn record_content(&self, device: usize, path: &[u8], bytes: &[u8]) {
        let mut state = self.lock();
        let name = without_marks(&state.naming.name(device, path));
        state.true_contents.insert((name, digest(bytes)));
    }

    /// Records a finished recording.
    pub fn record_finished(&self, device: usize, path: &[u8], bytes: &Arc<Vec<u8>>) {
        self.record_content(device, path, bytes);
        let mut state = self.lock();
        state.counts.recorded += 1;
        let recording = Recording {
            device,
            path: path.to_vec(),
            bytes: Arc::clone(bytes),
            digest: digest(bytes),
        };
        state.due.push(recording);
    }

    /// Records that the camera or the device's owner destroyed a file.
    pub fn record_destroyed(&self, device: usize, bytes: &[u8]) {
        let mut state = self.lock();
        let at = state
            .due
            .iter()
            .position(|due| due.device == device && *due.bytes == bytes);
        if let Some(at) = at {
            state.due.remove(at);
        }
    }

    /// Cancels the recordings that a device's card lost before gleaner had stored them.
    pub fn record_card_loss(&self, number: usize, device: &DeviceState, disk: &SimulatedDisk) {
        for (path, file) in device.files() {
            self.record_content(number, &original_path(path), &file.bytes);
        }
        let mut state = self.lock();
        let before = state.due.len();
        state
            .due
            .retain(|due| due.device != number || device.holds(&due.bytes) || disk.surely_holds(&due.bytes));
        state.counts.forgotten += u64::try_from(before - state.due.len()).unwrap_or(u64::MAX);
    }

    /// Damages a visible file of the store and cancels the recordings that only this copy held. Returns
    /// `false` if that damage is impossible.
    pub fn damage(&self, name: &[u8], how: StoreDamage, fleet: &[Device], disk: &SimulatedDisk) -> bool {
        let content = || disk.visible().get(name).map(|file| file.digest);
        let Some(before) = content() else { return false };
        match how {
            StoreDamage::BitRot if !disk.rot(name) => return false,
            StoreDamage::BitRot => {}
            StoreDamage::FileLost => disk.lose(name),
        }
        let (after, durable) = (content(), disk.durable_contents());
        let mut state = self.lock();
        state.damaged.insert(name.to_vec(), Instant::now());
        state.damaged_contents.insert(before);
        // gleaner neither repairs nor removes a rotted file: it must stay as it is, like any other file.
        match after {
            Some(rotted) => {
                state.rotted.insert(name.to_vec(), rotted);
                state
                    .durable
                    .entry(name.to_vec())
                    .and_modify(|durable| *durable = rotted);
            }
            None => {
                state.rotted.remove(name);
                state.durable.remove(name);
            }
        }
        let is_alone = state.due.iter().filter(|due| due.digest == before).count() < 2;
        let naming = state.naming;
        state.due.retain(|due| {
            let device = fleet.get(due.device);
            if due.digest != before || is_alone {
                let on_device = device.is_some_and(|device| device.lock().holds(&due.bytes));
                return on_device || durable.contains(&due.digest);
            }
            // Copies of other recordings with the same content do not count for this one: another recording
            // may be destroyed, and its copy with it.
            let name = without_marks(&naming.name(due.device, &due.path));
            let is_in_store = |(name_there, file): (&Vec<u8>, &StoredFile)| {
                file.is_durable && file.digest == before && without_marks(name_there) == name
            };
            device.is_some_and(|device| device.lock().holds_of(&due.path, &due.bytes))
                || disk.visible().iter().any(is_in_store)
        });
        true
    }

    /// Checks promise 1 at the decisive moment: the device has just removed this file for gleaner.
    ///
    /// One loss is excused: bytes written to a withdrawn file after gleaner's last inspection, which nothing
    /// can detect. That inspection comes after the record and just before the removal request. No earlier
    /// inspection excuses anything.
    pub(super) fn check_removal(
        &self,
        removal: Removal,
        device: &DeviceState,
        file: &DeviceFile,
        disk: &SimulatedDisk,
    ) {
        let (number, bytes) = (removal.device, file.bytes.as_slice());
        let is_due = self
            .lock()
            .due
            .iter()
            .any(|due| due.device == number && *due.bytes == bytes);
        if !is_due || device.holds(bytes) || disk.surely_holds(bytes) {
            return;
        }
        if file.written_since && removal.is_just_after(file.inspected_at) {
            self.record_destroyed(number, bytes);
            self.lock().counts.written_too_late += 1;
            return;
        }
        self.report_breach(format!(
            "promise 1: {} bytes released by device {number} are not durable in the store",
            bytes.len()
        ));
    }

    /// Checks promise 1: every finished recording is whole on its device, or whole and durable in the store.
    pub fn check_no_loss(&self, fleet: &[Device], disk: &SimulatedDisk) {
        let durable = disk.durable_contents();
        let mut due = self.lock().due.clone();
        due.retain(|recording| !durable.contains(&recording.digest));
        for recording in due {
            let device = fleet.get(recording.device);
            if !device.is_some_and(|device| device.lock().holds(&recording.bytes)) {
                self.report_breach(format!("promise 1: {recording} is lost"));
            }
        }
    }

    /// Checks promise 2: every visible file is complete and true, and every durable file still exists
    /// unchanged.
    pub fn check_store(&self, disk: &SimulatedDisk) {
        let visible = disk.visible();
        let mut state = self.lock();
        let mut breaches = Vec::new();
        for (name, file) in &visible {
            let found = file.digest;
            if !state.is_true(name, found) && state.rotted.get(name) != Some(&found) {
                breaches.push(format!(
                    "promise 2: {} in the store ({} bytes) was never recorded under that name",
                    name.escape_ascii(),
                    file.size
                ));
            }
            match state.durable.get(name) {
                Some(before) if *before != found => {
                    breaches.push(format!(
                        "promise 2: {} in the store was changed",
                        name.escape_ascii()
                    ));
                }
                _ => {}
            }
        }
        for name in state.durable.keys().filter(|name| !visible.contains_key(*name)) {
            breaches.push(format!(
                "promise 2: {} is gone from the store",
                name.escape_ascii()
            ));
        }
        let durable = visible.iter().filter(|(_, file)| file.is_durable);
        let durable: Vec<_> = durable.map(|(name, file)| (name.clone(), file.digest)).collect();
        state.durable.extend(durable);
        drop(state);
        for breach in breaches {
            self.report_breach(breach);
        }
        if let Some(stray) = disk.strays().first() {
            self.report_breach(format!(
                "promise 2: {} was written beside the store",
                stray.escape_ascii()
            ));
        }
    }

    /// Checks that every file with a ledger row is durable in the store, under that name and with that
    /// digest.
    pub fn check_ledger(&self, ledger: &LedgerContent, disk: &SimulatedDisk) {
        let visible = disk.visible();
        let damaged = self.lock().damaged.clone();
        for row in &ledger.rows {
            let record = &row.record;
            let name = record.store_name.as_bytes();
            // A row written after the damage must be true.
            if damaged
                .get(name)
                .is_some_and(|damaged_at| row.written_at <= *damaged_at)
            {
                continue;
            }
            let is_there = visible
                .get(name)
                .is_some_and(|file| file.is_durable && file.digest == record.digest);
            if !is_there {
                self.report_breach(format!(
                    "the ledger says {} of {}, but the store does not have it durably",
                    match row.state {
                        FileState::Stored => "stored",
                        FileState::Released => "released",
                        FileState::Kept => "kept",
                    },
                    name.escape_ascii()
                ));
            }
        }
    }

    /// Checks promise 3 after the faults are over and some passes were made: every file that can leave its
    /// device has left it and is in the store.
    pub fn check_progress(&self, fleet: &[Device], disk: &SimulatedDisk) {
        for (number, device) in fleet.iter().enumerate() {
            let state = device.lock();
            let stays = !state.abilities.renames_atomically;
            for (path, file) in state.files().filter(|_| !stays) {
                let size = file.bytes.len();
                self.report_breach(format!(
                    "promise 3: {} ({size} bytes) is still on device {number}",
                    path.escape_ascii()
                ));
            }
            for path in state.folders().filter(|path| is_withdrawn_folder(path)) {
                self.report_breach(format!(
                    "promise 3: the folder {} is still on device {number}",
                    path.escape_ascii()
                ));
            }
        }
        let (due, damaged) = {
            let state = self.lock();
            (state.due.clone(), state.damaged_contents.clone())
        };
        let durable = disk.durable_contents();
        for recording in due.iter().filter(|due| !durable.contains(&due.digest)) {
            // A file that cannot leave its device is not stored again when the store loses its copy. `audit`
            // reports that.
            let device = fleet.get(recording.device).map(Device::lock);
            let stays = device
                .is_some_and(|device| !device.abilities.renames_atomically && device.holds(&recording.bytes));
            if !(stays && damaged.contains(&recording.digest)) {
                self.report_breach(format!("promise 3: {recording} never reached the store"));
            }
        }
    }

    /// Checks that staging is empty. Call it some weeks later: resumable files are kept for a week.
    pub fn check_staging(&self, disk: &SimulatedDisk) {
        for name in disk.staged() {
            self.report_breach(format!("promise 3: {} is left in staging", name.escape_ascii()));
        }
    }

    /// Records a broken promise.
    pub fn report_breach(&self, what: String) {
        let mut state = self.lock();
        if state.breaches.len() < MAX_REPORTED {
            state.breaches.push(what);
        }
    }

    /// The first broken promises.
    pub fn breaches(&self) -> Vec<String> {
        self.lock().breaches.clone()
    }

    /// What became of recordings.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, OracleState> {
        self.0.lock()
    }
}

impl std::fmt::Display for Recording {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, size) = (self.path.escape_ascii(), self.bytes.len());
        write!(formatter, "{path} ({size} bytes) of device {}", self.device)
    }
}

impl OracleState {
    /// Whether a device ever had that content in a closed file whose path leads to this store name.
    fn is_true(&self, name: &[u8], content: Digest) -> bool {
        self.true_contents.contains(&(without_marks(name), content))
    }
}
