//! Suspects are fetched after all other files of the device, as far as the session lasts.

use model::{FailureClass, RelativePath, SourcePath};
use tokio::time::Instant;

use crate::plan::work::Batch;
use crate::ports::{Ledger, PassLease};
use crate::recourse::PassError;
use crate::source::batches::run_batches;
use crate::stages::tidy;
use crate::suspects::{MAX_IN_DOUBT, Suspect};
use crate::visit::{SourceVisit, Visit};
use crate::world::World;

/// Gathers the suspects of all sources.
pub(crate) async fn run<W: World>(
    visit: &Visit<'_, W>,
    suspects: Vec<(SourcePath, Suspect)>,
) -> Result<(), PassError> {
    // A dry run defers nothing.
    let Some(lease) = visit.lease else {
        return Ok(());
    };
    let first_batch = Instant::now();
    let mut result = Ok(());
    for (source, group) in groups(suspects) {
        let source = SourceVisit::new(visit, &source);
        if result.is_ok() {
            result = run_group(&source, lease, group, first_batch).await;
        } else {
            for (candidate, _) in group {
                source.record_not_reached(&candidate.original, candidate.identity.size);
            }
        }
    }
    result
}

/// Records that the visit did not reach these suspects.
pub(crate) fn record_not_reached<W: World>(
    visit: &Visit<'_, W>,
    suspects: impl Iterator<Item = (SourcePath, Suspect)>,
) {
    for (source, suspect) in suspects {
        let file = &suspect.candidate;
        visit
            .tally
            .record_not_reached(&source, &file.original, file.identity.size);
    }
}

/// First one group for each source, then each file that goes alone, least recently tried first.
fn groups(suspects: Vec<(SourcePath, Suspect)>) -> Vec<(SourcePath, Batch)> {
    let (mut groups, mut alone) = (Vec::<(SourcePath, Batch)>::new(), Vec::new());
    for (source, suspect) in suspects {
        let (goes_alone, recorded) = (suspect.goes_alone(), suspect.suspicion.noted);
        let file = (suspect.candidate, suspect.decision);
        match groups.last_mut() {
            _ if goes_alone => alone.push((recorded, source, file)),
            Some((last, group)) if *last == source => group.push(file),
            _ => groups.push((source, vec![file])),
        }
    }
    alone.sort_by_key(|(recorded, ..)| *recorded);
    groups.extend(alone.into_iter().map(|(_, source, file)| (source, vec![file])));
    groups
}

async fn run_group<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    group: Batch,
    first_batch: Instant,
) -> Result<(), PassError> {
    let paths: Vec<RelativePath> = group
        .iter()
        .map(|(candidate, _)| candidate.current_path.clone())
        .collect();
    let result = run_batches(visit, lease, group.into(), first_batch).await;
    if let Err(PassError::Device(failure)) = &result {
        // Whichever stage the session ended in. Otherwise the next suspect would never be tried.
        let count = if failure.class == FailureClass::Stalled {
            MAX_IN_DOUBT
        } else {
            1
        };
        let is_first = visit.blame.lock().claim_once();
        if is_first {
            let suspects = paths.into_iter().take(count).collect();
            let ledger = visit.world.ledger();
            ledger.record_suspects(lease, visit.source, suspects).await?;
        }
        return result;
    }
    result?;
    tidy::finish(visit, Vec::new()).await
}
