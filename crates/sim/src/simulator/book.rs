//! What was recorded, and one checker for each promise.
//!
//! A recording is finished when its writer has closed it for the last time. From then on the book holds it to be due: whole on its device, or
//! whole and durable in the store. Only the camera itself (which may replace its own files) and the device's card (which forgets what it had
//! not written out) can strike it out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Digest, FileState};
use sha2::{Digest as _, Sha256};

use super::device::{Device, DeviceFile, DeviceState};
use super::disk::ForgetfulDisk;
use super::ledger::LedgerContent;

/// How the store names files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `{device}/{path}`.
    #[default]
    ByDevice,
    /// `{path}`: the devices share all names.
    Together,
}

/// A finished recording.
#[derive(Debug, Clone)]
struct Recording {
    device: usize,
    path: Vec<u8>,
    bytes: Arc<Vec<u8>>,
    digest: Digest,
}

/// The record of what was recorded. Clones are the same book.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    naming: Naming,
    due: Vec<Recording>,
    recorded: u64,
    /// Contents that a closed file of a device ever had, under the name that its path leads to.
    true_contents: BTreeSet<(Vec<u8>, Digest)>,
    /// What was durable under each name of the store.
    durable: BTreeMap<Vec<u8>, Digest>,
    /// Names of the store that something other than gleaner spoiled or took.
    spoilt: BTreeSet<Vec<u8>>,
    breaches: Vec<String>,
    forgiven: u64,
}

/// How many breaches are told; the first is the one that matters.
const TOLD: usize = 8;

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

impl Book {
    /// An empty book for a store that names files in that way.
    pub fn new(naming: Naming) -> Self {
        Self(Arc::new(Mutex::new(State {
            naming,
            ..State::default()
        })))
    }

    /// Notes a state of a file that was closed; it may be gathered, and what it replaces is the camera's affair.
    pub fn saw(&self, device: usize, path: &[u8], bytes: &[u8]) {
        let mut state = self.lock();
        let name = without_marks(&state.naming.name(device, path));
        state.true_contents.insert((name, digest(bytes)));
    }

    /// Notes a finished recording.
    pub fn finished(&self, device: usize, path: &[u8], bytes: &Arc<Vec<u8>>) {
        self.saw(device, path, bytes);
        let mut state = self.lock();
        state.recorded += 1;
        let recording = Recording {
            device,
            path: path.to_vec(),
            bytes: Arc::clone(bytes),
            digest: digest(bytes),
        };
        state.due.push(recording);
    }

    /// Notes that the camera, or the device's owner, destroyed a file.
    pub fn destroyed(&self, device: usize, bytes: &[u8]) {
        let mut state = self.lock();
        let at = state
            .due
            .iter()
            .position(|due| due.device == device && *due.bytes == bytes);
        if let Some(at) = at {
            state.due.remove(at);
        }
    }

    /// Strikes out what a device's card has forgotten before gleaner could bring it home.
    pub fn card_forgot(&self, number: usize, device: &DeviceState, disk: &ForgetfulDisk) {
        for (path, file) in device.files() {
            self.saw(number, &original_path(path), &file.bytes);
        }
        let mut state = self.lock();
        let before = state.due.len();
        state
            .due
            .retain(|due| due.device != number || device.holds(&due.bytes) || disk.surely_holds(&due.bytes));
        state.forgiven += u64::try_from(before - state.due.len()).unwrap_or(u64::MAX);
    }

    /// Strikes out what only a spoilt copy in the store stood for, and lets that name be.
    pub fn store_spoilt(&self, name: &[u8], fleet: &[Device], disk: &ForgetfulDisk) {
        let durable = disk.durable_contents();
        let mut state = self.lock();
        state.spoilt.insert(name.to_vec());
        state.durable.remove(name);
        state.due.retain(|due| {
            let on_device = fleet
                .get(due.device)
                .is_some_and(|device| device.lock().holds(&due.bytes));
            on_device || durable.contains(&due.digest)
        });
    }

    /// Promise 1, at the moment that counts: gleaner has just removed this file from that device.
    ///
    /// What was written to a withdrawn file after the device last looked at it for gleaner cannot be known: that is the one limit here.
    pub(super) fn check_removal(
        &self,
        number: usize,
        device: &DeviceState,
        file: &DeviceFile,
        disk: &ForgetfulDisk,
    ) {
        let bytes = file.bytes.as_slice();
        if file.looked_at.is_some_and(|looked_at| looked_at < file.written) {
            self.destroyed(number, bytes);
            return;
        }
        let is_due = self
            .lock()
            .due
            .iter()
            .any(|due| due.device == number && *due.bytes == bytes);
        if is_due && !device.holds(bytes) && !disk.surely_holds(bytes) {
            self.breach(format!(
                "promise 1: {} bytes released by device {number} are not durable in the store",
                bytes.len()
            ));
        }
    }

    /// Promise 1: every finished recording is whole on its device, or whole and durable in the store.
    pub fn check_no_loss(&self, fleet: &[Device], disk: &ForgetfulDisk) {
        let durable = disk.durable_contents();
        let mut due = self.lock().due.clone();
        due.retain(|recording| !durable.contains(&recording.digest));
        for recording in due {
            let device = fleet.get(recording.device);
            if !device.is_some_and(|device| device.lock().holds(&recording.bytes)) {
                self.breach(format!("promise 1: {recording} is lost"));
            }
        }
    }

