//! Which folder each source is. If two names lead to one folder, only the first name is served.
//!
//! A wrong port leads a name to another device. Host keys do not reveal it, because cloned cards share their
//! keys. The folder itself does: boot id, device number and inode together identify one folder. Containers
//! share the boot id, cloned cards the other two. The ledger keeps the claims, so that the first name stays
//! first in later sweeps. A visit that does not confirm a claim ends its precedence: the name may have been
//! corrected since, and the next name moves up in the order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use model::{DeviceName, FailureClass, SourcePath, Timestamp};
use tokio::sync::Notify;

use crate::ports::{Claim, ClaimedFolder, DeviceFacts, DeviceFailure};
use crate::rules::DeviceRules;

/// A source of a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SourceKey {
    device: DeviceName,
    source: SourcePath,
}

/// The claims of a fleet, shared by the visits of a sweep.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    table: Mutex<ClaimTable>,
    /// Notified when a device reports its folders or its visit ends.
    visit_progress: Notify,
}

#[derive(Debug, Default)]
struct ClaimTable {
    of_source: HashMap<SourceKey, Claim>,
    of_folder: HashMap<ClaimedFolder, HashSet<SourceKey>>,
    /// Sources that this sweep has visited, and whether the visit confirmed their claim. A claim that was not
    /// confirmed refuses no other source any more.
    confirmed: HashMap<SourceKey, bool>,
    /// Devices of this sweep that have neither reported their folders nor ended their visit.
    awaited: HashSet<DeviceName>,
    /// For each device that came second at its last visit: the devices that came first.
    predecessors: HashMap<DeviceName, HashSet<DeviceName>>,
}

/// The claims of one device after it reported its folders.
#[derive(Debug, Default)]
pub(crate) struct ClaimResult {
    /// The claims to record in the ledger.
    pub(crate) claims: Vec<(SourcePath, Claim)>,
    /// Sources that must not be touched, and why.
    pub(crate) refused: HashMap<SourcePath, DeviceFailure>,
}

/// A claim at its position in the order of its folder.
struct Rank {
    claim: Claim,
    /// The source that comes before it, if any.
    first: Option<SourceKey>,
}

impl Claims {
    /// Loads the claims of the configured devices, before a sweep over the `visited` ones.
    pub(crate) fn from_ledger(
        rows: Vec<(DeviceName, SourcePath, Claim)>,
        visited: &[DeviceRules],
        configured: &[DeviceRules],
    ) -> Self {
        let configured: HashSet<SourceKey> = configured.iter().flat_map(keys_of).collect();
        let mut table = ClaimTable::default();
        for (device, source, claim) in rows {
            let key = SourceKey { device, source };
            if configured.contains(&key) {
                table.insert(key, claim);
            }
        }
        table.predecessors = table.find_predecessors();
        table.awaited = visited.iter().map(|device| device.name.clone()).collect();
        Self {
            table: Mutex::new(table),
            visit_progress: Notify::new(),
        }
    }

    /// Begins a visit to this device. Other devices may wait for it until the guard is dropped or the device
    /// has reported its folders.
    pub(crate) fn begin_visit<'a>(&'a self, device: &'a DeviceName) -> VisitGuard<'a> {
        let mut table = self.lock();
        table.awaited.insert(device.clone());
        table.confirmed.retain(|key, _| key.device != *device);
        drop(table);
        VisitGuard { claims: self, device }
    }

    /// Waits until the devices that came first at this device's last visit have reported their folders or
    /// ended their visits.
    ///
    /// Either name may lead to another device by now. After a reboot of the device, only this order still
    /// says which name was first.
    pub(crate) async fn wait_for_predecessors(&self, device: &DeviceName) {
        loop {
            let progress = self.visit_progress.notified();
            if !self.lock().must_wait(device) {
                return;
            }
            progress.await;
        }
    }

    /// Claims the folders of a device's sources. A source whose folder the device cannot identify keeps its
    /// earlier claim.
    pub(crate) fn claim(&self, device: &DeviceRules, facts: &DeviceFacts, now: Timestamp) -> ClaimResult {
        let mut table = self.lock();
        let earlier: Vec<Option<Claim>> = keys_of(device).map(|key| table.remove(&key)).collect();
        let mut result = ClaimResult::default();
        for (key, earlier) in keys_of(device).zip(earlier) {
            let folder = folder_of(facts, &key.source);
            table.confirmed.insert(key.clone(), folder.is_some());
            let claim = match folder {
                Some(folder) => {
                    let earlier = earlier.filter(|earlier| earlier.folder == folder);
                    let rank = table.rank(&device.name, folder, earlier, now);
                    if let Some(first) = rank.first {
                        let is_remembered = !table.confirmed.contains_key(&first);
                        let refusal = refusal(&key, &first, is_remembered);
                        result.refused.insert(key.source.clone(), refusal);
                    }
                    Some(rank.claim)
                }
                None => earlier,
            };
            if let Some(claim) = claim {
                result.claims.push((key.source.clone(), claim.clone()));
                table.insert(key, claim);
            }
        }
        drop(table);
        self.stop_awaiting(&device.name);
        result
    }

    fn stop_awaiting(&self, device: &DeviceName) {
        if self.lock().awaited.remove(device) {
            self.visit_progress.notify_waiters();
        }
    }

    fn end_visit(&self, device: &DeviceName) {
        let mut table = self.lock();
        let keys = table.of_source.keys().filter(|key| key.device == *device);
        for key in keys.cloned().collect::<Vec<_>>() {
            table.confirmed.entry(key).or_insert(false);
        }
        drop(table);
        self.stop_awaiting(device);
    }

