//! One pass over one device: the main path.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{FileState, LeaveReason, SourcePath, Timestamp, WaitReason};
use tokio::time::Instant;

use crate::batch::{self, Batch};
use crate::event::{Event, PassSummary, Reporter};
use crate::plan::{self, Candidate, Decision, Outlook};
use crate::ports::{
    Clock, ClockReading, DeviceReport, Devices, Ledger, LedgerError, PassEnd, PassOutcome, Reason, RowId,
    Session,
};
use crate::recourse::PassError;
use crate::rules::{DeviceRules, Mode};
use crate::selection::StandingBook;
use crate::stages::survey::{self, Survey};
use crate::stages::tidy;
use crate::world::{Stop, Visit, World};

/// How many batches are under way at a time: while one is flushed, published and recorded, the next is on the wire.
const BATCHES_AT_ONCE: usize = 2;

/// Visits one device: looks at device, store and ledger, and does what is missing. First run, retry and recovery are this.
///
/// `connected` is awaited between connecting and working, and what it gives is held until the end: a dead device holds up no other.
/// Fails only where the ledger does; everything else is in the summary.
pub(crate) async fn pass<W: World, P>(
    world: &W,
    device: &DeviceRules,
    mode: Mode,
    stop: &Stop,
    connected: impl Future<Output = P>,
) -> Result<PassSummary, LedgerError> {
    let began = Instant::now();
    let row = match mode {
        Mode::Act => {
            world
                .ledger()
                .begin_pass(&device.name, world.clock().now())
                .await?
        }
        Mode::DryRun => RowId(0),
    };
    world.reporter().report(&Event::Connecting {
        device: device.name.clone(),
    });
    let mut findings = Findings::default();
    let result = match world.devices().connect(&device.name, &device.sources).await {
        Ok(session) => {
            let _turn = connected.await;
            let visit = Visit::new(world, device, &session, stop, row);
            let result = serve(&visit, mode, &mut findings).await;
            findings.close(&visit);
            session.close().await;
            result
        }
        Err(failure) => Err(PassError::Device(failure)),
    };
    let ended = findings.into_summary(result, device.sources.len(), began.elapsed());
    if mode == Mode::Act {
        world
            .ledger()
            .finish_pass(pass_end(world, device, row, &ended))
            .await?;
    }
    let (device, summary) = (device.name.clone(), ended.summary);
    world.reporter().report(&Event::PassEnded {
        device,
        summary: summary.clone(),
    });
    Ok(summary)
}

/// What a pass found out, as far as it came.
#[derive(Debug, Default)]
struct Findings {
    report: Option<DeviceReport>,
    /// What is left, as far as sources were surveyed to their end.
    standing: StandingBook,
    sources_surveyed: usize,
    stored: (u64, u64),
    released: (u64, u64),
    received: u64,
}

async fn serve<W: World>(visit: &Visit<'_, W>, mode: Mode, findings: &mut Findings) -> Result<(), PassError> {
    let connected_at = Instant::now();
    let (report, clock_trusted) = greet(visit).await?;
    findings.report = Some(report);
    for source in &visit.device.sources {
        empty(visit, source, mode, (connected_at, clock_trusted), findings).await?;
    }
    Ok(())
}

/// Notes what the device said about itself, and whether its clock is to be trusted.
async fn greet<W: World>(visit: &Visit<'_, W>) -> Result<(DeviceReport, bool), PassError> {
    let (facts, now) = (visit.session.facts(), visit.now());
    let shortcomings = visit.session.abilities().shortcomings();
    visit.report(&Event::Connected {
        device: visit.device.name.clone(),
        facts: facts.clone(),
        shortcomings: shortcomings.clone(),
    });
    let clock = facts.clock.map(|clock| ClockReading {
        offset: clock.nanoseconds().saturating_sub(now.nanoseconds()),
        boot_id: facts.boot_id.clone(),
        at: now,
    });
    let last = visit.world.ledger().last_clock(&visit.device.name).await?;
    let trusted = clock
        .as_ref()
        .is_some_and(|clock| plan::is_clock_trusted(last.as_ref(), clock));
    let report = DeviceReport {
        seen_at: now,
        clock,
        disks: facts.disks.clone(),
        shortcomings: shortcomings.into_iter().map(str::to_owned).collect(),
    };
    Ok((report, trusted))
}