    /// Promise 2: what is visible is complete and true, and what was durable is still there and the same.
    pub fn check_store(&self, disk: &ForgetfulDisk) {
        let visible = disk.visible();
        let mut state = self.lock();
        let mut breaches = Vec::new();
        for (name, file) in visible.iter().filter(|(name, _)| !state.spoilt.contains(*name)) {
            let found = file.digest;
            if !state.is_true(name, found) {
                breaches.push(format!(
                    "promise 2: {} in the store ({} bytes) is nothing that was recorded under that name",
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
        let durable = visible
            .iter()
            .filter(|(name, file)| file.is_durable && !state.spoilt.contains(*name));
        let durable: Vec<_> = durable.map(|(name, file)| (name.clone(), file.digest)).collect();
        state.durable.extend(durable);
        drop(state);
        for breach in breaches {
            self.breach(breach);
        }
        if let Some(stray) = disk.strays().first() {
            self.breach(format!(
                "promise 2: {} was written beside the store",
                stray.escape_ascii()
            ));
        }
    }

    /// The ledger says of no file that it is stored which is not durable in the store under that name with that digest.
    pub fn check_ledger(&self, ledger: &LedgerContent, disk: &ForgetfulDisk) {
        let visible = disk.visible();
        let spoilt = self.lock().spoilt.clone();
        for (record, row_state) in &ledger.rows {
            let name = record.store_name.as_bytes();
            if spoilt.contains(name) {
                continue;
            }
            let is_there = visible
                .get(name)
                .is_some_and(|file| file.is_durable && file.digest == record.digest);
            if !is_there {
                self.breach(format!(
                    "the ledger says {} of {}, which is not so in the store",
                    match row_state {
                        FileState::Stored => "stored",
                        FileState::Released => "released",
                        FileState::Kept => "kept",
                    },
                    name.escape_ascii()
                ));
            }
        }
    }

    /// Promise 3, when faults are over and some passes were made: everything that can go has gone and is in the store.
    pub fn check_progress(&self, fleet: &[Device], disk: &ForgetfulDisk) {
        for (number, device) in fleet.iter().enumerate() {
            let state = device.lock();
            let stays = !state.kind.abilities().renames_atomically;
            for (path, file) in state.files().filter(|_| !stays) {
                let size = file.bytes.len();
                self.breach(format!(
                    "promise 3: {} ({size} bytes) is still on device {number}",
                    path.escape_ascii()
                ));
            }
            for path in state.folders().filter(|path| is_withdrawn_folder(path)) {
                self.breach(format!(
                    "promise 3: the folder {} is still on device {number}",
                    path.escape_ascii()
                ));
            }
        }
        let (due, was_spoilt) = {
            let state = self.lock();
            (state.due.clone(), !state.spoilt.is_empty())
        };
        let durable = disk.durable_contents();
        for recording in due.iter().filter(|due| !durable.contains(&due.digest)) {
            // What cannot leave its device is not stored again when the store loses it: an audit tells.
            let device = fleet.get(recording.device).map(Device::lock);
            let stays = device.is_some_and(|device| {
                !device.kind.abilities().renames_atomically && device.holds(&recording.bytes)
            });
            if !(stays && was_spoilt) {
                self.breach(format!("promise 3: {recording} never came to the store"));
            }
        }
    }

    /// Some weeks later nothing is left in staging either: for a week, what could be resumed is kept.
    pub fn check_staging(&self, disk: &ForgetfulDisk) {
        for name in disk.staged() {
            self.breach(format!("promise 3: {} is left in staging", name.escape_ascii()));
        }
    }

    /// Notes that a promise was broken.
    pub fn breach(&self, what: String) {
        let mut state = self.lock();
        if state.breaches.len() < TOLD {
            state.breaches.push(what);
        }
    }

    /// The first promises that were broken.
    pub fn breaches(&self) -> Vec<String> {
        self.lock().breaches.clone()
    }

    /// How many recordings were finished, and how many of them a device's own card has forgotten.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.recorded, state.forgiven)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Recording {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, size) = (self.path.escape_ascii(), self.bytes.len());
        write!(formatter, "{path} ({size} bytes) of device {}", self.device)
    }
}

impl State {
    /// Whether some device had that content, closed, under a path that leads to this name.
    fn is_true(&self, name: &[u8], content: Digest) -> bool {
        self.true_contents.contains(&(without_marks(name), content))
    }
}

impl Naming {
    fn name(self, device: usize, path: &[u8]) -> Vec<u8> {
        match self {
            Self::ByDevice => [station_name(device).as_bytes(), b"/", path].concat(),
            Self::Together => path.to_vec(),
        }
    }
}

/// The name of a device of the fleet.
pub fn station_name(number: usize) -> String {
    format!("bee{number}")
}

/// A name without what gleaner adds to it: `~`, alone or with digits of a digest.
fn without_marks(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut left = name;
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first != b'~' {
            plain.push(*first);
            continue;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if matches!(digits, 8 | 16 | 64) {
            left = rest.get(digits..).unwrap_or_default();
        }
    }
    plain
}

/// The path that a file had before it was withdrawn.
pub(super) fn original_path(path: &[u8]) -> Vec<u8> {
    let relative = model::RelativePath::new(path).ok();
    let withdrawn = relative.and_then(|path| engine::withdrawn::parse(&path));
    withdrawn.map_or_else(
        || path.to_vec(),
        |withdrawn| withdrawn.original.as_bytes().to_vec(),
    )
}

fn is_withdrawn_folder(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|component| component == model::names::WITHDRAWN_FOLDER)
}
