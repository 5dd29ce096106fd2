//! What is to be done with each thing on a device. Pure: listing x ledger x rules.

use std::time::Duration;

use model::{Identity, LeaveReason, LedgerId, RelativePath, Timestamp, WaitReason};

pub mod oldest;
pub(crate) mod work;

use crate::file_system;
use crate::ports::{Abilities, Entry, EntryKind, KnownFile, Openness, Reason, RowId};
use crate::rules::{ReleaseRule, Rules};
use crate::withdrawn;

/// A file that is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The path that the camera gave it.
    pub original: RelativePath,
    /// Where it lies now: its original path, or in a withdrawn folder.
    pub current_path: RelativePath,
    /// Which it was when it was surveyed.
    pub identity: Identity,
    /// Untouched for `settle_blind`: it may be gathered where nobody can see whether it is open.
    pub settled_blind: bool,
}

impl Candidate {
    /// Whether an earlier pass withdrew it.
    pub fn is_withdrawn(&self) -> bool {
        self.original != self.current_path
    }
}

/// What a survey of one source is judged by.
#[derive(Debug)]
pub struct SurveyContext<'a> {
    /// The rules of the device.
    pub rules: &'a Rules,
    /// What the device can prove.
    pub abilities: Abilities,
    /// Whose withdrawn files are ours.
    pub ledger: &'a LedgerId,
    /// The device's clock at this survey, where it tells.
    pub now: Option<Timestamp>,
    /// When the listing was asked for, or before that, by the collector's clock that nobody sets.
    pub requested: Timestamp,
    /// When the device booted, by its own clock of now.
    pub booted: Option<Timestamp>,
    /// Whether the device's clock agrees with what it told in earlier passes.
    pub clock_trusted: bool,
}

/// What a survey says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryClass {
    /// Nothing to do: a folder.
    Pass,
    /// An empty folder of that age may go, if the rules say so. It is not known to be empty.
    OldFolder,
    /// Settled: gather it.
    Ready(Candidate),
    /// The clock does not tell: it is settled when it stays as it is for that long by the collector's clock.
    SecondLook(Candidate, Duration),
    /// Not gathered now.
    Remaining(Reason),
}

/// A withdrawn file that is not ours is none of our business until it is this old.
const FOREIGN_PATIENCE: Duration = Duration::from_hours(7 * 24);

/// Empty folders that are younger may be about to be used.
const FOLDER_PATIENCE: Duration = Duration::from_hours(24);

/// Judges one entry of a survey.
pub fn classify_entry(entry: &Entry, context: &SurveyContext<'_>) -> EntryClass {
    let withdrawn = withdrawn::parse(&entry.path);
    let leave = |reason| EntryClass::Remaining(Reason::Leave(reason));
    match entry.kind {
        EntryKind::Folder if withdrawn::is_within(&entry.path) || file_system::owns_folder(&entry.path) => {
            EntryClass::Pass
        }
        EntryKind::Folder
            if context.clock_trusted
                && untouched_for(entry.identity.modified, context)
                    .is_some_and(|age| age >= FOLDER_PATIENCE) =>
        {
            EntryClass::OldFolder
        }
        EntryKind::Folder => EntryClass::Pass,
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

/// Why a folder that the device does not let us list is left. What cannot be looked into may be excluded all
/// the same.
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
        return EntryClass::Pass;
    }
    match untouched_for(entry.identity.modified, context) {
        Some(age) if age < FOREIGN_PATIENCE => EntryClass::Pass,
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
        // What settles by a second look has by then been seen unchanged for as long as is needed.
        settled_blind: entry.openness == Openness::Unknown,
    };
    let is_unseen = entry.openness == Openness::Unknown;
    // Anybody can set the time of last modification. Where nothing else is told, only time that passes proves
    // rest.
    if is_unseen && entry.identity.changed.is_none() {
        return if was_just_touched(entry.identity.modified, context) {
            EntryClass::Remaining(Reason::Wait(not_yet))
        } else {
            EntryClass::SecondLook(candidate, needed)
        };
    }
    // It was settled once, if only for as long as a file must that can be seen to be closed.
    let was_settled = candidate.is_withdrawn() && !is_unseen;
    // Where open files cannot be seen, a backdated mtime must not hide a writer: the last change of any kind counts.
    let touched = if is_unseen {
        last_change(entry.identity)
    } else {
        entry.identity.modified
    };
    match untouched_for(touched, context) {
        Some(age) if is_time_believable(entry.identity, context, needed, was_settled) => match age < needed {
            true => EntryClass::Remaining(Reason::Wait(not_yet)),
            false => {
                candidate.settled_blind = has_settled_blind(&candidate, context);
                EntryClass::Ready(candidate)
            }
        },
        None if was_just_touched(touched, context) => EntryClass::Remaining(Reason::Wait(not_yet)),
        _ => EntryClass::SecondLook(candidate, needed),
    }
}

