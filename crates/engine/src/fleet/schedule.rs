//! When each device is visited: a pure decision, on which the daemon acts.
//!
//! The schedule never reads a clock, never sleeps and starts no pass. The caller passes the duration since
//! the daemon's start by a monotonic clock, so that the wall clock and daylight saving have no effect.
//!
//! The daemon begins the first devices of [`Schedule::due`], one for each free slot. Then it waits for
//! [`Schedule::next_due`], the end of a pass or a reload, and starts over.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use model::{DeviceName, FailureClass};

use crate::ports::PassOutcome;

/// The longest time over which new devices are spread. It keeps 500 devices from connecting in one instant,
/// and is short enough for an operator who waits for the first results.
const MAX_SPREAD: Duration = Duration::from_secs(10);

/// How often a device is visited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The pause from the end of one pass to the beginning of the next. Positive.
    pub every: Duration,
    /// The part by which each pause is stretched at random, at most: 0.1 makes 60 s last 60 to 66 s. A value
    /// that is negative or not finite stretches nothing.
    pub jitter: f64,
    /// The longest pause of an unreachable device, before jitter. Less than `every` counts as `every`.
    pub backoff_max: Duration,
}

/// What a visit showed about the contact to its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// The device answered: it was served, or it failed for a reason that its answer shows. The next pause is
    /// `every`.
    Answered,
    /// The device gave no answer. The pause is `every` after the first such visit, since a restart causes
    /// one, and doubles with each further one up to `backoff_max`.
    Unreachable,
    /// The visit shows nothing about the device. The pause stays as it was before the visit.
    Unknown,
}

impl From<&PassOutcome> for Contact {
    /// Classifies the end of a pass.
    ///
    /// A failure that an operator must repair, such as a refused key, never lengthens the pause: the operator
    /// repairs it and expects the device to be served within `every`. [`FailureClass::StartingUp`] is an
    /// answer here, unlike in the exit status: the device is back and soon lets gleaner in. A fault of the
    /// collector, an unknown alias, a refusal by the jump host and a pass that another collector took over
    /// say nothing about the device.
    fn from(outcome: &PassOutcome) -> Self {
        use FailureClass as Class;
        let class = match outcome {
            PassOutcome::Well | PassOutcome::Partial => return Self::Answered,
            PassOutcome::CollectorFailed { .. } | PassOutcome::Interrupted => return Self::Unknown,
            PassOutcome::Failed { class, .. } => class,
        };
        match class {
            Class::JumpUnreachable | Class::TunnelDown | Class::TimedOut => Self::Unreachable,
            Class::AliasUnknown | Class::JumpRefused | Class::LocalFailure | Class::TakenOver => {
                Self::Unknown
            }
            Class::StartingUp
            | Class::HostKeyUnknown
            | Class::HostKeyChanged
            | Class::AuthenticationRefused
            | Class::NoSftpServer
            | Class::SourceMissing
            | Class::SameDevice
            | Class::Permission
            | Class::Protocol
            | Class::Stalled => Self::Answered,
        }
    }
}

/// The visits of a fleet. Every operation scans the devices once at most, and [`Schedule::due`] sorts the due
/// ones.
///
/// If the caller begins due devices in order whenever a slot is free, the schedule guarantees:
/// - No device is due while it is being visited.
/// - A device that answered is visited again within `every * (1 + jitter)` after the end of its pass, plus
///   the time for which all slots were taken. An unreachable one is tried again within
///   `backoff_max * (1 + jitter)`, plus that time.
/// - While a device is overdue, each other device begins at most once before it, unless the caller expedites
///   the other device again and again.
/// - Missed periods are skipped: after a suspend, or a pass longer than `every`, a device is visited once.
#[derive(Debug)]
pub struct Schedule {
    seed: u64,
    devices: BTreeMap<DeviceName, Entry>,
}

#[derive(Debug)]
struct Entry {
    policy: Policy,
    state: State,
    /// When the last visit ended. `None` for a device that goes before all that have an end.
    ended: Option<Duration>,
    /// Visits begun.
    visits: u64,
    /// Visits without an answer since the last answer.
    unanswered: u32,
    /// The part of the jitter that stretches the pause after the last visit, 0 to 1. A reload keeps it, so
    /// that an unchanged policy leaves the due time unchanged.
    stretch: f64,
}

#[derive(Debug)]
enum State {
    Waiting {
        due: Duration,
    },
    Visiting,
    /// Being visited, but no longer configured: the entry goes with the end of the visit.
    Leaving,
}

impl Schedule {
    /// A schedule of devices that have never been visited, spread as [`Schedule::reload`] does it. The same
    /// seed and the same calls lead to the same times.
    pub fn new(seed: u64, devices: BTreeMap<DeviceName, Policy>, now: Duration) -> Self {
        let mut schedule = Self {
            seed,
            devices: BTreeMap::new(),
        };
        schedule.reload(devices, now);
        schedule
    }

