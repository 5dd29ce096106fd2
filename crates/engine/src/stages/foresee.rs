//! Check the destination: whether a file can get its name in the store is known before it is withdrawn or
//! fetched.
//!
//! A lasting obstacle (a name that the store does not take, a folder that cannot be used) would stop the file
//! in every pass. The file is left in place with the reason, and nothing is transferred. The check proves
//! nothing: publishing checks again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use model::{LeaveReason, WaitReason};

use crate::placement::StoreNames;
use crate::plan::work::Batch;
use crate::plan::{Candidate, Decision};
use crate::ports::{Destination, PublishFault, Reason, Room, Store, StoreStatus};
use crate::recourse::PassError;
use crate::stages::store_name::{NO_NAME_LEFT, first_name, left_for, replace_folder};
use crate::visit::SourceVisit;
use crate::world::World;

/// Leaves out files that the store cannot take, and files for which there is no room. One file that is too
/// large, or claims to be, must not end the sweep for all others. Fails if the store has reached `min_free`.
pub(crate) async fn foresee<W: World>(visit: &SourceVisit<'_, W>, batch: Batch) -> Result<Batch, PassError> {
    let mut rooms = RoomLeft {
        of_store: visit.world.store().condition().await?.room,
        others: BTreeMap::new(),
    };
    let mut fitting = Vec::with_capacity(batch.len());
    for (candidate, decision, room) in find_places(visit, batch).await? {
        if rooms.take(room, candidate.identity.size) {
            fitting.push((candidate, decision));
        } else {
            leave(visit, &candidate, Reason::Wait(WaitReason::NoRoom), None);
        }
    }
    Ok(fitting)
}

/// The room left on each file system, in bytes.
struct RoomLeft {
    /// `None`: the store reports none, and takes any file.
    of_store: Option<u64>,
    others: BTreeMap<u64, u64>,
}

impl RoomLeft {
    /// Takes `size` bytes. `false` if fewer are left.
    fn take(&mut self, room: Room, size: u64) -> bool {
        let left = match room {
            Room::OfStore => match &mut self.of_store {
                Some(left) => left,
                None => return true,
            },
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

/// A file without a place in the store so far.
struct Unplaced {
    candidate: Candidate,
    decision: Decision,
    names: StoreNames,
}

type Placed = (Candidate, Decision, Room);

async fn find_places<W: World>(visit: &SourceVisit<'_, W>, batch: Batch) -> Result<Vec<Placed>, PassError> {
    let mut unplaced = Vec::with_capacity(batch.len());
    for (candidate, decision) in batch {
        match first_name(visit, &candidate) {
            Ok(names) => unplaced.push(Unplaced {
                candidate,
                decision,
                names,
            }),
            Err(error) => leave_nameless(visit, &candidate, error.to_string()),
        }
    }
    let mut placed = Vec::with_capacity(unplaced.len());
    while !unplaced.is_empty() {
        let (mut named, mut wanted) = (
            Vec::with_capacity(unplaced.len()),
            Vec::with_capacity(unplaced.len()),
        );
        for file in unplaced.drain(..) {
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
        let replies = visit.world.store().foresee(wanted).await?;
        for (mut file, reply) in named.into_iter().zip(replies) {
            match reply {
                Ok(room) => {
                    if room != Room::OfStore {
                        visit.device_visit.receives_beside.store(true, Ordering::Relaxed);
                    }
                    placed.push((file.candidate, file.decision, room));
                }
                Err(PublishFault::Obstructed { depth, by }) => {
                    if replace_folder(visit, &mut file.names, depth, by) {
                        unplaced.push(file);
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

fn leave_nameless<W: World>(visit: &SourceVisit<'_, W>, file: &Candidate, detail: String) {
    leave(visit, file, Reason::Leave(LeaveReason::Name), Some(detail));
}

fn leave<W: World>(visit: &SourceVisit<'_, W>, file: &Candidate, reason: Reason, detail: Option<String>) {
    visit.leave_behind(&file.original, file.identity.size, reason, detail);
}
