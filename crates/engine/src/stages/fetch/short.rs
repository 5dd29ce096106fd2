//! Files that gave another number of bytes than they should have.

use model::{RelativePath, WaitReason};

use crate::ports::{Reason, Session};
use crate::recourse::PassError;
use crate::stages::withdraw::Withdrawn;
use crate::visit::SourceVisit;
use crate::world::World;

/// Leaves such files of a batch, each with what is told of it. One that was written meanwhile is gathered again by itself. One that is what it was would come
/// short in every pass: somebody is to know.
///
/// They are looked at all at once, when nothing of the batch is on its way any more: a look needs a lane, and the one that there may be gives small files.
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
    let looks = visit.session.inspect(visit.source, &paths).await?;
    for ((file, detail), look) in files.into_iter().zip(looks) {
        let identity = file.identity();
        let reason = match look.is_ok_and(|look| look.identity == identity) {
            true => WaitReason::Unproved,
            false => WaitReason::Changed,
        };
        let reason = Reason::Wait(reason);
        visit.leave_behind(file.original(), identity.size, reason, Some(detail));
    }
    Ok(())
}