    /// Takes the devices of a new configuration.
    ///
    /// - A device that stays keeps its back-off and the end of its last visit. A new `every`, shorter or
    ///   longer, applies to the current pause too; with an unchanged policy the due time stays the same.
    /// - New devices are due from `now` on, spread evenly over `every`, 10 s at most. The first one, and
    ///   therefore a single one, is due at once.
    /// - A device that is gone is never due again. If it is being visited, its pass may end; until then the
    ///   device remains known, so that adding it back cannot begin a second visit beside the first.
    pub fn reload(&mut self, devices: BTreeMap<DeviceName, Policy>, now: Duration) {
        self.devices.retain(|name, entry| {
            match (&entry.state, devices.contains_key(name)) {
                (State::Waiting { .. }, configured) => return configured,
                (_, true) => entry.state = State::Visiting,
                (_, false) => entry.state = State::Leaving,
            }
            true
        });
        let new = devices.keys().filter(|name| !self.devices.contains_key(name));
        let new = u32::try_from(new.count()).unwrap_or(u32::MAX);
        let mut places = 0..new;
        for (name, policy) in devices {
            match self.devices.entry(name) {
                MapEntry::Occupied(known) => known.into_mut().change(policy),
                MapEntry::Vacant(vacant) => {
                    let delay = policy.every.min(MAX_SPREAD) * places.next().unwrap_or(0) / new;
                    let due = now.saturating_add(delay);
                    vacant.insert(Entry {
                        policy,
                        state: State::Waiting { due },
                        ended: None,
                        visits: 0,
                        unanswered: 0,
                        stretch: 0.0,
                    });
                }
            }
        }
    }

    /// The devices whose visit should begin, in this order: those never visited, then the others, each group
    /// with the longest overdue first, and by name among those that are equally overdue.
    pub fn due(&self, now: Duration) -> Vec<&DeviceName> {
        let waiting = self.devices.iter().filter_map(|(name, entry)| {
            let due = entry.due().filter(|due| *due <= now)?;
            Some((entry.ended.is_some(), due, name))
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, _, name)| name).collect()
    }

    /// When the next waiting device is, or was, due; `None` while no device waits. A time in the past means
    /// that a device waits for a slot: then the caller must wait for the end of a pass, not for this time.
    pub fn next_due(&self) -> Option<Duration> {
        self.devices.values().filter_map(Entry::due).min()
    }

    /// When this device is, or was, due; `None` while it is being visited, and for an unknown device.
    pub fn due_of(&self, device: &DeviceName) -> Option<Duration> {
        self.devices.get(device).and_then(Entry::due)
    }

    /// Begins the visit of a device, which need not be due: an operator may ask for it. Returns false, and
    /// changes nothing, if the device is being visited already or is not configured.
    #[must_use = "without it, the device may be visited twice at once"]
    pub fn begin(&mut self, device: &DeviceName) -> bool {
        let known = self.devices.get_mut(device);
        let Some(entry) = known.filter(|entry| entry.due().is_some()) else {
            return false;
        };
        entry.state = State::Visiting;
        entry.visits += 1;
        entry.stretch = stretch(self.seed, device, entry.visits);
        true
    }

    /// Ends the visit of a device, also of one that left the configuration meanwhile. The pause to its next
    /// visit begins now. Does nothing for a device that is not being visited.
    pub fn end(&mut self, device: &DeviceName, contact: Contact, now: Duration) {
        let Some(entry) = self.devices.get_mut(device) else {
            return;
        };
        match entry.state {
            State::Waiting { .. } => {}
            State::Leaving => {
                self.devices.remove(device);
            }
            State::Visiting => {
                entry.unanswered = match contact {
                    Contact::Answered => 0,
                    Contact::Unreachable => entry.unanswered.saturating_add(1),
                    Contact::Unknown => entry.unanswered,
                };
                entry.wait_from(now);
            }
        }
    }

    /// Treats a device as one that was never visited: due now at the latest, before all that were, without
    /// back-off. For a device whose address or key the operator has just corrected. A visit in progress
    /// continues, and its end counts as the first.
    pub fn expedite(&mut self, device: &DeviceName, now: Duration) {
        let Some(entry) = self.devices.get_mut(device) else {
            return;
        };
        entry.unanswered = 0;
        entry.ended = None;
        if let State::Waiting { due } = &mut entry.state {
            *due = now.min(*due);
        }
    }
}

impl Entry {
    fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Visiting | State::Leaving => None,
        }
    }

    fn change(&mut self, policy: Policy) {
        self.policy = policy;
        if let (State::Waiting { .. }, Some(ended)) = (&self.state, self.ended) {
            self.wait_from(ended);
        }
    }

    fn wait_from(&mut self, ended: Duration) {
        let policy = self.policy;
        let doublings = self.unanswered.saturating_sub(1).min(31);
        let longest = policy.backoff_max.max(policy.every);
        let pause = policy.every.saturating_mul(1 << doublings).min(longest);
        // Not a duration if the configured part is negative or not finite: then no jitter.
        let jitter = Duration::try_from_secs_f64(pause.as_secs_f64() * policy.jitter * self.stretch);
        let due = ended
            .saturating_add(pause)
            .saturating_add(jitter.unwrap_or_default());
        self.ended = Some(ended);
        self.state = State::Waiting { due };
    }
}

/// A number from 0 to 1, always the same for the same visit.
fn stretch(seed: u64, device: &DeviceName, visit: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, device, visit).hash(&mut hasher);
    let random = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
