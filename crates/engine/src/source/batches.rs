//! Runs the work of a survey in batches, several at a time.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::plan::work::{self, Batch, BatchSize, Work};
use crate::ports::StoreStatus;
use crate::recourse::PassError;
use crate::source::batch;
use crate::visit::SourceVisit;
use crate::world::World;

/// Batches in progress at a time: one is published, recorded and released, the next is being fetched, and one
/// more is withdrawn, so that the link need not wait for it.
const MAX_BATCHES: usize = 3;

/// Runs batch after batch.
///
/// After a failure no new batch begins. Those in progress may end: what they have proved is kept.
pub(super) async fn run_batches<W: World>(
    visit: &SourceVisit<'_, W>,
    mut work: Work,
    first_batch: Instant,
) -> Result<(), PassError> {
    let mut size = BatchSize::first();
    let mut running = FuturesUnordered::new();
    let (mut failure, mut bytes_running) = (None, 0_u64);
    let mut ended = VecDeque::new();
    loop {
        while running.len() < MAX_BATCHES
            && ended.is_empty()
            && failure.is_none()
            && visit.device_visit.may_continue(first_batch)
        {
            let batch = size.take(&mut work);
            if batch.is_empty() {
                break;
            }
            let bytes = work::bytes(&batch);
            if !running.is_empty() {
                let room = has_plenty_of_room(visit, bytes_running.saturating_add(bytes));
                // A batch that ends meanwhile comes first: it may have failed, or have made room.
                if !answer_while_running(&mut running, &mut ended, room).await || !ended.is_empty() {
                    batch.into_iter().rev().for_each(|file| work.push_front(file));
                    break;
                }
            }
            bytes_running = bytes_running.saturating_add(bytes);
            running.push(async move { (bytes, run_one(visit, batch).await) });
        }
        let is_last = work.is_empty() && running.len() == 1;
        visit.is_last_batch.store(is_last, Ordering::Relaxed);
        let next = match ended.pop_front() {
            Some(next) => Some(next),
            None => running.next().await,
        };
        let Some((bytes, outcome)) = next else {
            break;
        };
        bytes_running = bytes_running.saturating_sub(bytes);
        match outcome {
            Ok(()) => size.grow(),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    visit.is_last_batch.store(false, Ordering::Relaxed);
    if visit.fleet.stop.is_requested() && !work.is_empty() {
        failure = failure.or(Some(PassError::Interrupted));
    }
    for (candidate, _) in work {
        visit.record_not_reached(&candidate.original, candidate.identity.size);
    }
    failure.map_or(Ok(()), Err)
}

/// Waits for `answer` while batches continue: the link must not be idle because a disk is busy.
async fn answer_while_running<B: Future, T>(
    running: &mut FuturesUnordered<B>,
    ended: &mut VecDeque<B::Output>,
    answer: impl Future<Output = T>,
) -> T {
    let mut answer = std::pin::pin!(answer);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            Some(outcome) = running.next() => ended.push_back(outcome),
        }
    }
}

/// Whether batches of `bytes` bytes may run at the same time.
///
/// In a store that is nearly full they would fill it before any of them is whole, sweep after sweep. There,
/// one batch runs after the other and takes the files for which there is room. A store that reports no room
/// has plenty.
async fn has_plenty_of_room<W: World>(visit: &SourceVisit<'_, W>, bytes: u64) -> bool {
    let condition = visit.world.store().condition().await;
    condition.is_ok_and(|condition| condition.room.is_none_or(|room| room / 2 >= bytes))
}

/// Runs one batch. If it fails, the files that it did not handle were not reached.
async fn run_one<W: World>(visit: &SourceVisit<'_, W>, batch: Batch) -> Result<(), PassError> {
    let files: Vec<_> = batch
        .iter()
        .map(|(candidate, _)| (candidate.original.clone(), candidate.identity.size))
        .collect();
    let result = batch::run(visit, batch).await;
    visit.tally.close_batch(visit.source, &files, result.is_err());
    result
}
