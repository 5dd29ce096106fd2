//! Files that returned fewer or more bytes than listed.

use model::{RelativePath, WaitReason};

use crate::ports::{Reason, Session};
use crate::recourse::PassError;
use crate::stages::withdraw::Withdrawn;
use crate::visit::SourceVisit;
use crate::world::World;

/// Leaves such files, each with its detail.
///
/// If a file changed since, the next pass retries it. If it did not, the device cannot read it: that is a
/// fault. All are inspected at the end of the batch, because the device may allow only one shell channel, and
/// that one streams small files.
pub(super) async fn leave<W: World>(
    visit: &SourceVisit<'_, W>,
    files: Vec<(Withdrawn, String)>,
) -> Result<(), PassError> {
    if files.is_empty() {
        return Ok(());
    }
    let paths: Vec<RelativePath> = files
        .iter()
        .map(|(file, _)| file.current_path().clone())
        .collect();
    let inspected = visit.session.inspect(visit.source, &paths).await?;
    for ((file, detail), inspected) in files.into_iter().zip(inspected) {
        let identity = file.identity();
        let reason = if inspected.is_ok_and(|inspection| inspection.identity == identity) {
            WaitReason::Unproved
        } else {
            WaitReason::Changed
        };
        visit.leave_behind(file.original(), identity.size, Reason::Wait(reason), Some(detail));
    }
    Ok(())
}
