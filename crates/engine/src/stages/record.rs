//! Record: the ledger says, durably, that a file is stored. One transaction for a batch.
//!
//! A crash before leaves a published file that the next pass recognises; a crash after leaves a file on the device whose stored copy
//! the next pass proves again before it releases it.

use std::time::Duration;

use model::{Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath, Timestamp};

use crate::event::Event;
use crate::plan::Candidate;
use crate::ports::{KnownFile, Ledger, Placement, Reason, Record, Reproof, RowId, Store};
use crate::recourse::PassError;
use crate::stages::publish::Published;
use crate::stages::withdraw::Withdrawn;
use crate::suspects;
use crate::visit::Visit;
use crate::world::World;

/// A file of which this process has proved, and the ledger says, that it is whole and durable in the store.
#[derive(Debug)]
pub(crate) struct Recorded {
    row: RowId,
    original: RelativePath,
    current_path: RelativePath,
    identity: Identity,
    settled_blind: bool,
}

impl Recorded {
    pub(crate) fn row(&self) -> RowId {
        self.row
    }

    pub(crate) fn original(&self) -> &RelativePath {
        &self.original
    }

    pub(crate) fn current_path(&self) -> &RelativePath {
        &self.current_path
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether it has rested for so long that it need not be seen to be closed.
    pub(crate) fn has_settled_blind(&self) -> bool {
        self.settled_blind
    }
}

/// Records a batch, and returns what may be released. Files that have to stay are recorded as kept.
pub(crate) async fn record<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    batch: Vec<Published>,
) -> Result<Vec<Recorded>, PassError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let records = batch.iter().map(|file| as_record(visit, source, file)).collect();
    let rows = visit.world.ledger().record(records).await?;
    suspects::acquit(visit, source, &batch).await?;
    let mut recorded = Vec::with_capacity(batch.len());
    let mut settled = Vec::new();
    let mut sealed_files = Vec::with_capacity(batch.len());
    for (file, row) in batch.into_iter().zip(rows) {
        announce(visit, source, &file);
        let (withdrawn, sealed) = file.into_parts();
        sealed_files.push(sealed);
        // An older row of the same version, kept in place until now, gives way to the one that tells where the file is.
        settled.extend(withdrawn.known().map(|row| (row, FileState::Released, None)));
        match withdrawn.stays() {
            Some(reason) => {
                settled.push((row, FileState::Kept, Some(reason)));
                stay(visit, source, &withdrawn, reason);
            }
            None => recorded.push(Recorded {
                row,
                original: withdrawn.original().clone(),
                current_path: withdrawn.current_path().clone(),
                identity: withdrawn.identity(),
                settled_blind: withdrawn.has_settled_blind(),
            }),
        }
    }
    // The links in staging are of no more use: the record is durable.
    visit.world.store().retire(sealed_files).await?;
    if !settled.is_empty() {
        visit.world.ledger().set_states(settled, visit.now()).await?;
    }
    Ok(recorded)
}

fn stay<W: World>(visit: &Visit<'_, W>, source: &SourcePath, file: &Withdrawn, reason: LeaveReason) {
    visit.leave_behind(
        source,
        file.original(),
        file.identity().size,
        Reason::Leave(reason),
        None,
    );
}

fn as_record<W: World>(visit: &Visit<'_, W>, source: &SourcePath, file: &Published) -> Record {
    Record {
        pass: visit.pass,
        device: visit.device.name.clone(),
        source: source.clone(),
        path: file.withdrawn().original().clone(),
        identity: file.withdrawn().identity(),
        digest: file.sealed().digest,
        device_digest: file.has_device_digest(),
        store_name: file.store_name().clone(),
        was_there: file.placed() == Placement::Same,
        withdrawn: file.withdrawn().batch().cloned(),
        at: visit.now(),
    }
}

fn announce<W: World>(visit: &Visit<'_, W>, source: &SourcePath, file: &Published) {
    if file.placed() == Placement::New {
        visit.stored.add(file.sealed().size);
    }
    let modified = file.withdrawn().identity().modified;
    if file.placed() == Placement::New && !is_kept(modified, file.sealed().modified) {
        visit.report(&Event::TimeNotKept {
            device: visit.device.name.clone(),
            path: file.withdrawn().original().clone(),
            store_name: file.store_name().clone(),
            modified,
            kept: file.sealed().modified,
        });
    }
    visit.report(&Event::Stored {
        device: visit.device.name.clone(),
        source: source.clone(),
        path: file.withdrawn().original().clone(),
        store_name: file.store_name().clone(),
        size: file.sealed().size,
        digest: file.sealed().digest,
        placed: file.placed(),
        conflict: file.is_conflict(),
    });
}

/// What the coarsest file system keeps of a time: FAT counts in steps of two seconds.
const COARSEST: Duration = Duration::from_secs(2);

/// Whether the store's file system has kept a time, as finely as it can. Many have an end: ext4 with small
/// inodes in 2038, a mount by SFTP in 2106.
fn is_kept(modified: Timestamp, kept: Timestamp) -> bool {
    let difference = modified.since(kept).max(kept.since(modified));
    difference < COARSEST && !modified.may_be_clamped()
}

/// What the store says of files that an earlier pass recorded.
pub(crate) struct ProvedAgain {
    /// The stored copy is as the row says: these may be released.
    pub(crate) recorded: Vec<Recorded>,
    /// It is not: these are to be fetched again.
    pub(crate) to_fetch: Vec<Candidate>,
}

/// A row of an earlier pass proves nothing by itself (stores are restored from back-ups, people move files): the stored copy is opened
/// and digested again.
pub(crate) async fn prove_again<W: World>(
    visit: &Visit<'_, W>,
    rows: Vec<(Candidate, KnownFile)>,
) -> Result<ProvedAgain, PassError> {
    let (mut recorded, mut to_fetch) = (Vec::new(), Vec::new());
    for (candidate, row) in rows {
        let digest: Digest = row.digest;
        match visit
            .world
            .store()
            .reprove(&row.store_name, candidate.identity.size, &digest)
            .await?
        {
            Reproof::Same => recorded.push(Recorded {
                row: row.row,
                original: candidate.original,
                current_path: candidate.current_path,
                identity: candidate.identity,
                settled_blind: candidate.settled_blind,
            }),
            Reproof::Missing | Reproof::Other => to_fetch.push(candidate),
        }
    }
    Ok(ProvedAgain { recorded, to_fetch })
}
