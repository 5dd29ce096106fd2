//! Suspects: files that may have ended a session.
//!
//! Some files end every session: they are on a bad sector, or too large for a link that drops. Fetched oldest
//! first, such a file would starve all others. The ledger therefore counts how often each file may have
//! caused a failure. After 2 failures a file is fetched after all other files of the device; after 3, in a
//! batch of its own, least recently tried first. Recording a file clears its count.
//!
//! A suspect is identified by its current path: a new file of the same name is another one.

use std::collections::HashMap;

use model::{FailureClass, RelativePath};

use crate::plan::{Candidate, Decision};
use crate::ports::device::MAX_BUFFERED;
use crate::ports::{DeviceFailure, Ledger, LedgerError, MAX_SUSPECTS, PassLease, Session, Suspicion};
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// Files that may have been on their way when a device stalled: as many as are fetched at the same time.
pub(crate) const MAX_IN_DOUBT: usize = 128;
const _: () = assert!(MAX_BUFFERED <= MAX_IN_DOUBT);

/// From this many failures on a file is fetched last. One failure may be the link's fault.
const FAILURES_UNTIL_LAST: u64 = 2;
/// From this many failures on a file is fetched in a batch of its own.
const FAILURES_UNTIL_ALONE: u64 = 3;

/// A file that is fetched last, and what to do with it.
#[derive(Debug)]
pub(crate) struct Suspect {
    pub(crate) suspicion: Suspicion,
    pub(crate) candidate: Candidate,
    pub(crate) decision: Decision,
}

impl Suspect {
    /// Whether it is fetched in a batch of its own.
    pub(crate) fn goes_alone(&self) -> bool {
        self.suspicion.times >= FAILURES_UNTIL_ALONE
    }
}

/// The suspects of a source during a survey.
#[derive(Debug)]
pub(crate) struct KnownSuspects {
    last: HashMap<RelativePath, Suspicion>,
    deferred: Vec<Suspect>,
}

impl KnownSuspects {
    /// Reads the suspects of a source from the ledger.
    pub(crate) async fn load<W: World>(visit: &SourceVisit<'_, W>) -> Result<Self, LedgerError> {
        let ledger = visit.world.ledger();
        let mut known = ledger.suspects(&visit.device.name, visit.source).await?;
        let mut blame = visit.blame.lock();
        for (current_path, _) in &known {
            blame.track(visit.source, current_path);
        }
        known.retain(|(_, suspicion)| suspicion.times >= FAILURES_UNTIL_LAST);
        Ok(Self {
            last: known.into_iter().collect(),
            deferred: Vec::new(),
        })
    }

    /// The suspicion against a file that is fetched last. `None` for all others.
    ///
    /// A device may list one name again and again: the number of deferred files is bounded.
    pub(crate) fn against(&self, candidate: &Candidate) -> Option<Suspicion> {
        let suspicion = self.last.get(&candidate.current_path).copied();
        suspicion.filter(|_| self.deferred.len() < MAX_SUSPECTS)
    }

    /// Defers a file to the end of the pass.
    pub(crate) fn defer(&mut self, suspicion: Suspicion, candidate: Candidate, decision: Decision) {
        self.deferred.push(Suspect {
            suspicion,
            candidate,
            decision,
        });
    }

    /// The deferred files, oldest first.
    pub(crate) fn into_deferred(mut self) -> Vec<Suspect> {
        self.deferred
            .sort_by_key(|suspect| suspect.candidate.identity.modified);
        self.deferred
    }
}

/// Clears the suspects among files that are recorded, by their paths on the device.
///
/// A crash just before leaves the suspicion against a path where no file will be any more. It concerns no
/// other file, and goes when newer suspects push it out.
pub(crate) async fn clear<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    recorded: impl Iterator<Item = &RelativePath>,
) -> Result<(), LedgerError> {
    let cleared: Vec<RelativePath> = {
        let blame = visit.blame.lock();
        recorded
            .filter(|path| blame.is_tracked(visit.source, path))
            .cloned()
            .collect()
    };
    if cleared.is_empty() {
        return Ok(());
    }
    let ledger = visit.world.ledger();
    ledger.clear_suspects(lease, visit.source, cleared).await
}

/// A file that was being fetched.
pub(crate) struct Fetching<'a> {
    pub(crate) current_path: &'a RelativePath,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) is_received: bool,
}

/// Records the files that may have ended the session, once per visit, and returns the failure.
///
/// After a crash before this write the files are simply tried again.
pub(crate) async fn record<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    files: &[Fetching<'_>],
    failure: DeviceFailure,
) -> PassError {
    let abilities = visit.session.abilities();
    let can_resume = abilities.digests && abilities.complete_identities;
    let suspects = in_doubt(files, failure.class, can_resume);
    let Some(first) = suspects.first() else {
        return failure.into();
    };
    {
        let mut blame = visit.blame.lock();
        if !blame.claim_once() {
            return failure.into();
        }
        let first = withdrawn::original_of(first);
        blame.set_note(if suspects.len() == 1 {
            format!("while fetching {first}")
        } else {
            format!(
                "while fetching {first} (or one of the next {})",
                suspects.len() - 1
            )
        });
    }
    let ledger = visit.world.ledger();
    match ledger.record_suspects(lease, visit.source, suspects).await {
        Ok(()) => failure.into(),
        Err(error) => error.into(),
    }
}

/// Which files may have ended the session. `can_resume`: a large file continues where it stopped.
fn in_doubt(files: &[Fetching<'_>], class: FailureClass, can_resume: bool) -> Vec<RelativePath> {
    let missing = files.iter().filter(|file| !file.is_received);
    let missing = missing.map(|file| file.current_path.clone());
    if class != FailureClass::Stalled {
        // A broken connection is rarely a file's fault. Blame the first missing file only if transfers cannot
        // resume: then a large file may never fit into one session.
        return missing.take(usize::from(!can_resume)).collect();
    }
    // Files are sent in parallel, and small ones are buffered: the device may have stalled over any of these.
    let missing: Vec<_> = missing.take(MAX_IN_DOUBT).collect();
    if !missing.is_empty() {
        return missing;
    }
    // All bytes arrived, so a digest is late. The digest of the largest file takes longest.
    let largest = files.iter().max_by_key(|file| file.size);
    largest
        .map(|file| file.current_path.clone())
        .into_iter()
        .collect()
}
