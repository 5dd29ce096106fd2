//! Which folder each source turns out to be. Of two names that lead to one folder only the first is served.
//!
//! A wrong port leads a name to another device, and no key shows it, because cloned cards share their keys.
//! The folder itself shows it: boot id, device number and inode together stand for one folder. Containers
//! share the first, cloned cards the others. The ledger remembers them, so that the name that was first stays
//! first in later sweeps. A visit that does not confirm what is remembered ends that: the name may have been
//! corrected since, and the next name takes its place in the order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use model::{DeviceName, FailureClass, SourcePath, Timestamp};
use tokio::sync::Notify;

use crate::ports::{Claim, ClaimedFolder, DeviceFacts, DeviceFailure};
use crate::rules::DeviceRules;

/// A source of a device.
type Place = (DeviceName, SourcePath);

/// The claims of a fleet, which the visits of a sweep share.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    book: Mutex<Book>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Book {
    of_place: HashMap<Place, Claim>,
    of_folder: HashMap<ClaimedFolder, HashSet<Place>>,
    /// For sources that this sweep has visited: whether the visit confirmed what they claim. If not, the
    /// claim refuses nothing any more.
    confirmed: HashMap<Place, bool>,
    /// Devices of this sweep that have neither told nor ended.
    awaited: HashSet<DeviceName>,
    /// For each device that was second when it was last visited: those that were first.
    first: HashMap<DeviceName, HashSet<DeviceName>>,
}

/// What became of the claims of one device.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// For the ledger.
    pub(crate) claims: Vec<(SourcePath, Claim)>,
    /// Sources that must not be touched, and why.
    pub(crate) refused: HashMap<SourcePath, DeviceFailure>,
}

impl Claims {
    /// What the ledger remembers of the devices that are configured, before a sweep over some of them.
    pub(crate) fn from_ledger(
        rows: Vec<(DeviceName, SourcePath, Claim)>,
        visited: &[DeviceRules],
        configured: &[DeviceRules],
    ) -> Self {
        let sources = |device: &DeviceRules| {
            let name = device.name.clone();
            device
                .sources
                .clone()
                .into_iter()
                .map(move |source| (name.clone(), source))
        };
        let configured: HashSet<Place> = configured.iter().flat_map(sources).collect();
        let mut book = Book::default();
        for (device, source, claim) in rows {
            let place = (device, source);
            if configured.contains(&place) {
                book.insert(place, claim);
            }
        }
        book.first = book.who_was_first();
        book.awaited = visited.iter().map(|device| device.name.clone()).collect();
        Self {
            book: Mutex::new(book),
            settled: Notify::new(),
        }
    }

    /// A visit to this device begins: until what is returned is dropped, or the device has told, others may
    /// wait for it.
    pub(crate) fn begin<'a>(&'a self, device: &'a DeviceName) -> Begun<'a> {
        Begun { claims: self, device }
    }

    /// Waits until those have told, or ended, that were first when this device was last visited. It may lead
    /// elsewhere by now, or they may; and after a restart of the device in question nothing else says who was
    /// first.
    pub(crate) async fn wait_for_first(&self, device: &DeviceName) {
        loop {
            let settled = self.settled.notified();
            if !self.lock().is_to_wait(device) {
                return;
            }
            settled.await;
        }
    }

    /// Claims the folders that the sources of a device are. What it cannot tell leaves what was known.
    pub(crate) fn claim(&self, device: &DeviceRules, facts: &DeviceFacts, now: Timestamp) -> Claimed {
        let mut book = self.lock();
        let place = |source: &SourcePath| (device.name.clone(), source.clone());
        let before: Vec<Option<Claim>> = device
            .sources
            .iter()
            .map(|source| book.remove(&place(source)))
            .collect();
        let mut claimed = Claimed::default();
        for (source, before) in device.sources.iter().zip(before) {
            let place = place(source);
            let folder = folder_of(facts, source);
            book.confirmed.insert(place.clone(), folder.is_some());
            let claim = match folder {
                Some(folder) => {
                    let before = before.filter(|before| before.folder == folder);
                    let (claim, first) = book.put_in_order(&device.name, folder, before, now);
                    if let Some(first) = first {
                        let is_remembered = !book.confirmed.contains_key(&first);
                        let refusal = refusal(device, source, &first, is_remembered);
                        claimed.refused.insert(source.clone(), refusal);
                    }
                    Some(claim)
                }
                None => before,
            };
            if let Some(claim) = claim {
                claimed.claims.push((source.clone(), claim.clone()));
                book.insert(place, claim);
            }
        }
        drop(book);
        self.decide(&device.name);
        claimed
    }

    fn decide(&self, device: &DeviceName) {
        if self.lock().awaited.remove(device) {
            self.settled.notify_waiters();
        }
    }

    fn end_visit(&self, device: &DeviceName) {
        let mut book = self.lock();
        let places = book.of_place.keys().filter(|place| place.0 == *device);
        for place in places.cloned().collect::<Vec<_>>() {
            book.confirmed.entry(place).or_insert(false);
        }
        drop(book);
        self.decide(device);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }
}

