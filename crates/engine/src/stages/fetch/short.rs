//! Files that gave another number of bytes than they should have.

use model::{SourcePath, WaitReason};

use crate::ports::{Reason, Session};
use crate::recourse::PassError;
use crate::stages::withdraw::Withdrawn;
use crate::visit::Visit;
use crate::world::World;

/// Why such a file waits. One that was written meanwhile is gathered again by itself. One that is what it was would come short in every pass: somebody is to
/// know.
pub(super) async fn why<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    file: &Withdrawn,
) -> Result<Reason, PassError> {
    let path = std::slice::from_ref(file.lies_at());
    let looks = visit.session.inspect(source, path).await?;
    let is_what_it_was = looks
        .iter()
        .flatten()
        .any(|look| look.identity == file.identity());
    Ok(Reason::Wait(match is_what_it_was {
        true => WaitReason::Unproved,
        false => WaitReason::Changed,
    }))
}
