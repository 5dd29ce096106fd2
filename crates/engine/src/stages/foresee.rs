//! Look before you move: whether a file can get its place in the store is known before it is withdrawn or
//! fetched.
//!
//! What stands in the way for good (a name that the store does not take, a folder that cannot be used) would
//! stand in the way in every pass: the file is left where it is, with the reason, and nothing of it is
//! transferred. What is found here is no proof: publishing finds out again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use model::{Digest, LeaveReason, RelativePath, WaitReason};

use crate::event::Event;
use crate::placement::{self, StoreNames, Subject};
use crate::plan::work::Batch;
use crate::plan::{Candidate, Decision};
use crate::ports::{Destination, Obstacle, PublishFault, Reason, Room, Store};
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::world::World;

/// Leaves out what can have no place in the store, and what there is no room for: one file that is too large,
/// or says so, must not end the sweep for all others. Fails where the store has come to its floor.
pub(crate) async fn foresee<W: World>(visit: &SourceVisit<'_, W>, batch: Batch) -> Result<Batch, PassError> {
    let mut rooms = Rooms {
        of_store: visit.world.store().condition().await?.room,
        others: BTreeMap::new(),
    };
    let mut fitting = Vec::with_capacity(batch.len());
    for (candidate, decision, room) in with_places(visit, batch).await? {
        if rooms.take(room, candidate.identity.size) {
            fitting.push((candidate, decision));
        } else {
            leave(visit, &candidate, Reason::Wait(WaitReason::NoRoom), None);
        }
    }
    Ok(fitting)
}

/// What is left of the room of each file system.
struct Rooms {
    of_store: u64,
    others: BTreeMap<u64, u64>,
}

impl Rooms {
    /// Whether there are so many bytes, which then are taken.
    fn take(&mut self, room: Room, size: u64) -> bool {
        let left = match room {
            Room::OfStore => &mut self.of_store,
            Room::Other { file_system, bytes } => self.others.entry(file_system).or_insert(bytes),
        };
        match left.checked_sub(size) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

/// A file that looks for its place.
struct Seeking {
    candidate: Candidate,
    decision: Decision,
    names: StoreNames,
}

type Placement = (Candidate, Decision, Room);

async fn with_places<W: World>(
    visit: &SourceVisit<'_, W>,
    batch: Batch,
) -> Result<Vec<Placement>, PassError> {
    let mut seeking = Vec::with_capacity(batch.len());
    for (candidate, decision) in batch {
        match first_name(visit, &candidate) {
            Ok(names) => seeking.push(Seeking {
                candidate,
                decision,
                names,
            }),
            Err(error) => leave_nameless(visit, &candidate, error.to_string()),
        }
    }
    let mut placed = Vec::with_capacity(seeking.len());
    while !seeking.is_empty() {
        let (mut named, mut wanted) = (
            Vec::with_capacity(seeking.len()),
            Vec::with_capacity(seeking.len()),
        );
        for file in seeking.drain(..) {
            match file.names.current() {
                Ok(name) => {
                    wanted.push(Destination {
                        name,
                        size: file.candidate.identity.size,
                    });
                    named.push(file);
                }
                Err(error) => leave_nameless(visit, &file.candidate, error.to_string()),
            }
        }
        let answers = visit.world.store().foresee(wanted).await?;
        for (mut file, answer) in named.into_iter().zip(answers) {
            match answer {
                Ok(room) => {
                    if room != Room::OfStore {
                        visit.device_visit.receives_beside.store(true, Ordering::Relaxed);
                    }
                    placed.push((file.candidate, file.decision, room));
                }
                Err(PublishFault::Obstructed { depth, by }) => {
                    if replace_folder(visit, &mut file.names, depth, by) {
                        seeking.push(file);
                    } else {
                        leave_nameless(visit, &file.candidate, NO_NAME_LEFT.to_owned());
                    }
                }
                Err(fault) => {
                    let (reason, detail) = left_for(fault);
                    leave(visit, &file.candidate, reason, Some(detail));
                }
            }
        }
    }
    Ok(placed)
}

/// The detail for a file all of whose possible names are taken.
pub(crate) const NO_NAME_LEFT: &str = "every name for its content is taken by other content in the store";

/// The name in the store that a file gets if nothing stands in its way. Its digest is not known yet, which
/// makes a difference only to names that are too long for a file system.
pub(crate) fn first_name<W: World>(
    visit: &SourceVisit<'_, W>,
    candidate: &Candidate,
) -> Result<StoreNames, model::NameError> {
    let digest = Digest::from_bytes([0; 32]);
    let name = store_name(visit, &candidate.original, candidate.identity.modified, &digest)?;
    Ok(StoreNames::new(&name, digest))
}

/// The name in the store that a file gets if nothing stands in its way.
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
    };
    placement::place(&rules.layout, rules.names, &subject)
}

/// Goes on to the folder that takes the place of an obstructed one, and says so once. `false`: there is none.
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

/// Why a file is left that the store does not take, with the detail.
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

fn leave_nameless<W: World>(visit: &SourceVisit<'_, W>, file: &Candidate, detail: String) {
    leave(visit, file, Reason::Leave(LeaveReason::Name), Some(detail));
}

fn leave<W: World>(visit: &SourceVisit<'_, W>, file: &Candidate, reason: Reason, detail: Option<String>) {
    visit.leave_behind(&file.original, file.identity.size, reason, detail);
}
