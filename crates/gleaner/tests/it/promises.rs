//! Checks the promises on a fleet at rest: strictly, name by name. It reports the violations, where `checks`
//! would end the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::context::Fleet;
use crate::device::Device;
use crate::recording::{self, Digest, Recorded, shown};

/// The promises, in order of rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// Every finished recording is whole: on its device under its path, or in the store under its name.
    NothingLost,
    /// Every visible file of the store is complete recorded content, under the name of its device and path.
    StoreTrue,
    /// Every file that was visible in the store still is, unchanged.
    StoreUnchanged,
    /// The ledger and the audit agree with the store.
    RecordAgrees,
    /// Once the faults are over, all files are in the store and none is left behind.
    Emptied,
    /// A device without a fault is served, whatever happens to others.
    NotDelayed,
    /// gleaner ends with an exit status that fits, and leaves no process.
    EndsCleanly,
}

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.promise, self.what)
    }
}

/// The violations of one promise.
pub(crate) fn violations(promise: Promise, found: impl IntoIterator<Item = String>) -> Vec<Violation> {
    found
        .into_iter()
        .map(|what| Violation { promise, what })
        .collect()
}

/// Checks a fleet repeatedly, and remembers the files that it saw in the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromiseChecker {
    seen: BTreeMap<PathBuf, Digest>,
}

impl PromiseChecker {
    /// Checks the promises that must hold at any time. No gleaner and no camera may run meanwhile.
    pub(crate) fn check(&mut self, fleet: &Fleet) -> Vec<Violation> {
        let store = fleet.store_files();
        let mut found = violations(Promise::NothingLost, lost(fleet, &store));
        found.extend(violations(Promise::StoreTrue, untrue(fleet, &store)));
        found.extend(violations(Promise::StoreUnchanged, changed(&self.seen, &store)));
        found.extend(violations(Promise::RecordAgrees, disagreements(fleet, &store)));
        self.seen = store;
        found
    }

    /// Returns the files of devices (by number) without a fault that were ready when a run began and are not
    /// in the store now.
    pub(crate) fn unserved(&self, fleet: &Fleet, ready: &[(usize, PathBuf)]) -> Vec<Violation> {
        let name = |number: usize| fleet.device(number).name.as_str();
        let waits = ready
            .iter()
            .filter(|(number, path)| !self.seen.contains_key(&Path::new(name(*number)).join(path)));
        let lines =
            waits.map(|(number, path)| format!("{}: {} was not gathered", name(*number), shown(path)));
        violations(Promise::NotDelayed, lines)
    }

    /// The files that were visible at the last check.
    pub(crate) fn seen(&self) -> &BTreeMap<PathBuf, Digest> {
        &self.seen
    }
}

fn lost(fleet: &Fleet, store: &BTreeMap<PathBuf, Digest>) -> Vec<String> {
    let mut stored: BTreeMap<&Digest, Vec<&Path>> = BTreeMap::new();
    for (path, digest) in store {
        stored.entry(digest).or_default().push(path);
    }
    let on_devices: BTreeMap<&str, _> = fleet
        .devices()
        .iter()
        .map(|device| (device.name.as_str(), device.files()))
        .collect();
    let is_safe = |device: &str, path: &Path, digest: &Digest| {
        let names = stored.get(digest).map_or(&[][..], Vec::as_slice);
        let on_device = on_devices.get(device).and_then(|files| files.get(path));
        names.iter().any(|name| belongs(name, device, path, digest))
            || on_device.is_some_and(|digests| digests.contains(digest))
    };
    let recorded = fleet.manifest.all().into_iter();
    recorded
        .filter(|Recorded { device, path, digest }| !is_safe(device, path, digest))
        .map(|Recorded { device, path, digest }| format!("{device}: {} ({digest})", shown(&path)))
        .collect()
}

fn untrue(fleet: &Fleet, store: &BTreeMap<PathBuf, Digest>) -> Vec<String> {
    let mut recorded: BTreeMap<Digest, Vec<(String, PathBuf)>> = BTreeMap::new();
    for Recorded { device, path, digest } in fleet.manifest.all() {
        recorded.entry(digest).or_default().push((device, path));
    }
    let inspect = |(name, digest): (&PathBuf, &Digest)| match recorded.get(digest) {
        None => Some(format!("{} ({digest}) was never recorded so", shown(name))),
        Some(sources) => {
            let is_named_after_one = sources
                .iter()
                .any(|(device, path)| belongs(name, device, path, digest));
            (!is_named_after_one).then(|| format!("{} has the content of {sources:?}", shown(name)))
        }
    };
    store.iter().filter_map(inspect).collect()
}

