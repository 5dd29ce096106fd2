//! Empties one source: survey, run what is ready in batches, and survey again if one plan did not hold it
//! all.

mod batch;
mod batches;
pub(crate) mod deferred;
mod dry_run;

use std::time::Duration;

use model::{Amount, FileState, SourcePath, WaitReason};
use tokio::time::Instant;

use crate::event::Event;
use crate::plan::SurveyContext;
use crate::ports::{Clock, DeviceFailure, Ledger, PassLease, Reason, Session, WriterCheck};
use crate::recourse::PassError;
use crate::rules::Mode;
use crate::source::batches::run_batches;
use crate::stages::survey::{self, Marks, Survey};
use crate::stages::tidy;
use crate::suspects::{KnownSuspects, Suspect};
use crate::tally::RemainingTally;
use crate::visit::SourceVisit;
use crate::world::World;

/// What the surveys of a visit left on the device.
#[derive(Debug, Default)]
pub(crate) struct Surveyed {
    /// The files that remain.
    pub(crate) remaining: RemainingTally,
    /// Number of sources whose survey was complete.
    pub(crate) sources: usize,
    /// Files that are fetched after all others.
    pub(crate) suspects: Vec<(SourcePath, Suspect)>,
    /// The weakest check for writers among the files of all sources. `None` without files.
    pub(crate) writer_check: Option<WriterCheck>,
}

/// Empties a source, as far as the rules and the device allow. Adds what its last survey left to `surveyed`.
pub(crate) async fn empty<W: World>(
    visit: &SourceVisit<'_, W>,
    clock_trusted: bool,
    surveyed: &mut Surveyed,
) -> Result<(), PassError> {
    let lease = visit.device_visit.lease;
    let mode = if lease.is_some() { Mode::Act } else { Mode::DryRun };
    // The time for batches begins here: waiting for a slot and listing do not count. Otherwise a device that
    // is slow at either would never be emptied.
    let mut first_batch = None;
    loop {
        let handled_before = visit.tally.handled();
        let marks = Marks::collect(visit).await?;
        let context = survey_context(visit, clock_trusted);
        let known = KnownSuspects::load(visit).await?;
        let mut survey = survey::survey(visit, &context, marks, known, lease).await?;
        announce(visit, &survey, mode);
        surveyed.writer_check = weaker(surveyed.writer_check, survey.writer_check);
        let first_batch = *first_batch.get_or_insert_with(Instant::now);
        let outcome = SurveyOutcome::take_from(&mut survey);
        let one_view = visit.session.abilities().one_view;
        let (result, suspects) = match lease {
            Some(lease) => {
                let suspects = std::mem::take(&mut survey.suspects);
                (act(visit, lease, survey, first_batch).await, suspects)
            }
            None => (dry_run::report(visit, survey).await, Vec::new()),
        };
        // The files of this survey are in another folder than the ones that can be read.
        if result.is_ok() && one_view && !visit.session.abilities().one_view {
            continue;
        }
        let is_progress = visit.tally.handled() > handled_before;
        let again = outcome.has_more() && is_progress && visit.device_visit.may_continue(first_batch);
        if result.is_ok() && again {
            continue;
        }
        let of_source = suspects
            .into_iter()
            .map(|suspect| (visit.source.clone(), suspect));
        surveyed.suspects.extend(of_source);
        return outcome.close(result, mode, surveyed);
    }
}

/// What a survey left, apart from its work.
struct SurveyOutcome {
    remaining: RemainingTally,
    overflow: Amount,
    cut: Option<DeviceFailure>,
}

impl SurveyOutcome {
    fn take_from(survey: &mut Survey<'_>) -> Self {
        Self {
            remaining: std::mem::take(&mut survey.remaining),
            overflow: survey.overflow,
            cut: survey.cut.take(),
        }
    }

    /// Whether another survey would find more. After a listing that was cut it would find the same files.
    fn has_more(&self) -> bool {
        self.cut.is_none() && !self.overflow.is_none()
    }

    fn close(
        self,
        result: Result<(), PassError>,
        mode: Mode,
        surveyed: &mut Surveyed,
    ) -> Result<(), PassError> {
        surveyed.remaining.merge(self.remaining);
        surveyed
            .remaining
            .add(Reason::Wait(WaitReason::NotReached), self.overflow);
        if let Some(failure) = self.cut {
            return result.and(Err(cut_off(failure, mode)));
        }
        surveyed.sources += 1;
        result
    }
}

fn weaker(one: Option<WriterCheck>, other: Option<WriterCheck>) -> Option<WriterCheck> {
    one.into_iter().chain(other).min()
}

/// The failure of a listing without end. The next survey continues after the files that were gathered.
fn cut_off(failure: DeviceFailure, mode: Mode) -> PassError {
    let consequence = match mode {
        Mode::Act => "the files listed so far were gathered",
        Mode::DryRun => "a sweep would gather the files listed so far",
    };
    PassError::Endless(failure.with_note(consequence))
}

/// The context in which the next listing of the source is classified.
fn survey_context<'a, W: World>(visit: &SourceVisit<'a, W>, clock_trusted: bool) -> SurveyContext<'a> {
    let facts = visit.session.facts();
    let connect = &visit.device_visit.connect;
    // An early listing is as old as the connection. Compared with the present time, a file would seem to have
    // rested for as long as the device waited for its slot.
    let is_early = visit.session.has_early_listing(visit.source);
    let (age, requested) = if is_early {
        (Duration::ZERO, connect.begun)
    } else {
        let age = connect.connected_instant.elapsed();
        (age, visit.world.clock().steady())
    };
    let booted = facts
        .clock
        .zip(facts.uptime)
        .map(|(clock, uptime)| clock.minus(uptime));
    SurveyContext {
        rules: &visit.device.rules,
        abilities: visit.session.abilities(),
        ledger: visit.world.ledger().id(),
        now: facts.clock.map(|clock| clock.plus(age)),
        requested,
        booted,
        clock_trusted,
    }
}

fn announce<W: World>(visit: &SourceVisit<'_, W>, survey: &Survey<'_>, mode: Mode) {
    let has_more = !survey.overflow.is_none();
    // If there is more, the next survey finds the suspects again.
    let suspects = survey
        .suspects
        .iter()
        .filter(|_| !has_more || mode == Mode::DryRun);
    let planned = survey.work.iter().map(|(candidate, _)| candidate);
    let planned = planned.chain(suspects.map(|suspect| &suspect.candidate));
    let ready = planned.fold(Amount::ZERO, |sum, candidate| {
        sum.plus(Amount::of_file(candidate.identity.size))
    });
    visit.report(&Event::Surveyed {
        device: visit.device.name.clone(),
        source: visit.source.clone(),
        ready,
        remaining: survey.remaining.count(),
        more: has_more,
    });
}

/// Does the work of a survey.
async fn act<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    survey: Survey<'_>,
    first_batch: Instant,
) -> Result<(), PassError> {
    let gone: Vec<_> = survey
        .gone
        .iter()
        .map(|row| (*row, FileState::Released, None))
        .collect();
    if !gone.is_empty() {
        let ledger = visit.world.ledger();
        ledger.set_states(lease, gone, visit.now()).await?;
    }
    let one_view = visit.session.abilities().one_view;
    run_batches(visit, lease, survey.work.into(), first_batch).await?;
    drop(survey.loan);
    if one_view && !visit.session.abilities().one_view {
        // The survey listed another folder: its old folders are not here either.
        return Ok(());
    }
    tidy::finish(visit, survey.old_folders).await
}
