//! Decides what to do with each entry of a listing. Pure: listing, ledger and rules in, decision out.

use std::time::Duration;

use model::{FileState, Identity, LeaveReason, LedgerId, RelativePath, Timestamp, WaitReason};

pub mod oldest;
pub(crate) mod work;

use crate::file_system;
use crate::ports::{Abilities, ClockReading, Entry, EntryKind, KnownFile, Openness, Reason, RowId};
use crate::rules::{ReleaseRule, Rules};
use crate::withdrawn;

/// A file that is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The path that the recorder gave the file.
    pub original: RelativePath,
    /// The path at the survey: the original path, or one in a withdrawn folder.
    pub current_path: RelativePath,
    /// The identity at the survey.
    pub identity: Identity,
    /// Untouched for `settle_blind`: it may be gathered even if the device cannot show whether it is open.
    pub settled_blind: bool,
}

impl Candidate {
    /// Whether an earlier pass withdrew the file.
    pub fn is_withdrawn(&self) -> bool {
        self.original != self.current_path
    }
}

/// The context in which the entries of one survey are classified.
#[derive(Debug)]
pub struct SurveyContext<'a> {
    /// The rules of the device.
    pub rules: &'a Rules,
    /// What the device can prove.
    pub abilities: Abilities,
    /// The ledger of this collector: withdrawn files of its id are ours.
    pub ledger: &'a LedgerId,
    /// The device's clock at this survey. `None` if the device does not report its clock.
    pub now: Option<Timestamp>,
    /// When the listing was requested or earlier, by the collector's monotonic clock.
    pub requested: Timestamp,
    /// When the device booted, by the clock of `now`.
    pub booted: Option<Timestamp>,
    /// Whether the device's clock agrees with its readings in earlier passes.
    pub clock_trusted: bool,
}

/// The class of one entry of a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryClass {
    /// Nothing to do, and nothing to report.
    Skip,
    /// A folder old enough to be removed if the rules say so. It may still hold files.
    OldFolder,
    /// A settled file: gather it.
    Ready(Candidate),
    /// A file without a trusted timestamp. It is settled once it stays unchanged for this long by the
    /// collector's clock.
    SecondLook(Candidate, Duration),
    /// A file that is not gathered now.
    Remaining(Reason),
}

/// A withdrawn file of another collector is reported from this age on. A younger one is still being handled.
const MIN_FOREIGN_AGE: Duration = Duration::from_hours(7 * 24);

/// A folder is removed from this age on. The recorder may be about to use a younger one.
const MIN_FOLDER_AGE: Duration = Duration::from_hours(24);

/// Classifies one entry of a survey.
pub fn classify_entry(entry: &Entry, context: &SurveyContext<'_>) -> EntryClass {
    let withdrawn = withdrawn::parse(&entry.path);
    let leave = |reason| EntryClass::Remaining(Reason::Leave(reason));
    match entry.kind {
        EntryKind::Folder if withdrawn::is_within(&entry.path) || file_system::owns_folder(&entry.path) => {
            EntryClass::Skip
        }
        EntryKind::Folder
            if context.clock_trusted
                && untouched_for(entry.identity.modified, context)
                    .is_some_and(|age| age >= MIN_FOLDER_AGE) =>
        {
            EntryClass::OldFolder
        }
        EntryKind::Folder => EntryClass::Skip,
        EntryKind::Link => leave(LeaveReason::Link),
        EntryKind::Special => leave(LeaveReason::Special),
        EntryKind::File => match withdrawn {
            Some(withdrawn) if withdrawn.ledger != context.ledger.as_str().as_bytes() => {
                classify_foreign(entry, context)
            }
            Some(withdrawn) => classify_file(entry, withdrawn.original, context),
            None if withdrawn::is_within(&entry.path) => leave(LeaveReason::ForeignWithdrawn),
            None if context.rules.exclude.excludes(entry.path.as_bytes()) => leave(LeaveReason::Excluded),
            None if file_system::owns_file(&entry.path) => leave(LeaveReason::FileSystem),
            None => classify_file(entry, entry.path.clone(), context),
        },
    }
}