/// A device tells its clock before it lists its files. One that is written to meanwhile has a time that seems
/// to be in the future.
const LISTING_TAKES: Duration = Duration::from_mins(1);

/// Whether a time that is in the future may be that of a write since the device told its clock.
fn was_just_touched(touched: Timestamp, context: &SurveyContext<'_>) -> bool {
    context
        .now
        .is_some_and(|now| touched > now && touched < now.plus(LISTING_TAKES))
}

/// Whether a file would have settled if its openness could not be seen. That it was withdrawn says nothing:
/// it may have been withdrawn as one that can be seen to be closed, after `settle`.
fn has_settled_blind(candidate: &Candidate, context: &SurveyContext<'_>) -> bool {
    let (touched, needed) = (last_change(candidate.identity), context.rules.settle_blind);
    candidate.identity.changed.is_some()
        && untouched_for(touched, context).is_some_and(|age| age >= needed)
        && is_time_believable(candidate.identity, context, needed, false)
}

/// The later of mtime and ctime. Nobody can set a ctime.
fn last_change(identity: Identity) -> Timestamp {
    identity
        .changed
        .map_or(identity.modified, |changed| changed.max(identity.modified))
}

/// How long ago by the device's clock; `None` where it has none, or the time is in the future.
fn untouched_for(touched: Timestamp, context: &SurveyContext<'_>) -> Option<Duration> {
    let now = context.now?;
    (touched <= now).then(|| now.since(touched))
}

/// A clock without a battery begins at a stale time and is set some time after boot: what was last changed before, or just
/// after, may have been changed a moment ago.
fn is_time_believable(
    identity: Identity,
    context: &SurveyContext<'_>,
    needed: Duration,
    was_settled: bool,
) -> bool {
    let after_boot = context
        .booted
        .is_none_or(|booted| last_change(identity) >= booted.plus(needed));
    // A withdrawn file was settled once, and its rename stands for a time when the clock ran as now.
    context.clock_trusted && (after_boot || was_settled)
}

/// What is to be done with a settled file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Withdraw it, then gather it. The row says that this very version is stored already, but could not be released.
    Withdraw(Option<RowId>),
    /// Gather it where it is; it stays there.
    GatherInPlace(LeaveReason),
    /// It lies withdrawn: gather it from there.
    Resume,
    /// It lies withdrawn, and the ledger says that it is stored: prove the stored copy again, then release it.
    ProveAgain(Box<KnownFile>),
    /// It is stored already and stays; the row is to say so.
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

/// Decides about one settled file, given the newest row of its original path.
pub fn decide(
    candidate: &Candidate,
    remembered: Option<&KnownFile>,
    rules: &Rules,
    abilities: Abilities,
) -> Decision {
    let known = remembered
        .filter(|row| row.identity == candidate.identity && row.state != model::FileState::Released);
    if candidate.is_withdrawn() {
        return match known {
            // Size and whole seconds alone never spare a fetch: too many versions share them.
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

/// Whether the device's clock agrees with what it told before.
///
/// It does not after a reboot (a clock without battery may not be set yet), and not when its distance from the collector's clock
/// has changed by more than 5 s plus 0.02 % of the time between: cheap quartzes drift less than 0.01 %.
pub fn is_clock_trusted(last: Option<&crate::ports::ClockReading>, now: &crate::ports::ClockReading) -> bool {
    let Some(last) = last else { return true };
    let allowed = 5_000_000_000 + now.at.since(last.at).as_nanos() / 5_000;
    let moved = u128::from(now.offset.abs_diff(last.offset));
    last.boot_id == now.boot_id && moved <= allowed
}

#[cfg(test)]
mod tests;
