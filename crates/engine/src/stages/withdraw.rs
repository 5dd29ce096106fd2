//! Withdraw: files are renamed out of their recorder's way, and then proved to be closed.
//!
//! After the rename no process can open the file by its old name. So a proof that it is closed stays true,
//! and any later write changes the identity noted now. A crash after the rename leaves the file whole in the
//! withdrawn folder, under a path that contains the original one: the next pass gathers it from there.

use std::collections::HashSet;

use model::{BatchId, Identity, LeaveReason, RelativePath, WaitReason};

use crate::plan::{Candidate, Decision};
use crate::ports::{
    FileFault, FileFaultKind, InspectResult, Inspection, Move, Openness, PassLease, Reason, RowId, Session,
};
use crate::recourse::PassError;
use crate::stages::tidy;
use crate::tally::reason_of;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// A file whose identity was noted after it was withdrawn; or, if it has to stay in place, just before it is
/// read.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    original: RelativePath,
    current_path: RelativePath,
    identity: Identity,
    batch: Option<BatchId>,
    stays: Option<LeaveReason>,
    known: Option<RowId>,
    settled_blind: bool,
}

impl Withdrawn {
    pub(crate) fn original(&self) -> &RelativePath {
        &self.original
    }

    pub(crate) fn current_path(&self) -> &RelativePath {
        &self.current_path
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// The batch that it was withdrawn with, if it was.
    pub(crate) fn batch(&self) -> Option<&BatchId> {
        self.batch.as_ref()
    }

    /// An older row, which says that this version is stored and kept on the device.
    pub(crate) fn known(&self) -> Option<RowId> {
        self.known
    }

    /// Why it stays on the device after it is stored.
    pub(crate) fn stays(&self) -> Option<LeaveReason> {
        self.stays
    }

    /// Whether it has rested for `settle_blind`, so that it need not be proved to be closed.
    pub(crate) fn has_settled_blind(&self) -> bool {
        self.settled_blind
    }
}

/// A file to be inspected, unless the rename has inspected it.
struct Pending {
    candidate: Candidate,
    inspected: Option<InspectResult>,
    current_path: RelativePath,
    batch: Option<BatchId>,
    stays: Option<LeaveReason>,
    known: Option<RowId>,
}

/// Withdraws a batch and notes the identity of each file. A file that cannot be withdrawn is gathered in
/// place, and stays.
pub(crate) async fn withdraw<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    work: Vec<(Candidate, Decision)>,
) -> Result<Vec<Withdrawn>, PassError> {
    let mut pending = Vec::with_capacity(work.len());
    let mut to_move = Vec::new();
    for (candidate, decision) in work {
        match decision {
            Decision::Withdraw(known) => to_move.push((candidate, known)),
            Decision::GatherInPlace(reason) => pending.push(Pending::in_place(candidate, reason)),
            Decision::Resume | Decision::ProveAgain(_) | Decision::Keep(..) => {
                pending.push(Pending::withdrawn_before(candidate));
            }
        }
    }
    pending.extend(move_away(visit, lease, to_move).await?);
    note_identities(visit, pending).await
}

impl Pending {
    fn in_place(candidate: Candidate, reason: LeaveReason) -> Self {
        Self {
            current_path: candidate.current_path.clone(),
            candidate,
            inspected: None,
            batch: None,
            stays: Some(reason),
            known: None,
        }
    }

    fn withdrawn_before(candidate: Candidate) -> Self {
        let batch =
            withdrawn::parse(&candidate.current_path).and_then(|parsed| String::from_utf8(parsed.batch).ok());
        Self {
            current_path: candidate.current_path.clone(),
            candidate,
            inspected: None,
            batch: batch.and_then(BatchId::new),
            stays: None,
            known: None,
        }
    }
}

