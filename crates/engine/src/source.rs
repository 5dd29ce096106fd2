//! Emptying one source: survey, do what is ready, and survey again if there was more than one plan holds.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Amount, FileState, SourcePath, WaitReason};
use tokio::time::Instant;

use crate::batch::{self, Batch};
use crate::event::Event;
use crate::plan::{Candidate, Decision, SurveyContext};
use crate::ports::{Clock, DeviceFailure, Ledger, Openness, Reason, Session, Store, WriterCheck};
use crate::recourse::PassError;
use crate::remaining::RemainingTally;
use crate::rules::Mode;
use crate::stages::survey::{self, Marks, Survey};
use crate::stages::tidy;
use crate::suspects::{Suspect, Watch};
use crate::visit::Visit;
use crate::world::World;

/// How many batches are under way at a time: while one is published, recorded and released, the next is on the wire, and one more is
/// withdrawn, so that the wire need not wait for it.
const BATCHES_AT_ONCE: usize = 3;

/// What surveys that came to their end left on the device.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// What is left.
    pub(crate) remaining: RemainingTally,
    /// How many sources it is about.
    pub(crate) sources: usize,
    /// What goes last of all.
    pub(crate) suspects: Vec<(SourcePath, Suspect)>,
    /// The weakest way in which the device proves, of files in any source, that nobody writes to them; `None`
    /// where there are no files.
    pub(crate) writer_check: Option<WriterCheck>,
}

/// Empties a source, as far as the rules and the device allow. Adds to `all_left` what its last survey left.
pub(crate) async fn empty<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    mode: Mode,
    clock_trusted: bool,
    all_left: &mut Left,
) -> Result<(), PassError> {
    // Neither the time until the device's turn came nor that of a listing is taken from the batches: a device that takes long for either would never
    // be emptied.
    let mut first_batch = None;
    loop {
        let progress_before = visit.progress();
        let marks = Marks::collect(visit, source).await?;
        let outlook = outlook(visit, source, clock_trusted);
        let watch = Watch::over(visit, source).await?;
        let mut survey = survey::survey(visit, source, &outlook, (marks, watch), mode).await?;
        announce(visit, source, &survey, mode);
        all_left.writer_check = weakest(all_left.writer_check, survey.writer_check);
        let first_batch = *first_batch.get_or_insert_with(Instant::now);
        let (left, overflow, cut) = (
            std::mem::take(&mut survey.remaining),
            survey.overflow,
            survey.cut.take(),
        );
        let mut suspects = std::mem::take(&mut survey.suspects);
        let one_view = visit.session.abilities().one_view;
        let result = match mode {
            Mode::Act => act(visit, source, survey, first_batch).await,
            Mode::DryRun => {
                let last = suspects
                    .drain(..)
                    .map(|suspect| (suspect.candidate, suspect.decision));
                say(visit, source, survey.work.into_iter().chain(last)).await
            }
        };
        // What was surveyed are other files than those that can be read.
        if result.is_ok() && one_view && !visit.session.abilities().one_view {
            continue;
        }
        // Without progress a further survey would find the same files again.
        let again = cut.is_none()
            && !overflow.is_none()
            && visit.progress() > progress_before
            && visit.may_go_on(first_batch);
        if result.is_err() || !again {
            let of_source = suspects.into_iter().map(|suspect| (source.clone(), suspect));
            all_left.suspects.extend(of_source);
            all_left.remaining.merge(left);
            all_left
                .remaining
                .add(Reason::Wait(WaitReason::NotReached), overflow);
            if let Some(failure) = cut {
                return result.and(Err(cut_off(failure, mode)));
            }
            all_left.sources += 1;
            return result;
        }
    }
}

fn weakest(one: Option<WriterCheck>, other: Option<WriterCheck>) -> Option<WriterCheck> {
    one.into_iter().chain(other).min()
}

/// The next survey goes on behind what was gathered. Where nothing could be, the device names what is not there.
fn cut_off(mut failure: DeviceFailure, mode: Mode) -> PassError {
    let what_follows = match mode {
        Mode::Act => "what it had named was gathered",
        Mode::DryRun => "a sweep would gather what it had named",
    };
    failure.message.push_str("; ");
    failure.message.push_str(what_follows);
    PassError::Endless(failure)
}

/// In what light the next listing of the source is to be seen.
fn outlook<'a, W: World>(
    visit: &'a Visit<'_, W>,
    source: &SourcePath,
    clock_trusted: bool,
) -> SurveyContext<'a> {
    let facts = visit.session.facts();
    // An early listing may be as old as the connection. Were it held against the time that is now, a file would seem to have rested for
    // as long as the device waited for its turn.
    let (since_told, asked) = match visit.session.has_early_listing(source) {
        false => (visit.connected.1.elapsed(), visit.world.clock().steady()),
        true => (Duration::ZERO, visit.earliest_look),
    };
    let booted = facts
        .clock
        .zip(facts.uptime)
        .map(|(clock, uptime)| clock.minus(uptime));
    SurveyContext {
        rules: &visit.device.rules,
        abilities: visit.session.abilities(),
        ledger: visit.world.ledger().id(),
        now: facts.clock.map(|clock| clock.plus(since_told)),
        asked,
        booted,
        clock_trusted,
    }
}

fn announce<W: World>(visit: &Visit<'_, W>, source: &SourcePath, survey: &Survey<'_>, mode: Mode) {
    let is_overfull = !survey.overflow.is_none();
    // Where there is more, they are found again in the next survey.
    let suspects = survey
        .suspects
        .iter()
        .filter(|_| !is_overfull || mode == Mode::DryRun);
    let planned = survey.work.iter().map(|(candidate, _)| candidate);
    let planned = planned.chain(suspects.map(|suspect| &suspect.candidate));
    let ready = planned.fold(Amount::ZERO, |sum, candidate| {
        sum.plus(Amount::of_file(candidate.identity.size))
    });
    visit.report(&Event::Surveyed {
        device: visit.device.name.clone(),
        source: source.clone(),
        ready,
        remaining: survey.remaining.count(),
        more: is_overfull,
    });
}

