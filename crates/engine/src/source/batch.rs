//! One batch: the way of its files through all stages.

use crate::plan::work::Batch;
use crate::plan::{Candidate, Decision};
use crate::ports::{KnownFile, PassLease};
use crate::recourse::PassError;
use crate::stages::{fetch, foresee, publish, record, release, verify, withdraw};
use crate::visit::SourceVisit;
use crate::world::World;

/// Takes one batch through all stages.
pub(crate) async fn run<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    batch: Batch,
) -> Result<(), PassError> {
    let (to_prove, mut to_gather) = split(batch);
    // These are stored already, and need no room.
    let proved = record::prove_again(visit, to_prove).await?;
    to_gather.extend(
        proved
            .to_fetch
            .into_iter()
            .map(|candidate| (candidate, Decision::Resume)),
    );

    let fitting = foresee::foresee(visit, to_gather).await?;
    let withdrawn = withdraw::withdraw(visit, lease, fitting).await?;
    let fetched = fetch::fetch(visit, lease, withdrawn).await?;
    let verified = verify::verify(visit, fetched).await?;
    let published = publish::publish(visit, verified).await?;
    let mut recorded = record::record(visit, lease, published).await?;
    recorded.extend(proved.recorded);
    release::release(visit, lease, recorded).await
}

fn split(batch: Batch) -> (Vec<(Candidate, KnownFile)>, Batch) {
    let (mut to_prove, mut to_gather) = (Vec::new(), Vec::new());
    for (candidate, decision) in batch {
        match decision {
            Decision::ProveAgain(row) => to_prove.push((candidate, *row)),
            decision => to_gather.push((candidate, decision)),
        }
    }
    (to_prove, to_gather)
}