/// A visit that has begun.
pub(crate) struct Begun<'a> {
    claims: &'a Claims,
    device: &'a DeviceName,
}

impl Begun<'_> {
    /// The visit has been made. What the device claimed earlier, and has not told again, refuses nothing any
    /// more. A visit that was only dropped, because the sweep ends, says nothing about that.
    pub(crate) fn end(self) {
        self.claims.end_visit(self.device);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.claims.decide(self.device);
    }
}

impl Book {
    fn insert(&mut self, place: Place, claim: Claim) {
        let places = self.of_folder.entry(claim.folder.clone()).or_default();
        places.insert(place.clone());
        self.of_place.insert(place, claim);
    }

    fn remove(&mut self, place: &Place) -> Option<Claim> {
        let claim = self.of_place.remove(place)?;
        if let Some(places) = self.of_folder.get_mut(&claim.folder) {
            places.remove(place);
        }
        Some(claim)
    }

    /// The claim of a device with its place in the order, and who comes first if that is another.
    fn put_in_order(
        &self,
        device: &DeviceName,
        folder: ClaimedFolder,
        before: Option<Claim>,
        now: Timestamp,
    ) -> (Claim, Option<Place>) {
        let is_new = before.is_none();
        let mut claim = before.unwrap_or(Claim { folder, since: now });
        let (overtaken, first): (Vec<&Place>, Vec<&Place>) = self
            .preceding(device, &claim, is_new)
            .partition(|place| self.confirmed.get(*place) == Some(&false));
        let earliest = |places: Vec<&Place>| places.into_iter().min_by_key(|place| self.rank(place)).cloned();
        let since = |place: &Place| self.of_place.get(place).map_or(now, |claim| claim.since);
        let first = earliest(first);
        // Two visits may be of one moment, or the clock may have been set back: the order must outlive that.
        let moment = Duration::from_nanos(1);
        if let Some(first) = &first {
            claim.since = claim.since.max(since(first).plus(moment));
        } else if let Some(overtaken) = earliest(overtaken) {
            // From now on this device is first: files do not go to one name today and the other tomorrow.
            claim.since = claim.since.min(since(&overtaken).minus(moment));
        }
        (claim, first)
    }

    /// What claims the folder and comes before this device. A claim of earlier visits has its own place in
    /// the order; a new one comes last.
    fn preceding<'a>(
        &'a self,
        device: &'a DeviceName,
        claim: &'a Claim,
        is_new: bool,
    ) -> impl Iterator<Item = &'a Place> {
        let places = self.of_folder.get(&claim.folder).into_iter().flatten();
        places.filter(move |place| {
            let is_earlier = |other: &Claim| (other.since, &place.0) < (claim.since, device);
            place.0 == *device || is_new || self.of_place.get(*place).is_some_and(is_earlier)
        })
    }

    fn rank<'a>(&self, place: &'a Place) -> (Option<Timestamp>, &'a Place) {
        (self.of_place.get(place).map(|claim| claim.since), place)
    }

    fn who_was_first(&self) -> HashMap<DeviceName, HashSet<DeviceName>> {
        let mut first_of: HashMap<DeviceName, HashSet<DeviceName>> = HashMap::new();
        for places in self.of_folder.values() {
            let Some((first, _)) = places.iter().min_by_key(|place| self.rank(place)) else {
                continue;
            };
            for (second, _) in places.iter().filter(|(device, _)| device != first) {
                first_of.entry(second.clone()).or_default().insert(first.clone());
            }
        }
        first_of
    }

    /// A device that has to wait is waited for by none: otherwise two could wait for each other.
    fn is_to_wait(&self, device: &DeviceName) -> bool {
        let first = self.first.get(device).into_iter().flatten();
        let mut leading = first.filter(|first| !self.first.contains_key(*first));
        leading.any(|first| self.awaited.contains(first))
    }
}

fn folder_of(facts: &DeviceFacts, source: &SourcePath) -> Option<ClaimedFolder> {
    let (_, numbers) = facts.folders.iter().find(|(asked, _)| asked == source)?;
    Some(ClaimedFolder {
        boot_id: facts.boot_id.clone()?,
        numbers: (*numbers)?,
    })
}

fn refusal(
    device: &DeviceRules,
    source: &SourcePath,
    (first, of_first): &Place,
    is_remembered: bool,
) -> DeviceFailure {
    let name = &device.name;
    let message = if first == name {
        format!("the sources {of_first} and {source} of {name} are one folder; it is gathered as {of_first}")
    } else if is_remembered {
        format!(
            "{name} leads to the folder that {first} led to when it last answered ({source} here, {of_first} there); it is gathered as {first} until a sweep has visited both"
        )
    } else {
        format!(
            "{name} and {first} lead to one folder of one device ({source} here, {of_first} there); it is gathered as {first}"
        )
    };
    DeviceFailure {
        remedy: None,
        class: FailureClass::SameDevice,
        message,
    }
}

#[cfg(test)]
mod tests;
