//! Publish: sealed and verified files get their names in the store.
//!
//! A crash before leaves nothing visible. A crash after leaves the file visible, whole and durable, but
//! unrecorded: the next pass finds the same content under the name, and records it.

use model::{LeaveReason, RelativePath};

use crate::placement::StoreNames;
use crate::ports::{Placement, Publication, PublishFault, Reason, SealedFile, Store, StoreStatus};
use crate::recourse::PassError;
use crate::stages::store_name::{NO_NAME_LEFT, left_for, replace_folder, store_name};
use crate::stages::verify::Verified;
use crate::stages::withdraw::Withdrawn;
use crate::visit::SourceVisit;
use crate::world::World;

/// A file that is in the store under its name, durable.
#[derive(Debug)]
pub(crate) struct Published {
    withdrawn: Withdrawn,
    sealed: SealedFile,
    device_digest: bool,
    store_name: RelativePath,
    placed: Placement,
    conflict: bool,
}

impl Published {
    pub(crate) fn withdrawn(&self) -> &Withdrawn {
        &self.withdrawn
    }

    pub(crate) fn sealed(&self) -> &SealedFile {
        &self.sealed
    }

    pub(crate) fn has_device_digest(&self) -> bool {
        self.device_digest
    }

    pub(crate) fn store_name(&self) -> &RelativePath {
        &self.store_name
    }

    pub(crate) fn placed(&self) -> Placement {
        self.placed
    }

    /// Whether other content had its first name.
    pub(crate) fn is_conflict(&self) -> bool {
        self.conflict
    }

    pub(crate) fn into_parts(self) -> (Withdrawn, SealedFile) {
        (self.withdrawn, self.sealed)
    }
}

/// A file without a name so far.
struct Unnamed {
    file: Verified,
    candidates: StoreNames,
    conflict: bool,
}

/// Publishes a batch. If other content has a name, the next name is tried. A file without a name stays on its
/// device.
pub(crate) async fn publish<W: World>(
    visit: &SourceVisit<'_, W>,
    batch: Vec<Verified>,
) -> Result<Vec<Published>, PassError> {
    let mut unplaced = Vec::new();
    let mut unnamed = Vec::with_capacity(batch.len());
    for file in batch {
        match first_name_of(visit, &file) {
            Ok(candidates) => unnamed.push(Unnamed {
                file,
                candidates,
                conflict: false,
            }),
            Err(error) => {
                unplaced.push((file, Reason::Leave(LeaveReason::Name), error.to_string()));
            }
        }
    }
    let mut published = Vec::with_capacity(unnamed.len());
    while !unnamed.is_empty() {
        let (named, refused) = with_names(std::mem::take(&mut unnamed));
        unplaced.extend(refused);
        let publications = named.iter().map(|(file, name)| publication(file, name)).collect();
        let replies = visit.world.store().publish(publications).await?;
        for ((mut file, store_name), reply) in named.into_iter().zip(replies) {
            let has_next = match reply {
                Ok(placed) => {
                    published.push(file.into_published(store_name, placed));
                    continue;
                }
                Err(PublishFault::Taken) => {
                    file.conflict = true;
                    file.candidates.advance_name()
                }
                Err(PublishFault::Obstructed { depth, by }) => {
                    replace_folder(visit, &mut file.candidates, depth, by)
                }
                Err(fault) => {
                    let (reason, detail) = left_for(fault);
                    unplaced.push((file.file, reason, detail));
                    continue;
                }
            };
            if has_next {
                unnamed.push(file);
            } else {
                let reason = Reason::Leave(LeaveReason::Name);
                unplaced.push((file.file, reason, NO_NAME_LEFT.to_owned()));
            }
        }
    }
    leave_unplaced(visit, unplaced).await?;
    Ok(published)
}

type Unplaced = (Verified, Reason, String);

impl Unnamed {
    fn into_published(self, store_name: RelativePath, placed: Placement) -> Published {
        let (withdrawn, sealed, device_digest) = self.file.into_parts();
        Published {
            withdrawn,
            sealed,
            device_digest,
            store_name,
            placed,
            conflict: self.conflict,
        }
    }
}

fn first_name_of<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Verified,
) -> Result<StoreNames, model::NameError> {
    let digest = file.sealed().digest;
    let withdrawn = file.withdrawn();
    let modified = withdrawn.identity().modified;
    let name = store_name(visit, withdrawn.original(), modified, &digest)?;
    let max_component = visit.world.store().properties().max_component;
    Ok(StoreNames::new(&name, digest, max_component))
}

fn with_names(unnamed: Vec<Unnamed>) -> (Vec<(Unnamed, RelativePath)>, Vec<Unplaced>) {
    let (mut named, mut refused) = (Vec::new(), Vec::new());
    for file in unnamed {
        match file.candidates.current() {
            Ok(name) => named.push((file, name)),
            Err(error) => refused.push((file.file, Reason::Leave(LeaveReason::Name), error.to_string())),
        }
    }
    (named, refused)
}

fn publication(file: &Unnamed, name: &RelativePath) -> Publication {
    let sealed = file.file.sealed();
    Publication {
        token: sealed.token.clone(),
        size: sealed.size,
        digest: sealed.digest,
        name: name.clone(),
    }
}

async fn leave_unplaced<W: World>(
    visit: &SourceVisit<'_, W>,
    unplaced: Vec<Unplaced>,
) -> Result<(), PassError> {
    let mut sealed_files = Vec::new();
    for (file, reason, detail) in unplaced {
        let (withdrawn, sealed, _) = file.into_parts();
        visit.leave_behind(withdrawn.original(), sealed.size, reason, Some(detail));
        sealed_files.push(sealed);
    }
    visit
        .world
        .store()
        .retire(sealed_files)
        .await
        .map_err(PassError::from)
}
