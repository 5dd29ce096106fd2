//! Suspects: files that may be why a session ended.
//!
//! Links fail, and then nearly always no file is to blame. But a file with which every session ends (on a spot of a card over which the device falls silent, or
//! too large for a link that never lives so long) would, as the oldest, be fetched first in every pass, and none of those behind it would ever come home. So
//! the ledger counts how often each may have been why. From the second time on they go last in a pass, after all sources: at first together, since most of
//! them are innocent, and from the third time on each alone. Of these the one that was noted longest ago goes first, so that each has its turn. What is recorded is
//! no suspect any more.
//!
//! A suspect is known by where it lies: a new file of the same name is another.

use std::collections::HashMap;

use model::{FailureClass, RelativePath, SourcePath};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::plan::{Candidate, Decision};
use crate::ports::device::MAX_BUFFERED;
use crate::ports::{DeviceFailure, Ledger, LedgerError, MAX_SUSPECTS, Session, Suspicion};
use crate::recourse::PassError;
use crate::source::run_batches;
use crate::stages::publish::Published;
use crate::stages::tidy;
use crate::visit::Visit;
use crate::withdrawn;
use crate::world::World;

/// So many files may have been on their way at once when a device fell silent: as many as are fetched at the same time.
const IN_DOUBT: usize = 128;
const _: () = assert!(MAX_BUFFERED <= IN_DOUBT);

/// A file goes last from this time on: what happened once may be the link's fault.
const TIMES_UNTIL_LAST: u64 = 2;
/// And alone from this time on.
const TIMES_UNTIL_ALONE: u64 = 3;

/// The suspects of a source while it is surveyed.
#[derive(Debug)]
pub(crate) struct Watch {
    last: HashMap<RelativePath, Suspicion>,
    found: Vec<Suspect>,
}

/// A suspect that goes last, and what is to be done with it.
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
        let mut noted = ledger.suspects(&visit.device.name, source).await?;
        for (current_path, _) in &noted {
            visit.watch(source, current_path);
        }
        noted.retain(|(_, suspicion)| suspicion.times >= TIMES_UNTIL_LAST);
        Ok(Self {
            last: noted.into_iter().collect(),
            found: Vec::new(),
        })
    }

    /// Whether a file goes last. A device may name one again and again: that fills no memory.
    pub(crate) fn sees(&self, candidate: &Candidate) -> Option<Suspicion> {
        let suspicion = self.last.get(&candidate.current_path).copied();
        suspicion.filter(|_| self.found.len() < MAX_SUSPECTS)
    }

    /// Keeps a file for the end of the pass.
    pub(crate) fn keep(&mut self, suspicion: Suspicion, candidate: Candidate, decision: Decision) {
        self.found.push(Suspect {
            suspicion,
            candidate,
            decision,
        });
    }

    /// What goes last, oldest file first.
    pub(crate) fn into_suspects(mut self) -> Vec<Suspect> {
        self.found
            .sort_by_key(|suspect| suspect.candidate.identity.modified);
        self.found
    }
}

/// Gathers the suspects of all sources, as far as the session lives.
pub(crate) async fn run<W: World>(
    visit: &Visit<'_, W>,
    suspects: Vec<(SourcePath, Suspect)>,
) -> Result<(), PassError> {
    let first_batch = Instant::now();
    let mut result = Ok(());
    for (source, group) in groups(suspects) {
        match result {
            Ok(()) => result = run_group(visit, &source, group, first_batch).await,
            Err(_) => group
                .iter()
                .for_each(|(candidate, _)| not_reached_one(visit, &source, candidate)),
        }
    }
    result
}

/// First those of each source that go together, then each of the others.
fn groups(suspects: Vec<(SourcePath, Suspect)>) -> Vec<(SourcePath, Batch)> {
    let (mut groups, mut alone) = (Vec::<(SourcePath, Batch)>::new(), Vec::new());
    for (source, suspect) in suspects {
        let Suspect {
            suspicion,
            candidate,
            decision,
        } = suspect;
        let file = (candidate, decision);
        match groups.last_mut() {
            _ if suspicion.times >= TIMES_UNTIL_ALONE => alone.push((suspicion.noted, source, file)),
            Some((last, group)) if *last == source => group.push(file),
            _ => groups.push((source, vec![file])),
        }
    }
    alone.sort_by_key(|(noted, ..)| *noted);
    groups.extend(alone.into_iter().map(|(_, source, file)| (source, vec![file])));
    groups
}