/// Why a folder that cannot be listed is left. Such a folder may be excluded by the rules, too.
pub(crate) fn classify_unlistable(folder: &RelativePath, rules: &Rules) -> LeaveReason {
    if withdrawn::is_within(folder) {
        LeaveReason::WithdrawnUnreadable
    } else if rules.exclude.excludes_folder(folder.as_bytes()) {
        LeaveReason::Excluded
    } else if file_system::owns_folder(folder) {
        LeaveReason::FileSystem
    } else {
        LeaveReason::FolderUnreadable
    }
}

fn classify_foreign(entry: &Entry, context: &SurveyContext<'_>) -> EntryClass {
    if withdrawn::is_left_by_trial(&entry.path) && entry.identity.size == 0 {
        return EntryClass::Skip;
    }
    match untouched_for(entry.identity.modified, context) {
        Some(age) if age < MIN_FOREIGN_AGE => EntryClass::Skip,
        _ => EntryClass::Remaining(Reason::Leave(LeaveReason::ForeignWithdrawn)),
    }
}

fn classify_file(entry: &Entry, original: RelativePath, context: &SurveyContext<'_>) -> EntryClass {
    let (needed, not_yet) = match entry.openness {
        Openness::Open => return EntryClass::Remaining(Reason::Wait(WaitReason::Open)),
        Openness::Closed | Openness::Unasked => (context.rules.settle, WaitReason::Settling),
        Openness::Unknown => (context.rules.settle_blind, WaitReason::SettlingBlind),
    };
    let mut candidate = Candidate {
        original,
        current_path: entry.path.clone(),
        identity: entry.identity,
        // A second look settles the file only after `needed`, which is `settle_blind` here.
        settled_blind: entry.openness == Openness::Unknown,
    };
    let is_unseen = entry.openness == Openness::Unknown;
    // Any process can set the mtime. If the device reports no ctime, only two surveys prove that a file
    // rests.
    if is_unseen && entry.identity.changed.is_none() {
        return if was_just_touched(entry.identity.modified, context) {
            EntryClass::Remaining(Reason::Wait(not_yet))
        } else {
            EntryClass::SecondLook(candidate, needed)
        };
    }
    // The file had settled when it was withdrawn, perhaps only for `settle`: the device showed it closed
    // then.
    let was_settled = candidate.is_withdrawn() && !is_unseen;
    // If the device cannot show open files, a backdated mtime must not hide a writer: the last change of any
    // kind counts.
    let touched = if is_unseen {
        last_change(entry.identity)
    } else {
        entry.identity.modified
    };
    match untouched_for(touched, context) {
        Some(age) if is_time_believable(entry.identity, context, needed, was_settled) => {
            if age < needed {
                EntryClass::Remaining(Reason::Wait(not_yet))
            } else {
                candidate.settled_blind = has_settled_blind(&candidate, context);
                EntryClass::Ready(candidate)
            }
        }
        None if was_just_touched(touched, context) => EntryClass::Remaining(Reason::Wait(not_yet)),
        _ => EntryClass::SecondLook(candidate, needed),
    }
}

/// How far an mtime may be ahead of the device's clock reading. The device reads its clock before it lists
/// its files, so a file written meanwhile has a time that seems to be in the future.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Whether a time in the future may be that of a write since the device read its clock.
fn was_just_touched(touched: Timestamp, context: &SurveyContext<'_>) -> bool {
    context
        .now
        .is_some_and(|now| touched > now && touched < now.plus(MAX_CLOCK_SKEW))
}

/// Whether a file would have settled on a device that cannot show open files. A withdrawal does not prove it:
/// the device may have shown the file closed, and then `settle` was enough.
fn has_settled_blind(candidate: &Candidate, context: &SurveyContext<'_>) -> bool {
    let (touched, needed) = (last_change(candidate.identity), context.rules.settle_blind);
    candidate.identity.changed.is_some()
        && untouched_for(touched, context).is_some_and(|age| age >= needed)
        && is_time_believable(candidate.identity, context, needed, false)
}

