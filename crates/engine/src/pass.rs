//! One pass over one device: the main path.

use std::time::Duration;

use model::{Amount, Timestamp};
use tokio::time::{Instant, timeout};

use crate::event::{Event, PassSummary, Reporter};
use crate::plan;
use crate::ports::device::{ConnectHints, NoShell};
use crate::ports::{
    Clock, ClockReading, CompressionFinding, DeviceFailure, DeviceReport, Devices, Ledger, LedgerError,
    PassEnd, PassOutcome, RowId, Session,
};
use crate::recourse::{PassError, concerns_source_only};
use crate::rules::{DeviceRules, Mode};
use crate::source::{self, Left};
use crate::suspects;
use crate::visit::{MAX_PASS_TIME, Shared, Visit};
use crate::world::{SessionOf, World};

/// Visits one device: looks at device, store and ledger, and does what is missing. First run, retry and recovery are this.
///
/// `connected` is awaited between connecting and working, and the place that it gives is held until the end: a dead device holds up no other. A
/// pass that takes too long changes it against the place that `overdue` gives.
/// Fails only where the ledger does; everything else is in the summary.
pub(crate) async fn pass<W: World, P>(
    world: &W,
    device: &DeviceRules,
    mode: Mode,
    shared: &Shared<'_>,
    connected: impl Future<Output = P>,
    overdue: impl Future<Output = P>,
) -> Result<PassSummary, LedgerError> {
    let (began, earliest_look) = (Instant::now(), world.clock().steady());
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
    let hints = connect_hints(world, device).await?;
    let result = match reach(world, device, hints).await {
        Ok(first) => {
            let place = connected.await;
            let work = async {
                // Its link may have broken, and have come back, while it waited for its turn.
                let (session, said_at) = match first.0.has_ended() {
                    false => first,
                    true => {
                        drop(first);
                        reach(world, device, hints).await?
                    }
                };
                let visit = Visit::new(world, device, &session, shared, row, (earliest_look, said_at));
                let result = serve(&visit, mode, &mut findings).await;
                let result = visit.naming_suspects(result);
                findings.close(&visit);
                session.close().await;
                result
            };
            holding(place, overdue, work).await
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

/// A session with the device, and when the device said of itself what it says while connecting: then, and not when its turn comes.
async fn reach<W: World>(
    world: &W,
    device: &DeviceRules,
    hints: ConnectHints,
) -> Result<(SessionOf<W>, (Timestamp, Instant)), DeviceFailure> {
    let devices = world.devices();
    let session = devices.connect(&device.name, &device.sources, hints).await?;
    Ok((session, (world.clock().now(), Instant::now())))
}

/// How long gleaner remembers how a device is best reached. Then it finds out again: the device may have
/// moved, or have another server.
const REMEMBERED: Duration = Duration::from_hours(24);

async fn connect_hints<W: World>(world: &W, device: &DeviceRules) -> Result<ConnectHints, LedgerError> {
    let now = world.clock().now();
    let compression = world.ledger().last_compression(&device.name).await?;
    let hang_up = world.ledger().last_hang_up_on_command(&device.name).await?;
    Ok(ConnectHints {
        compression_paid: compression
            .filter(|found| is_fresh(found.at, now))
            .map(|found| found.paid),
        hangs_up_on_commands: hang_up.is_some_and(|at| is_fresh(at, now)),
    })
}

fn is_fresh(found: Timestamp, now: Timestamp) -> bool {
    let age = now.nanoseconds().saturating_sub(found.nanoseconds());
    // What is of the future was found before the clock was set back.
    (0..REMEMBERED.as_nanos().cast_signed()).contains(&i128::from(age))
}

/// Holds a place while something is done; once that has taken as long as any pass should, another one as soon as it is to be had.
async fn holding<P, T>(place: P, overdue: impl Future<Output = P>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = timeout(MAX_PASS_TIME, &mut work).await {
        return done;
    }
    let _other_place = tokio::select! {
        biased;
        done = &mut work => return done,
        other_place = overdue => other_place,
    };
    drop(place);
    work.await
}

/// What a pass found out, as far as it came.
#[derive(Debug, Default)]
struct Findings {
    report: Option<DeviceReport>,
    left: Left,
    stored: Amount,
    released: Amount,
    received: u64,
}

async fn serve<W: World>(visit: &Visit<'_, W>, mode: Mode, findings: &mut Findings) -> Result<(), PassError> {
    let (mut report, clock_trusted) = greet(visit).await?;
    let claimed = visit
        .claims
        .claim(visit.device, visit.session.facts(), visit.now());
    report.claims = claimed.claims;
    findings.report = Some(report);
    let mut failure = None;
    for source in &visit.device.sources {
        let emptied = match claimed.refused.get(source) {
            Some(refusal) => Err(PassError::Device(refusal.clone())),
            None => source::empty(visit, source, mode, clock_trusted, &mut findings.left).await,
        };
        match emptied {
            Ok(()) => {}
            // The session goes on: another source may be well.
            Err(PassError::Device(error)) if concerns_source_only(error.class) => {
                failure = failure.or(Some(PassError::Device(error)));
            }
            Err(error @ PassError::Endless(_)) => failure = failure.or(Some(error)),
            Err(error) => {
                suspects::not_reached(visit, findings.left.suspects.drain(..));
                return Err(error);
            }
        }
    }
    let suspects = std::mem::take(&mut findings.left.suspects);
    match (suspects::run(visit, suspects).await, failure) {
        (Err(PassError::Device(mut ended)), Some(PassError::Device(other) | PassError::Endless(other))) => {
            ended.message = format!("{}; before that: {}", ended.message, other.message);
            Err(PassError::Device(ended))
        }
        (result, failure) => result.and(failure.map_or(Ok(()), Err)),
    }
}

/// Notes what the device said about itself, and whether its clock is to be trusted.
async fn greet<W: World>(visit: &Visit<'_, W>) -> Result<(DeviceReport, bool), PassError> {
    let (facts, now) = (visit.session.facts(), visit.connected.0);
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
    let hung_up_on_command = if visit.session.abilities().no_shell == Some(NoShell::HangsUp) {
        // A session that was begun without a command has found out nothing: what was found ages.
        let found = visit.world.ledger().last_hang_up_on_command(&visit.device.name);
        found.await?.filter(|at| is_fresh(*at, now)).or(Some(now))
    } else {
        None
    };
    let report = DeviceReport {
        seen_at: now,
        clock,
        disks: facts.disks.clone(),
        claims: Vec::new(),
        shortcomings: shortcomings.into_iter().map(str::to_owned).collect(),
        compression: None,
        writer_check: None,
        hung_up_on_command,
    };
    Ok((report, trusted))
}

/// A summary, and what of it only the ledger is told.
struct Ended {
    summary: PassSummary,
    report: Option<DeviceReport>,
}

impl Findings {
    fn close<W: World>(&mut self, visit: &Visit<'_, W>) {
        self.left.remaining.merge(visit.take_left());
        self.stored = visit.stored.get();
        self.released = visit.released.get();
        self.received = visit.session.bytes_received();
        if let Some(report) = &mut self.report {
            report.writer_check = self.left.writer_check;
            // A listing may have shown that the device can less than it seemed.
            let shortcomings = visit.session.abilities().shortcomings();
            report.shortcomings = shortcomings.into_iter().map(str::to_owned).collect();
            let paid = visit.session.compression_paid();
            report.compression = paid.map(|paid| CompressionFinding {
                paid,
                at: visit.now(),
            });
        }
    }

    fn into_summary(self, result: Result<(), PassError>, sources: usize, took: Duration) -> Ended {
        let outcome = match result {
            Ok(()) if self.left.remaining.has_faults() => PassOutcome::Partial,
            Ok(()) => PassOutcome::Well,
            Err(error) => error.into_outcome(),
        };
        let summary = PassSummary {
            outcome,
            stored: self.stored,
            released: self.released,
            received: self.received,
            remaining: (self.left.sources == sources).then(|| self.left.remaining.into_remaining()),
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
        remaining: ended.summary.remaining.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_takes_too_long_makes_way_for_others() {
        let (working, overdue) = (Semaphore::new(1), Semaphore::new(1));
        let pass = async |takes: Duration| {
            holding(
                working.acquire().await,
                overdue.acquire(),
                tokio::time::sleep(takes),
            )
            .await;
        };
        let first = pass(MAX_PASS_TIME * 4);
        let mut first = std::pin::pin!(first);
        assert!(timeout(MAX_PASS_TIME / 2, &mut first).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (0, 1));
        assert!(timeout(MAX_PASS_TIME, &mut first).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (1, 0));
        // The place of those that are overdue is taken: who comes next keeps its own, until the first has ended.
        let second = pass(MAX_PASS_TIME * 8);
        let mut second = std::pin::pin!(second);
        assert!(timeout(MAX_PASS_TIME * 3 / 2, &mut second).await.is_err());
        assert_eq!(working.available_permits(), 0);
        first.await;
        assert!(timeout(MAX_PASS_TIME, &mut second).await.is_err());
        assert_eq!((working.available_permits(), overdue.available_permits()), (1, 0));
    }
}