async fn run_group<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    group: Batch,
    first_batch: Instant,
) -> Result<(), PassError> {
    let places: Vec<RelativePath> = group
        .iter()
        .map(|(candidate, _)| candidate.current_path.clone())
        .collect();
    let result = run_batches(visit, source, group.into(), first_batch).await;
    if let Err(PassError::Device(failure)) = &result {
        // Whatever stage it was that the session ended in: else the next one never had its turn.
        let most = match failure.class {
            FailureClass::Stalled => IN_DOUBT,
            _ => 1,
        };
        if visit.suspect_first() {
            let suspects = places.into_iter().take(most).collect();
            let ledger = visit.world.ledger();
            ledger
                .record_suspects(&visit.device.name, source, suspects)
                .await?;
        }
        return result;
    }
    result?;
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

/// Forgets the suspects among files that are recorded. A crash just before leaves the note of a place where nothing will lie any more: it says nothing of any other
/// file, and goes when newer ones push it out.
pub(crate) async fn acquit<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    recorded: &[Published],
) -> Result<(), LedgerError> {
    // One that was noted in its place may have been withdrawn since.
    let places = recorded
        .iter()
        .flat_map(|file| [file.withdrawn().current_path(), file.withdrawn().original()]);
    let places = places.filter(|current_path| visit.is_watched(source, current_path));
    let cleared: Vec<RelativePath> = places.cloned().collect();
    match cleared.is_empty() {
        true => Ok(()),
        false => {
            visit
                .world
                .ledger()
                .clear_suspects(&visit.device.name, source, cleared)
                .await
        }
    }
}

/// A file of a batch: where it lies, its size in bytes, and whether it came.
pub(crate) struct Fetching<'a> {
    pub(crate) current_path: &'a RelativePath,
    pub(crate) size: u64,
    pub(crate) came: bool,
}

/// A session ended while these files were fetched. Notes which may be why, once in a visit: what other batches meet is the same end. A crash before leaves them unnoted, and
/// the next pass begins with them once more.
pub(crate) async fn note<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    files: Vec<Fetching<'_>>,
    failure: DeviceFailure,
) -> PassError {
    let abilities = visit.session.abilities();
    let goes_on = abilities.digests && abilities.complete_identities;
    let suspects = in_doubt(&files, failure.class, goes_on);
    let Some(first) = suspects.first() else {
        return failure.into();
    };
    if !visit.suspect_first() {
        return failure.into();
    }
    let first = withdrawn::original_of(first);
    visit.name_suspects(match suspects.len() - 1 {
        0 => format!("it was to send {first}"),
        others => format!("it was to send {first}, or one of {others} files after it"),
    });
    let ledger = visit.world.ledger();
    match ledger.record_suspects(&visit.device.name, source, suspects).await {
        Ok(()) => failure.into(),
        Err(error) => error.into(),
    }
}

/// `goes_on`: what has come of a large file need not come again.
fn in_doubt(files: &[Fetching<'_>], class: FailureClass, goes_on: bool) -> Vec<RelativePath> {
    let missing = files.iter().filter(|file| !file.came);
    let missing = missing.map(|file| file.current_path.clone());
    if class != FailureClass::Stalled {
        // What was on its way when a connection broke is lost with it, and nearly always it is no fault of any file: only of one that never comes home in the life
        // of a link, and that is one of which all has to come at once.
        return missing.take(usize::from(!goes_on)).collect();
    }
    // Files are sent side by side, and small ones are held back until there are some: any of these may be what it fell silent over.
    let missing: Vec<_> = missing.take(IN_DOUBT).collect();
    if !missing.is_empty() {
        return missing;
    }
    // What did not come in time is a digest, and that of the largest takes longest.
    let largest = files.iter().max_by_key(|file| file.size);
    largest
        .map(|file| file.current_path.clone())
        .into_iter()
        .collect()
}