fn changed(seen: &BTreeMap<PathBuf, Digest>, store: &BTreeMap<PathBuf, Digest>) -> Vec<String> {
    let inspect = |(name, digest): (&PathBuf, &Digest)| match store.get(name) {
        None => Some(format!("{} ({digest}) has gone from the store", shown(name))),
        Some(now) => (now != digest).then(|| format!("{} was {digest} and is {now}", shown(name))),
    };
    seen.iter().filter_map(inspect).collect()
}

/// Where the ledger, or gleaner's own audit, disagrees with the store and the devices.
fn disagreements(fleet: &Fleet, store: &BTreeMap<PathBuf, Digest>) -> Vec<String> {
    if !fleet.ledger().exists() {
        return Vec::new();
    }
    let audit = fleet.gleaner(["audit"]);
    let mut found = Vec::new();
    if audit.code() != Some(0) {
        found.push(format!("the audit has findings\n{}", audit.transcript()));
    }
    let on_devices: BTreeMap<&str, BTreeSet<Digest>> = fleet
        .devices()
        .iter()
        .map(|device| {
            (
                device.name.as_str(),
                device.files().into_values().flatten().collect(),
            )
        })
        .collect();
    for row in fleet.files() {
        let (name, digest) = (shown(&row.stored_as), &row.sha256);
        if store.get(&row.stored_as) != Some(digest) {
            found.push(format!("the ledger has {name} ({digest}), the store has not"));
        }
        // All empty files have the same digest.
        let is_there = row.size > 0
            && on_devices
                .get(row.device.as_str())
                .is_some_and(|all| all.contains(digest));
        if row.released && is_there {
            found.push(format!(
                "the ledger has {name} as released, and {} has it still",
                row.device
            ));
        }
    }
    found
}

/// Whether a file of the store may have this name: that of its device and path, or its name after a conflict.
/// The name of a folder in place of an obstructed one depends on the path of that folder alone.
pub(crate) fn belongs(name: &Path, device: &str, path: &Path, digest: &Digest) -> bool {
    let wanted: Vec<&[u8]> = std::iter::once(device.as_bytes())
        .chain(path.iter().map(OsStrExt::as_bytes))
        .collect();
    let found: Vec<&[u8]> = name.iter().map(OsStrExt::as_bytes).collect();
    let has_its_name = |(depth, (part, found)): (usize, (&&[u8], &&[u8]))| {
        let of_folder = recording::digest(&wanted[..=depth].join(&b'/'));
        let is_last = depth + 1 == wanted.len();
        part == found || is_conflict_name(found, part, if is_last { digest } else { &of_folder })
    };
    let mut parts = wanted.iter().zip(&found).enumerate();
    wanted.len() == found.len() && parts.all(has_its_name)
}

/// Whether the part is `stem~<digits of the digest>.ext` of the other, perhaps with a shorter stem.
fn is_conflict_name(found: &[u8], wanted: &[u8], digest: &Digest) -> bool {
    [64, 16, 8].iter().any(|digits| {
        let mark = format!("~{}", &digest[..*digits]);
        let at = found
            .windows(mark.len())
            .rposition(|window| window == mark.as_bytes());
        at.is_some_and(|at| {
            let (stem, extension) = (&found[..at], &found[at + mark.len()..]);
            let whole = stem.len() + extension.len() == wanted.len();
            wanted.starts_with(stem) && wanted.ends_with(extension) && (whole || found.len() > 250)
        })
    })
}

impl Fleet {
    /// What is unfinished once every fault is over and gleaner has run again: files or folders left anywhere,
    /// recordings that are not in the store.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut found = Vec::new();
        for device in self.devices() {
            found.extend(remaining_on(device));
        }
        let control = self.store().join(".gleaner");
        let staged = recording::regular_files(&control.join("staging"));
        found.extend(
            staged
                .iter()
                .map(|path| format!("left in staging: {}", shown(path))),
        );
        let store = self.store_files();
        let stored: BTreeSet<&Digest> = store.values().collect();
        let missing = self
            .manifest
            .all()
            .into_iter()
            .filter(|recorded| !stored.contains(&recorded.digest));
        found
            .extend(missing.map(|Recorded { device, path, .. }| {
                format!("not in the store: {device}: {}", shown(&path))
            }));
        found
    }
}

fn remaining_on(device: &Device) -> Vec<String> {
    let mut left: Vec<String> = device
        .paths()
        .iter()
        .map(|path| format!("left on {}: {}", device.name, shown(path)))
        .collect();
    let withdrawn = device.folder.join(recording::WITHDRAWN);
    if withdrawn.exists() {
        let folders = recording::folders_below(&withdrawn);
        left.push(format!(
            "the withdrawn folder is left on {}: {folders:?}",
            device.name
        ));
    }
    left
}