/// Empties one source: survey, do what is ready, and survey again if there was more than one plan holds.
async fn empty<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    mode: Mode,
    (connected_at, clock_trusted): (Instant, bool),
    findings: &mut Findings,
) -> Result<(), PassError> {
    loop {
        let facts = visit.session.facts();
        let now: Option<Timestamp> = facts.clock.map(|clock| clock.plus(connected_at.elapsed()));
        let outlook = Outlook {
            rules: &visit.device.rules,
            abilities: visit.session.abilities(),
            ledger: visit.world.ledger().id(),
            now,
            booted: facts
                .clock
                .zip(facts.uptime)
                .map(|(clock, uptime)| clock.minus(uptime)),
            clock_trusted,
        };
        let survey = survey::survey(visit, source, &outlook, mode).await?;
        announce(visit, source, &survey);
        let released_before = visit.tally.released.get();
        let (overflowed, standing) = (survey.more, survey.standing.clone());
        let result = match mode {
            Mode::Act => act(visit, source, survey).await,
            Mode::DryRun => {
                say(visit, source, survey);
                Ok(())
            }
        };
        // Without progress a further survey would find the same files again.
        let progress = visit.tally.released.get() != released_before;
        if result.is_err() || !overflowed || !progress {
            findings.standing.merge(standing);
            findings.sources_surveyed += 1;
            return result;
        }
    }
}

fn announce<W: World>(visit: &Visit<'_, W>, source: &SourcePath, survey: &Survey) {
    let files = u64::try_from(survey.work.len()).unwrap_or(u64::MAX);
    let bytes = survey
        .work
        .iter()
        .map(|(candidate, _)| candidate.identity.size)
        .sum();
    visit.report(&Event::Surveyed {
        device: visit.device.name.clone(),
        source: source.clone(),
        ready: (files, bytes),
        standing: survey.standing.count(),
        more: survey.more,
    });
}

fn say<W: World>(visit: &Visit<'_, W>, source: &SourcePath, survey: Survey) {
    for (candidate, decision) in survey.work {
        visit.report(&Event::Planned {
            device: visit.device.name.clone(),
            source: source.clone(),
            path: candidate.original,
            size: candidate.identity.size,
            action: decision.code(),
        });
    }
}

/// Does what a survey found to be done.
async fn act<W: World>(visit: &Visit<'_, W>, source: &SourcePath, survey: Survey) -> Result<(), PassError> {
    let gone = survey
        .gone
        .iter()
        .map(|row| (*row, FileState::Released, None::<LeaveReason>))
        .collect::<Vec<_>>();
    if !gone.is_empty() {
        visit.world.ledger().settle(gone, visit.now()).await?;
    }
    run_batches(visit, source, survey.work.into()).await?;
    tidy::finish(visit, source, survey.old_folders).await
}

/// Runs batch after batch, a few at once. After a failure no new one is begun, but those under way may end: what they have proved
/// is not thrown away.
async fn run_batches<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    mut work: VecDeque<(Candidate, Decision)>,
) -> Result<(), PassError> {
    let mut size = batch::Size::first();
    let mut under_way = FuturesUnordered::new();
    let mut failure = None;
    loop {
        while under_way.len() < BATCHES_AT_ONCE && failure.is_none() && !visit.stop.is_asked() {
            let batch: Batch = size.take(&mut work);
            if batch.is_empty() {
                break;
            }
            under_way.push(batch::run(visit, source, batch));
        }
        match under_way.next().await {
            None => break,
            Some(Ok(())) => size.grow(),
            Some(Err(error)) => failure = failure.or(Some(error)),
        }
    }
    if visit.stop.is_asked() && !work.is_empty() {
        failure = failure.or(Some(PassError::Interrupted));
    }
    if let Ok(mut book) = visit.left_behind.lock() {
        for (candidate, _) in work {
            let (path, bytes) = (candidate.original.to_string(), candidate.identity.size);
            book.note(source, path, Reason::Wait(WaitReason::NotReached), bytes, None);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// A summary, and what of it only the ledger is told.
struct Ended {
    summary: PassSummary,
    report: Option<DeviceReport>,
}

impl Findings {
    fn close<W: World>(&mut self, visit: &Visit<'_, W>) {
        if let Ok(mut book) = visit.left_behind.lock() {
            self.standing.merge(std::mem::take(&mut *book));
        }
        self.stored = visit.tally.stored.get();
        self.released = visit.tally.released.get();
        self.received = visit.session.bytes_received();
    }

    fn into_summary(self, result: Result<(), PassError>, sources: usize, took: Duration) -> Ended {
        let outcome = match result {
            Ok(()) if self.standing.has_faults() => PassOutcome::Partial,
            Ok(()) => PassOutcome::Well,
            Err(error) => error.into_outcome(),
        };
        let summary = PassSummary {
            outcome,
            stored: self.stored,
            released: self.released,
            received: self.received,
            standing: (self.sources_surveyed == sources).then(|| self.standing.into_standing()),
            took,
        };
        Ended {
            summary,
            report: self.report,
        }
    }
}

fn pass_end<W: World>(world: &W, device: &DeviceRules, pass: RowId, ended: &Ended) -> PassEnd {
    PassEnd {
        pass,
        device: device.name.clone(),
        at: world.clock().now(),
        outcome: ended.summary.outcome.clone(),
        released: ended.summary.released,
        stored: ended.summary.stored,
        took: ended.summary.took,
        report: ended.report.clone(),
        standing: ended.summary.standing.clone(),
    }
}