async fn move_away<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    mut to_move: Vec<(Candidate, Option<RowId>)>,
) -> Result<Vec<Pending>, PassError> {
    // A hostile listing may name a file twice: the second rename would replace the result of the first.
    let mut names = HashSet::new();
    to_move.retain(|(candidate, _)| names.insert(candidate.current_path.clone()));
    let Some(batch) = visit
        .device_visit
        .next_batch(lease)
        .filter(|_| !to_move.is_empty())
    else {
        return Ok(Vec::new());
    };
    let ledger = crate::ports::Ledger::id(visit.world.ledger()).clone();

    let in_source = |candidate: &Candidate| withdrawn::in_source(&ledger, &batch, &candidate.current_path);
    let first = rename_all(visit, to_move, in_source).await?;
    let (moved, failed): (Vec<_>, Vec<_>) = first.into_iter().partition(|attempt| attempt.result.is_ok());

    // The file may be on another file system (EXDEV), or the withdrawn folder be unwritable: try a folder
    // beside the file.
    let (again, lost): (Vec<_>, Vec<_>) = failed.into_iter().partition(Attempt::may_be_tried_elsewhere);
    let again = again
        .into_iter()
        .map(|attempt| (attempt.candidate, attempt.known))
        .collect();
    let beside = |candidate: &Candidate| withdrawn::beside(&ledger, &batch, &candidate.current_path);
    let second = rename_all(visit, again, beside).await?;

    tidy_after(visit, &second, in_source, beside).await?;

    // If no folder can be made, because the device is full or another login owns the withdrawn folder, a
    // rename within the folder still works.
    let (refused, second): (Vec<_>, Vec<_>) = second.into_iter().partition(Attempt::may_lack_a_folder);
    let refused = refused
        .into_iter()
        .map(|attempt| (attempt.candidate, attempt.known))
        .collect();
    let third = rename_all(visit, refused, |candidate| {
        withdrawn::hidden(&ledger, &batch, &candidate.current_path)
    })
    .await?;

    let mut pending = Vec::new();
    for attempt in moved.into_iter().chain(second).chain(third).chain(lost) {
        pending.extend(attempt.outcome(visit, &batch));
    }
    Ok(pending)
}