    fn lock(&self) -> MutexGuard<'_, ClaimTable> {
        self.table.lock()
    }
}

/// A visit in progress.
pub(crate) struct VisitGuard<'a> {
    claims: &'a Claims,
    device: &'a DeviceName,
}

impl VisitGuard<'_> {
    /// Ends the visit. Earlier claims that the device did not confirm refuse no other source any more.
    ///
    /// Dropping the guard instead, because the sweep ends, leaves the claims as they are.
    pub(crate) fn end(self) {
        self.claims.end_visit(self.device);
    }
}

impl Drop for VisitGuard<'_> {
    fn drop(&mut self) {
        self.claims.stop_awaiting(self.device);
    }
}

impl ClaimTable {
    fn insert(&mut self, key: SourceKey, claim: Claim) {
        let keys = self.of_folder.entry(claim.folder.clone()).or_default();
        keys.insert(key.clone());
        self.of_source.insert(key, claim);
    }

    fn remove(&mut self, key: &SourceKey) -> Option<Claim> {
        let claim = self.of_source.remove(key)?;
        if let Some(keys) = self.of_folder.get_mut(&claim.folder) {
            keys.remove(key);
        }
        Some(claim)
    }

    /// Ranks a device's claim among those of the same folder.
    fn rank(
        &self,
        device: &DeviceName,
        folder: ClaimedFolder,
        earlier: Option<Claim>,
        now: Timestamp,
    ) -> Rank {
        let is_new = earlier.is_none();
        let mut claim = earlier.unwrap_or(Claim { folder, since: now });
        let (overtaken, first): (Vec<&SourceKey>, Vec<&SourceKey>) = self
            .preceding(device, &claim, is_new)
            .partition(|key| self.confirmed.get(*key) == Some(&false));
        let earliest = |keys: Vec<&SourceKey>| keys.into_iter().min_by_key(|key| self.order_of(key)).cloned();
        let since = |key: &SourceKey| self.of_source.get(key).map_or(now, |claim| claim.since);
        let first = earliest(first);
        // Two visits may have the same time, or the clock may have been set back. The order must survive
        // both.
        let moment = Duration::from_nanos(1);
        if let Some(first) = &first {
            claim.since = claim.since.max(since(first).plus(moment));
        } else if let Some(overtaken) = earliest(overtaken) {
            // This device is first from now on. Otherwise files would go to one name today and the other
            // tomorrow.
            claim.since = claim.since.min(since(&overtaken).minus(moment));
        }
        Rank { claim, first }
    }

    /// The sources that claim the folder and come before this device. An earlier claim keeps its position in
    /// the order; a new one comes last.
    fn preceding<'a>(
        &'a self,
        device: &'a DeviceName,
        claim: &'a Claim,
        is_new: bool,
    ) -> impl Iterator<Item = &'a SourceKey> {
        let keys = self.of_folder.get(&claim.folder).into_iter().flatten();
        keys.filter(move |key| {
            let is_earlier = |other: &Claim| (other.since, &key.device) < (claim.since, device);
            key.device == *device || is_new || self.of_source.get(*key).is_some_and(is_earlier)
        })
    }

    fn order_of<'a>(&self, key: &'a SourceKey) -> (Option<Timestamp>, &'a SourceKey) {
        (self.of_source.get(key).map(|claim| claim.since), key)
    }

    fn find_predecessors(&self) -> HashMap<DeviceName, HashSet<DeviceName>> {
        let mut predecessors: HashMap<DeviceName, HashSet<DeviceName>> = HashMap::new();
        for keys in self.of_folder.values() {
            let Some(first) = keys.iter().min_by_key(|key| self.order_of(key)) else {
                continue;
            };
            for second in keys.iter().filter(|key| key.device != first.device) {
                let before = predecessors.entry(second.device.clone()).or_default();
                before.insert(first.device.clone());
            }
        }
        predecessors
    }

    /// Whether a device must wait for another. No device waits for one that has predecessors itself:
    /// otherwise two could wait for each other.
    fn must_wait(&self, device: &DeviceName) -> bool {
        let before = self.predecessors.get(device).into_iter().flatten();
        let mut leading = before.filter(|first| !self.predecessors.contains_key(*first));
        leading.any(|first| self.awaited.contains(first))
    }
}

fn keys_of(device: &DeviceRules) -> impl Iterator<Item = SourceKey> {
    device.sources.iter().map(|source| SourceKey {
        device: device.name.clone(),
        source: source.clone(),
    })
}

fn folder_of(facts: &DeviceFacts, source: &SourcePath) -> Option<ClaimedFolder> {
    let (_, numbers) = facts.folders.iter().find(|(requested, _)| requested == source)?;
    Some(ClaimedFolder {
        boot_id: facts.boot_id.clone()?,
        numbers: (*numbers)?,
    })
}

/// The failure of a source whose folder another source claims first. `is_remembered`: this sweep has not
/// visited the other source yet.
fn refusal(refused: &SourceKey, first: &SourceKey, is_remembered: bool) -> DeviceFailure {
    let (name, source) = (&refused.device, &refused.source);
    let (first, of_first) = (&first.device, &first.source);
    let message = if first == name {
        format!("the sources {of_first} and {source} of {name} are one folder; it is gathered as {of_first}")
    } else if is_remembered {
        format!(
            "{name} leads to the folder that {first} led to when it last answered \
             ({source} here, {of_first} there); \
             it is gathered as {first} until a sweep has visited both"
        )
    } else {
        format!(
            "{name} and {first} lead to one folder of one device ({source} here, {of_first} there); \
             it is gathered as {first}"
        )
    };
    DeviceFailure::new(FailureClass::SameDevice, message)
}

#[cfg(test)]
mod tests;
