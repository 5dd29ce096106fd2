//! The name of a file in the store: chosen before the fetch, and again where a name is taken.

use model::{Digest, LeaveReason, RelativePath, WaitReason};

use crate::event::Event;
use crate::placement::{self, StoreNames, Subject};
use crate::plan::Candidate;
use crate::ports::{Obstacle, PublishFault, Reason, StoreStatus as _};
use crate::visit::SourceVisit;
use crate::world::World;

/// The detail for a file whose possible names are all taken.
pub(crate) const NO_NAME_LEFT: &str = "every name for its content is taken by other content in the store";

/// The names in the store that a file may get. Its digest is not known yet; only names that are too long for
/// a file system depend on it.
pub(crate) fn first_name<W: World>(
    visit: &SourceVisit<'_, W>,
    candidate: &Candidate,
) -> Result<StoreNames, model::NameError> {
    let digest = Digest::from_bytes([0; 32]);
    let name = store_name(visit, &candidate.original, candidate.identity.modified, &digest)?;
    let max_component = visit.world.store().properties().max_component;
    Ok(StoreNames::new(&name, digest, max_component))
}

/// The name in the store that a file gets if nothing is in its way.
pub(crate) fn store_name<W: World>(
    visit: &SourceVisit<'_, W>,
    original: &RelativePath,
    modified: model::Timestamp,
    digest: &Digest,
) -> Result<RelativePath, model::NameError> {
    let rules = &visit.device.rules;
    let subject = Subject {
        device: &visit.device.name,
        source: visit.source,
        path: original,
        modified,
        digest,
        max_component: visit.world.store().properties().max_component,
    };
    placement::place(&rules.layout, rules.names, &subject)
}

/// Continues with the folder that replaces an obstructed one, and reports it once. `false` if there is none.
pub(crate) fn replace_folder<W: World>(
    visit: &SourceVisit<'_, W>,
    names: &mut StoreNames,
    depth: usize,
    by: Obstacle,
) -> bool {
    let obstructed = names.folder(depth);
    if !names.advance_folder(depth) {
        return false;
    }
    if let (Ok(folder), Ok(replacement)) = (obstructed, names.folder(depth))
        && visit.tally.claim_replaced(&folder)
    {
        visit.report(&Event::FolderReplaced {
            device: visit.device.name.clone(),
            folder,
            obstacle: by,
            replacement,
        });
    }
    true
}

/// Why a file that the store does not take is left, with the detail.
pub(crate) fn left_for(fault: PublishFault) -> (Reason, String) {
    match fault {
        PublishFault::Taken | PublishFault::Obstructed { .. } => {
            (Reason::Leave(LeaveReason::Name), NO_NAME_LEFT.to_owned())
        }
        PublishFault::Unacceptable(detail) => (Reason::Leave(LeaveReason::Name), detail),
        PublishFault::Forbidden(detail) => (Reason::Leave(LeaveReason::StoreName), detail),
        PublishFault::Unusable(detail) => (Reason::Leave(LeaveReason::StoreFolder), detail),
        PublishFault::TooLarge(detail) => (Reason::Leave(LeaveReason::TooLarge), detail),
        PublishFault::NoRoom(detail) => (Reason::Wait(WaitReason::NoRoom), detail),
        PublishFault::Failed(detail) => (Reason::Wait(WaitReason::Unproved), detail),
    }
}
