//! Record: the ledger says, durably, that files are stored. One transaction for a batch.
//!
//! A crash before leaves published files that the next pass recognises. A crash after leaves files on the
//! device; the next pass proves their stored copies again before it releases them.

use std::time::Duration;

use model::{Digest, FileState, Identity, LeaveReason, RelativePath, Timestamp};

use crate::event::Event;
use crate::plan::Candidate;
use crate::ports::{KnownFile, Ledger, PassLease, Placement, Reason, Record, Reproof, RowId, Store};
use crate::recourse::PassError;
use crate::stages::publish::Published;
use crate::stages::withdraw::Withdrawn;
use crate::suspects;
use crate::visit::SourceVisit;
use crate::world::World;

/// A file that is whole and durable in the store: this process has proved it, and the ledger says so.
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

    /// Whether it has rested for `settle_blind`, so that it need not be proved to be closed.
    pub(crate) fn has_settled_blind(&self) -> bool {
        self.settled_blind
    }
}

/// Records a batch, and returns the files that may be released. Files that have to stay are recorded as kept.
pub(crate) async fn record<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    batch: Vec<Published>,
) -> Result<Vec<Recorded>, PassError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let records = batch.iter().map(|file| as_record(visit, file)).collect();
    let rows = visit.world.ledger().record(lease, records).await?;
    // A suspect is known by its path when it was fetched, which may be the original or the withdrawn one.
    let paths = batch
        .iter()
        .flat_map(|file| [file.withdrawn().current_path(), file.withdrawn().original()]);
    suspects::clear(visit, lease, paths).await?;
    let mut recorded = Vec::with_capacity(batch.len());
    let mut states = Vec::new();
    let mut sealed_files = Vec::with_capacity(batch.len());
    for (file, row) in batch.into_iter().zip(rows) {
        announce(visit, &file);
        let (withdrawn, sealed) = file.into_parts();
        sealed_files.push(sealed);
        // An older row of this version, which was kept in place until now, is replaced by the new one.
        states.extend(withdrawn.known().map(|row| (row, FileState::Released, None)));
        match withdrawn.stays() {
            Some(reason) => {
                states.push((row, FileState::Kept, Some(reason)));
                leave(visit, &withdrawn, reason);
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
    // The record is durable: the links in staging are no longer needed.
    visit.world.store().retire(sealed_files).await?;
    if !states.is_empty() {
        let ledger = visit.world.ledger();
        ledger.set_states(lease, states, visit.now()).await?;
    }
    Ok(recorded)
}

fn leave<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn, reason: LeaveReason) {
    visit.leave_behind(file.original(), file.identity().size, Reason::Leave(reason), None);
}

fn as_record<W: World>(visit: &SourceVisit<'_, W>, file: &Published) -> Record {
    Record {
        source: visit.source.clone(),
        path: file.withdrawn().original().clone(),
        identity: file.withdrawn().identity(),
        digest: file.sealed().digest,
        device_digest: file.has_device_digest(),
        store_name: file.store_name().clone(),
        already_stored: file.placed() == Placement::Same,
        withdrawn: file.withdrawn().batch().cloned(),
        at: visit.now(),
    }
}

fn announce<W: World>(visit: &SourceVisit<'_, W>, file: &Published) {
    if file.placed() == Placement::New {
        visit.tally.stored.add(file.sealed().size);
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
        source: visit.source.clone(),
        path: file.withdrawn().original().clone(),
        store_name: file.store_name().clone(),
        size: file.sealed().size,
        digest: file.sealed().digest,
        placed: file.placed(),
        conflict: file.is_conflict(),
    });
}

/// The coarsest resolution of a time on a file system: FAT counts in steps of two seconds.
const COARSEST_TIME: Duration = Duration::from_secs(2);

/// Whether the store's file system has kept a time, within its resolution. Many have a limit: ext4 with small
/// inodes 2038, a mount by SFTP 2106.
fn is_kept(modified: Timestamp, kept: Timestamp) -> bool {
    let difference = modified.since(kept).max(kept.since(modified));
    difference < COARSEST_TIME && !modified.may_be_clamped()
}

/// Files that an earlier pass recorded, after their stored copies were read again.
pub(crate) struct ProvedAgain {
    /// The stored copy is as the row says: the file may be released.
    pub(crate) recorded: Vec<Recorded>,
    /// The stored copy is missing or different: the file is fetched again.
    pub(crate) to_fetch: Vec<Candidate>,
}

/// Proves files of earlier passes again: their stored copies are opened and digested.
///
/// A row alone proves nothing: stores are restored from backups, and people move files.
pub(crate) async fn prove_again<W: World>(
    visit: &SourceVisit<'_, W>,
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
