//! Suspects: files that may be why a session ended.
//!
//! Links fail, and then nearly always no file is to blame. But a file with which every session ends (on a spot of a card over which the device falls silent, or
//! too large for a link that never lives so long) would, as the oldest, be fetched first in every pass, and none of those behind it would ever come home. So
//! suspects go last in a pass, after all sources: those of one session together, since most of them are innocent, and each alone once it was suspected again. Of
//! these the one that was noted longest ago goes first, so that each has its turn.

use std::collections::HashMap;

use model::{FailureClass, RelativePath, SourcePath};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::plan::{Candidate, Decision};
use crate::ports::device::HELD_BACK;
use crate::ports::{DeviceFailure, Ledger, LedgerError, MOST_SUSPECTS, Suspicion};
use crate::recourse::PassError;
use crate::source::run_batches;
use crate::stages::tidy;
use crate::visit::Visit;
use crate::withdrawn;
use crate::world::World;

/// So many files may have been on their way at once when a device fell silent: as many as are fetched at the same time.
const IN_DOUBT: usize = 128;
const _: () = assert!(HELD_BACK <= IN_DOUBT);

/// The suspects of a source while it is surveyed.
#[derive(Debug)]
pub(crate) struct Watch {
    noted: HashMap<RelativePath, Suspicion>,
    found: Vec<Suspect>,
}

/// A suspect, and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Suspect {
    suspicion: Suspicion,
    pub(crate) candidate: Candidate,
    pub(crate) decision: Decision,
}

impl Watch {
    /// What the ledger knows of a source.
    pub(crate) async fn over<W: World>(
        visit: &Visit<'_, W>,
        source: &SourcePath,
    ) -> Result<Self, LedgerError> {
        let ledger = visit.world.ledger();
        let noted = ledger.suspects(&visit.device.name, source).await?;
        Ok(Self {
            noted: noted.into_iter().collect(),
            found: Vec::new(),
        })
    }

    /// Whether a file is a suspect. Of one name there may be many files, withdrawn in batch after batch: a device that invents them fills no memory.
    pub(crate) fn suspects(&self, candidate: &Candidate) -> Option<Suspicion> {
        let suspicion = self.noted.get(&candidate.original).copied();
        suspicion.filter(|_| self.found.len() < MOST_SUSPECTS)
    }

    /// Keeps a suspect for the end of the pass.
    pub(crate) fn keep(&mut self, suspicion: Suspicion, candidate: Candidate, decision: Decision) {
        self.found.push(Suspect {
            suspicion,
            candidate,
            decision,
        });
    }

    pub(crate) fn into_suspects(self) -> Vec<Suspect> {
        self.found
    }
}

/// Gathers the suspects of all sources, as far as the session lives.
pub(crate) async fn run<W: World>(
    visit: &Visit<'_, W>,
    suspects: Vec<(SourcePath, Suspect)>,
) -> Result<(), PassError> {
    let first_batch = Instant::now();
    let (mut together, mut alone) = (Vec::<(SourcePath, Batch)>::new(), Vec::new());
    for (source, suspect) in suspects {
        if suspect.suspicion.times > 1 {
            alone.push((source, suspect));
            continue;
        }
        let file = (suspect.candidate, suspect.decision);
        match together.last_mut() {
            Some((last, batch)) if *last == source => batch.push(file),
            _ => together.push((source, vec![file])),
        }
    }
    // The copy that was withdrawn when it was noted is the suspect: a new file of its name goes before it.
    alone.sort_by_key(|(_, suspect)| (suspect.suspicion.noted, suspect.candidate.is_withdrawn()));
    let alone = alone
        .into_iter()
        .map(|(source, suspect)| (source, vec![(suspect.candidate, suspect.decision)]));
    let mut result = Ok(());
    for (source, group) in together.into_iter().chain(alone) {
        match result {
            Ok(()) => result = run_group(visit, &source, group, first_batch).await,
            Err(_) => group
                .iter()
                .for_each(|(candidate, _)| not_reached_one(visit, &source, candidate)),
        }
    }
    result
}

/// Runs some suspects of one source. Those that are gone from the device are suspects no more.
async fn run_group<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    group: Batch,
    first_batch: Instant,
) -> Result<(), PassError> {
    let originals: Vec<RelativePath> = group
        .iter()
        .map(|(candidate, _)| candidate.original.clone())
        .collect();
    let may_begin = visit.may_go_on(first_batch);
    let (ledger, device) = (visit.world.ledger(), &visit.device.name);
    match run_batches(visit, source, group.into(), first_batch).await {
        Ok(()) if may_begin => {}
        Err(PassError::Device(failure)) => {
            // Whatever stage it was that the session ended in: else the next suspect never had its turn.
            if visit.suspect_first() {
                ledger.suspect(device, source, originals).await?;
            }
            return Err(failure.into());
        }
        other => return other,
    }
    let cleared = originals.into_iter().filter(|path| !visit.has_left(source, path));
    ledger.acquit(device, source, cleared.collect()).await?;
    tidy::finish(visit, source, Vec::new()).await
}

/// Notes that the turn of suspects did not come.
pub(crate) fn not_reached<W: World>(
    visit: &Visit<'_, W>,
    suspects: impl Iterator<Item = (SourcePath, Suspect)>,
) {
    suspects.for_each(|(source, suspect)| not_reached_one(visit, &source, &suspect.candidate));
}

fn not_reached_one<W: World>(visit: &Visit<'_, W>, source: &SourcePath, candidate: &Candidate) {
    visit.not_reached(source, &candidate.original, candidate.identity.size);
}

/// A file of a batch, by where it lies: its size, and whether it came.
pub(crate) type Fetching<'a> = (&'a RelativePath, u64, bool);

/// A session ended while these files were fetched. Notes which may be why, once in a visit: what other batches meet is the same end.
pub(crate) async fn note<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    files: Vec<Fetching<'_>>,
    failure: DeviceFailure,
) -> PassError {
    let suspects = in_doubt(&files, failure.class);
    let Some(first) = suspects.first() else {
        return failure.into();
    };
    if !visit.suspect_first() {
        return failure.into();
    }
    visit.name_suspects(match suspects.len() - 1 {
        0 => format!("it was to send {first}"),
        others => format!("it was to send {first}, or one of {others} files after it"),
    });
    let ledger = visit.world.ledger();
    match ledger.suspect(&visit.device.name, source, suspects).await {
        Ok(()) => failure.into(),
        Err(error) => error.into(),
    }
}

fn in_doubt(files: &[Fetching<'_>], class: FailureClass) -> Vec<RelativePath> {
    let missing = files.iter().filter(|(_, _, came)| !came);
    let missing = missing.map(|(lies_at, ..)| withdrawn::original_of(lies_at));
    if class != FailureClass::Stalled {
        // What was on its way when a connection broke is lost with it, and nearly always it is no fault of any file.
        return missing.take(1).collect();
    }
    // Files are sent side by side, and small ones are held back until there are some: any of these may be what it fell silent over.
    let missing: Vec<_> = missing.take(IN_DOUBT).collect();
    if !missing.is_empty() {
        return missing;
    }
    // What did not come in time is a digest, and that of the largest takes longest.
    let largest = files.iter().max_by_key(|(_, size, _)| *size);
    largest
        .map(|(lies_at, ..)| withdrawn::original_of(lies_at))
        .into_iter()
        .collect()
}