/// Says what a sweep would do. It would leave a file that somebody writes to: a listing need not tell which
/// these are.
async fn say<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    plan: impl Iterator<Item = (Candidate, Decision)>,
) -> Result<(), PassError> {
    let mut plan = plan.peekable();
    while plan.peek().is_some() {
        let some: Vec<_> = plan.by_ref().take(SAID_AT_ONCE).collect();
        let paths: Vec<_> = some
            .iter()
            .map(|(candidate, _)| candidate.current_path.clone())
            .collect();
        let looks = visit.session.inspect(source, &paths).await?;
        for ((candidate, decision), looked) in some.into_iter().zip(looks) {
            let size = candidate.identity.size;
            if looked.is_ok_and(|inspection| inspection.openness == Openness::Open) {
                let reason = Reason::Wait(WaitReason::Open);
                visit.leave_behind(source, &candidate.original, size, reason, None);
                continue;
            }
            visit.report(&Event::Planned {
                device: visit.device.name.clone(),
                source: source.clone(),
                path: candidate.original,
                size,
                action: decision.code(),
            });
        }
    }
    Ok(())
}

/// Files that a dry run looks at in one question.
const SAID_AT_ONCE: usize = 512;

/// Does what a survey found to be done.
async fn act<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    survey: Survey<'_>,
    first_batch: Instant,
) -> Result<(), PassError> {
    let gone: Vec<_> = survey
        .gone
        .iter()
        .map(|row| (*row, FileState::Released, None))
        .collect();
    if !gone.is_empty() {
        visit.world.ledger().set_states(gone, visit.now()).await?;
    }
    let one_view = visit.session.abilities().one_view;
    run_batches(visit, source, survey.work.into(), first_batch).await?;
    drop(survey.loan);
    if one_view && !visit.session.abilities().one_view {
        // The old folders are those of another view, too.
        return Ok(());
    }
    tidy::finish(visit, source, survey.old_folders).await
}

/// Runs batch after batch, a few at once. After a failure no new one is begun, but those under way may end: what they have proved
/// is not thrown away.
pub(crate) async fn run_batches<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    mut work: VecDeque<(Candidate, Decision)>,
    first_batch: Instant,
) -> Result<(), PassError> {
    let mut size = batch::Size::first();
    let mut under_way = FuturesUnordered::new();
    let (mut failure, mut bytes_under_way) = (None, 0_u64);
    let mut ended = VecDeque::new();
    loop {
        while under_way.len() < BATCHES_AT_ONCE
            && ended.is_empty()
            && failure.is_none()
            && visit.may_go_on(first_batch)
        {
            let batch: Batch = size.take(&mut work);
            if batch.is_empty() {
                break;
            }
            let bytes = batch::bytes(&batch);
            if !under_way.is_empty() {
                let room = has_plenty_of_room(visit, bytes_under_way.saturating_add(bytes));
                // Whatever ends meanwhile is heard first: it may have failed, or the room be enough by now.
                if !beside(&mut under_way, &mut ended, room).await || !ended.is_empty() {
                    batch.into_iter().rev().for_each(|file| work.push_front(file));
                    break;
                }
            }
            bytes_under_way = bytes_under_way.saturating_add(bytes);
            under_way.push(async move { (bytes, attempt(visit, source, batch).await) });
        }
        let is_last = work.is_empty() && under_way.len() == 1;
        visit.is_last_batch.store(is_last, Ordering::Relaxed);
        let next = match ended.pop_front() {
            Some(next) => Some(next),
            None => under_way.next().await,
        };
        let Some((bytes, outcome)) = next else {
            break;
        };
        bytes_under_way = bytes_under_way.saturating_sub(bytes);
        match outcome {
            Ok(()) => size.grow(),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    visit.is_last_batch.store(false, Ordering::Relaxed);
    if visit.stop.is_requested() && !work.is_empty() {
        failure = failure.or(Some(PassError::Interrupted));
    }
    for (candidate, _) in work {
        visit.not_reached(source, &candidate.original, candidate.identity.size);
    }
    failure.map_or(Ok(()), Err)
}

/// Waits for an answer of the store while what is under way goes on: the wire must not be idle because a disk is busy.
async fn beside<B: Future, T>(
    under_way: &mut FuturesUnordered<B>,
    ended: &mut VecDeque<B::Output>,
    answer: impl Future<Output = T>,
) -> T {
    let mut answer = std::pin::pin!(answer);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            Some(outcome) = under_way.next() => ended.push_back(outcome),
        }
    }
}

/// Whether batches of so many bytes may be under way together. Where the store is nearly full, they would fill it up before any of them is whole,
/// and sweep after sweep would bring nothing home: then one goes after the other, and takes what there is room for.
async fn has_plenty_of_room<W: World>(visit: &Visit<'_, W>, bytes: u64) -> bool {
    let condition = visit.world.store().condition().await;
    condition.is_ok_and(|condition| condition.room / 2 >= bytes)
}

/// Runs a batch; if it fails, what it did not come to an end with is noted as not reached.
async fn attempt<W: World>(visit: &Visit<'_, W>, source: &SourcePath, batch: Batch) -> Result<(), PassError> {
    let files: Vec<_> = batch
        .iter()
        .map(|(candidate, _)| (candidate.original.clone(), candidate.identity.size))
        .collect();
    let result = batch::run(visit, source, batch).await;
    visit.batch_ended(source, &files, result.is_err());
    result
}