/// The later of mtime and ctime. No process can set a ctime.
fn last_change(identity: Identity) -> Timestamp {
    identity
        .changed
        .map_or(identity.modified, |changed| changed.max(identity.modified))
}

/// The time since `touched` by the device's clock. `None` if the device reports no clock, or for a future
/// time.
fn untouched_for(touched: Timestamp, context: &SurveyContext<'_>) -> Option<Duration> {
    let now = context.now?;
    (touched <= now).then(|| now.since(touched))
}

/// Whether the times of a file can be compared with the device's clock.
///
/// A clock without a battery starts at a stale time and is set some time after boot. A file whose last change
/// seems to be before that, or just after, may have been changed a moment ago.
fn is_time_believable(
    identity: Identity,
    context: &SurveyContext<'_>,
    needed: Duration,
    was_settled: bool,
) -> bool {
    let after_boot = context
        .booted
        .is_none_or(|booted| last_change(identity) >= booted.plus(needed));
    // A withdrawn file had settled once, when the clock ran as it does now.
    context.clock_trusted && (after_boot || was_settled)
}

/// What to do with a settled file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Withdraw it, then gather it. With a row: the ledger says that this version is stored but was not
    /// released.
    Withdraw(Option<RowId>),
    /// Gather it where it is. It stays there.
    GatherInPlace(LeaveReason),
    /// Gather it from its withdrawn folder.
    Resume,
    /// It is withdrawn, and the ledger says that it is stored: prove the stored copy again, then release it.
    ProveAgain(Box<KnownFile>),
    /// It is stored and stays. The row must say so.
    Keep(RowId, LeaveReason),
}

impl Decision {
    /// The stable code that a dry run prints.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Withdraw(_) => "gather",
            Self::GatherInPlace(_) => "gather-in-place",
            Self::Resume => "resume-withdrawn",
            Self::ProveAgain(_) => "prove-again",
            Self::Keep(..) => "keep",
        }
    }
}

/// Decides about one settled file. `known_file` is the newest row of its original path.
pub fn decide(
    candidate: &Candidate,
    known_file: Option<&KnownFile>,
    rules: &Rules,
    abilities: Abilities,
) -> Decision {
    let known =
        known_file.filter(|row| row.identity == candidate.identity && row.state != FileState::Released);
    if candidate.is_withdrawn() {
        return match known {
            // Size and whole seconds alone never save a fetch: several versions may share them.
            Some(row) if candidate.identity.is_complete() => Decision::ProveAgain(Box::new(row.clone())),
            _ => Decision::Resume,
        };
    }
    let stays = match rules.release {
        ReleaseRule::Keep => Some(LeaveReason::KeptByRule),
        ReleaseRule::Delete if abilities.is_read_only => Some(LeaveReason::ServerReadOnly),
        ReleaseRule::Delete if !abilities.renames_atomically => Some(LeaveReason::RenameUnsupported),
        ReleaseRule::Delete => None,
    };
    match (known, stays) {
        (Some(row), Some(reason)) => Decision::Keep(row.row, reason),
        (None, Some(reason)) => Decision::GatherInPlace(reason),
        (known, None) => Decision::Withdraw(known.map(|row| row.row)),
    }
}

/// Whether the device's clock agrees with its last reading.
///
/// It does not after a reboot: a clock without a battery may not be set yet. Nor does it if its offset from
/// the collector's clock has changed by more than 5 s plus 0.02 % of the time between: cheap quartz crystals
/// drift less than 0.01 %.
pub fn is_clock_trusted(last: Option<&ClockReading>, now: &ClockReading) -> bool {
    let Some(last) = last else { return true };
    let allowed = 5_000_000_000 + now.at.since(last.at).as_nanos() / 5_000;
    let moved = u128::from(now.offset.abs_diff(last.offset));
    last.boot_id == now.boot_id && moved <= allowed
}

#[cfg(test)]
mod tests;
