//! Release: a recorded file is removed from its device.
//!
//! A crash after the removal leaves a row that says "stored". The next survey does not find the file, and
//! sets the row to "released".

use model::{FileState, LeaveReason, RelativePath, WaitReason};

use crate::ports::{FileFaultKind, Ledger, PassLease, Reason, Session};
use crate::recourse::PassError;
use crate::stages::record::Recorded;
use crate::stages::tidy;
use crate::stages::verify::why_not_now;
use crate::visit::SourceVisit;
use crate::world::World;

/// Releases a batch. A file that was written to, or is open, stays withdrawn and is gathered again from
/// there.
pub(crate) async fn release<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    batch: Vec<Recorded>,
) -> Result<(), PassError> {
    let unchanged = still_unchanged(visit, lease, batch).await?;
    if unchanged.is_empty() {
        return Ok(());
    }
    let paths: Vec<RelativePath> = unchanged.iter().map(|file| file.current_path().clone()).collect();
    let folders = tidy::folders_of_batch(visit, &paths);
    let replies = visit.session.remove(visit.source, &paths, &folders).await?;
    let mut rows = Vec::with_capacity(unchanged.len());
    for (file, reply) in unchanged.iter().zip(replies) {
        if let Err(fault) = reply {
            visit.leave_behind(
                file.original(),
                file.identity().size,
                Reason::Leave(LeaveReason::RemovalRefused),
                Some(fault.message),
            );
            continue;
        }
        rows.push((file.row(), FileState::Released, None));
        visit
            .device_visit
            .release(visit.source, file.original(), file.identity().size);
    }
    let ledger = visit.world.ledger();
    ledger.set_states(lease, rows, visit.now()).await?;
    Ok(())
}

/// The files whose identity is as verified, and that no process has open for writing.
async fn still_unchanged<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    batch: Vec<Recorded>,
) -> Result<Vec<Recorded>, PassError> {
    if batch.is_empty() {
        return Ok(batch);
    }
    let files: Vec<_> = batch
        .iter()
        .map(|file| (file.current_path().clone(), file.identity()))
        .collect();
    let confirmed = visit.session.confirm(visit.source, &files).await?;
    let mut unchanged = Vec::with_capacity(batch.len());
    for (file, confirmed) in batch.into_iter().zip(confirmed) {
        let reason = match confirmed {
            Ok(confirmation) => {
                let Some(reason) = why_not_now(confirmation, file.has_settled_blind()) else {
                    unchanged.push(file);
                    continue;
                };
                reason
            }
            Err(fault) if fault.kind == FileFaultKind::Missing => {
                // Its owner removed it from the withdrawn folder. It is stored, and gone.
                let row = vec![(file.row(), FileState::Released, None)];
                let ledger = visit.world.ledger();
                ledger.set_states(lease, row, visit.now()).await?;
                continue;
            }
            Err(_) => WaitReason::Changed,
        };
        visit.leave_behind(file.original(), file.identity().size, Reason::Wait(reason), None);
    }
    Ok(unchanged)
}