/// Removes the folders that were made for renames which then failed.
async fn tidy_after<W: World>(
    visit: &SourceVisit<'_, W>,
    attempts: &[Attempt],
    first: impl Fn(&Candidate) -> Result<RelativePath, model::NameError>,
    second: impl Fn(&Candidate) -> Result<RelativePath, model::NameError>,
) -> Result<(), PassError> {
    let mut paths = Vec::new();
    for attempt in attempts {
        paths.extend(first(&attempt.candidate).ok());
        if attempt.result.is_err() {
            paths.extend(second(&attempt.candidate).ok());
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let folders = tidy::folders_of_batch(visit, &paths);
    visit.session.remove(visit.source, &[], &folders).await?;
    Ok(())
}

/// One attempt to rename one file.
struct Attempt {
    candidate: Candidate,
    known: Option<RowId>,
    /// Its new path, and what the rename found there.
    result: Result<(RelativePath, Option<InspectResult>), FileFault>,
}

async fn rename_all<W: World>(
    visit: &SourceVisit<'_, W>,
    files: Vec<(Candidate, Option<RowId>)>,
    target: impl Fn(&Candidate) -> Result<RelativePath, model::NameError>,
) -> Result<Vec<Attempt>, PassError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut attempts = Vec::with_capacity(files.len());
    let mut moves = Vec::with_capacity(files.len());
    for (candidate, known) in files {
        let result = target(&candidate)
            .map(|to| (to, None))
            .map_err(|error| FileFault {
                kind: FileFaultKind::Other,
                message: format!("cannot be withdrawn: {error}"),
            });
        if let Ok((to, _)) = &result {
            moves.push(Move {
                from: candidate.current_path.clone(),
                to: to.clone(),
            });
        }
        attempts.push(Attempt {
            candidate,
            known,
            result,
        });
    }
    let mut replies = visit.session.rename(visit.source, &moves).await?.into_iter();
    for attempt in &mut attempts {
        let Ok((_, inspected)) = &mut attempt.result else {
            continue;
        };
        match replies.next() {
            Some(Ok(inspection)) => *inspected = Some(inspection),
            Some(Err(fault)) => attempt.result = Err(fault),
            None => {}
        }
    }
    Ok(attempts)
}

impl Attempt {
    /// Not a file that is gone, that is open, or that may be renamed nowhere.
    fn may_be_tried_elsewhere(&self) -> bool {
        let kinds = [
            FileFaultKind::Missing,
            FileFaultKind::Open,
            FileFaultKind::FolderUnwritable,
            FileFaultKind::Immutable,
            FileFaultKind::Sticky,
        ];
        !matches!(&self.result, Err(fault) if kinds.contains(&fault.kind))
    }

    /// SFTP has no status for a full file system: it reports a general failure.
    fn may_lack_a_folder(&self) -> bool {
        let kinds = [
            FileFaultKind::Other,
            FileFaultKind::OtherFileSystem,
            FileFaultKind::Permission,
        ];
        matches!(&self.result, Err(fault) if kinds.contains(&fault.kind))
    }

    /// A file that could not be withdrawn is gathered in place and stays. If it is stored already, it is only
    /// reported.
    fn outcome<W: World>(self, visit: &SourceVisit<'_, W>, batch: &BatchId) -> Option<Pending> {
        let fault = match self.result {
            Ok((current_path, inspected)) => {
                return Some(Pending {
                    candidate: self.candidate,
                    inspected,
                    current_path,
                    batch: Some(batch.clone()),
                    stays: None,
                    known: self.known,
                });
            }
            // Its owner renamed or removed it after the survey.
            Err(fault) if fault.kind == FileFaultKind::Missing => return None,
            Err(fault) if fault.kind == FileFaultKind::Open => {
                let (original, size) = (&self.candidate.original, self.candidate.identity.size);
                visit.leave_behind(original, size, Reason::Wait(WaitReason::Open), None);
                return None;
            }
            Err(fault) => fault,
        };
        let reason = match fault.kind {
            FileFaultKind::Unsupported => LeaveReason::RenameUnsupported,
            FileFaultKind::Immutable => LeaveReason::Immutable,
            FileFaultKind::Sticky => LeaveReason::Sticky,
            _ => LeaveReason::FolderUnwritable,
        };
        if self.known.is_some() {
            let size = self.candidate.identity.size;
            visit.leave_behind(
                &self.candidate.original,
                size,
                Reason::Leave(reason),
                Some(fault.message),
            );
            return None;
        }
        Some(Pending::in_place(self.candidate, reason))
    }
}

async fn note_identities<W: World>(
    visit: &SourceVisit<'_, W>,
    pending: Vec<Pending>,
) -> Result<Vec<Withdrawn>, PassError> {
    let uninspected = pending.iter().filter(|file| file.inspected.is_none());
    let paths: Vec<RelativePath> = uninspected.map(|file| file.current_path.clone()).collect();
    let inspections = if paths.is_empty() {
        Vec::new()
    } else {
        visit.session.inspect(visit.source, &paths).await?
    };
    let mut inspections = inspections.into_iter();
    let mut withdrawn = Vec::with_capacity(pending.len());
    for mut file in pending {
        let Some(inspected) = file.inspected.take().or_else(|| inspections.next()) else {
            continue;
        };
        let inspection = match inspected {
            Ok(inspection) => inspection,
            Err(fault) if fault.kind == FileFaultKind::Missing => continue,
            Err(fault) => {
                let size = file.candidate.identity.size;
                visit.leave_behind(
                    &file.candidate.original,
                    size,
                    reason_of(&fault),
                    Some(fault.message),
                );
                continue;
            }
        };
        match why_not_now(&file, inspection) {
            Some(reason) => {
                let original = &file.candidate.original;
                visit.leave_behind(original, inspection.identity.size, Reason::Wait(reason), None);
            }
            None => withdrawn.push(Withdrawn {
                original: file.candidate.original,
                current_path: file.current_path,
                identity: inspection.identity,
                batch: file.batch,
                stays: file.stays,
                known: file.known,
                settled_blind: file.candidate.settled_blind,
            }),
        }
    }
    Ok(withdrawn)
}

/// Why a withdrawn file has to wait: it is not the one that was surveyed (its name was used again), or it may
/// still be written to. It settles where it is.
fn why_not_now(file: &Pending, inspection: Inspection) -> Option<WaitReason> {
    match inspection.openness {
        Openness::Open => return Some(WaitReason::Open),
        Openness::Closed => {}
        // The survey may have expected that the kernel can be asked, and the kernel has refused.
        Openness::Unknown | Openness::Unasked if file.candidate.settled_blind => {}
        Openness::Unknown | Openness::Unasked => return Some(WaitReason::SettlingBlind),
    }
    let same = file.candidate.identity.is_renamed(&inspection.identity);
    (!same).then_some(WaitReason::Changed)
}
