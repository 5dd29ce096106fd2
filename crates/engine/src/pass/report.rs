//! What a pass found out, for the ledger and for the reports.

use std::time::Duration;

use model::{Amount, SourcePath, Timestamp};

use crate::event::{Event, PassSummary};
use crate::pass::hints::is_fresh;
use crate::plan;
use crate::ports::device::NoShell;
use crate::ports::{
    Claim, ClockReading, CompressionFinding, DeviceReport, Ledger, PassEnd, PassOutcome, Session,
};
use crate::recourse::PassError;
use crate::source::Surveyed;
use crate::visit::Visit;
use crate::world::World;

/// What a device says about itself at the beginning of a visit.
pub(super) struct Greeting {
    pub(super) report: DeviceReport,
    pub(super) clock_trusted: bool,
}

/// Reports the device's facts, and decides whether its clock can be trusted.
pub(super) async fn greet<W: World>(visit: &Visit<'_, W>) -> Result<Greeting, PassError> {
    let (facts, connected) = (visit.session.facts(), visit.connect.connected);
    let shortcomings = visit.session.abilities().shortcomings();
    visit.report(&Event::Connected {
        device: visit.device.name.clone(),
        facts: facts.clone(),
        shortcomings: shortcomings.clone(),
    });
    let clock = facts.clock.map(|clock| ClockReading {
        offset: clock.nanoseconds().saturating_sub(connected.nanoseconds()),
        boot_id: facts.boot_id.clone(),
        at: connected,
    });
    let last = visit.world.ledger().last_clock(&visit.device.name).await?;
    let clock_trusted = clock
        .as_ref()
        .is_some_and(|clock| plan::is_clock_trusted(last.as_ref(), clock));
    let report = DeviceReport {
        seen_at: connected,
        clock,
        disks: facts.disks.clone(),
        claims: Vec::new(),
        shortcomings: owned(shortcomings),
        compression: None,
        writer_check: None,
        hung_up_on_command: hung_up_on_command(visit).await?,
    };
    Ok(Greeting {
        report,
        clock_trusted,
    })
}

/// When the device was found to hang up on commands, if it does.
///
/// A session that began without a command has found out nothing new: it keeps the time of the finding, so
/// that the finding ages.
async fn hung_up_on_command<W: World>(visit: &Visit<'_, W>) -> Result<Option<Timestamp>, PassError> {
    if visit.session.abilities().no_shell != Some(NoShell::HangsUp) {
        return Ok(None);
    }
    let now = visit.connect.connected;
    let ledger = visit.world.ledger();
    let found = ledger.last_hang_up_on_command(&visit.device.name).await?;
    Ok(found.filter(|at| is_fresh(*at, now)).or(Some(now)))
}

fn owned(shortcomings: Vec<&'static str>) -> Vec<String> {
    shortcomings.into_iter().map(str::to_owned).collect()
}

/// What a pass has found out so far.
#[derive(Debug, Default)]
pub(super) struct PassRecord {
    report: Option<DeviceReport>,
    pub(super) surveyed: Surveyed,
    stored: Amount,
    released: Amount,
    received: u64,
}

impl PassRecord {
    pub(super) fn set_report(&mut self, mut report: DeviceReport, claims: Vec<(SourcePath, Claim)>) {
        report.claims = claims;
        self.report = Some(report);
    }

    /// Takes over what the visit has counted, and what the session has found out.
    pub(super) fn close<W: World>(&mut self, visit: &Visit<'_, W>) {
        self.surveyed.remaining.merge(visit.tally.take_remaining());
        self.stored = visit.tally.stored.amount();
        self.released = visit.tally.released.amount();
        self.received = visit.session.bytes_received();
        if let Some(report) = &mut self.report {
            report.writer_check = self.surveyed.writer_check;
            // A listing may have shown that the device has fewer abilities than it seemed.
            report.shortcomings = owned(visit.session.abilities().shortcomings());
            let paid = visit.session.compression_paid();
            report.compression = paid.map(|paid| CompressionFinding {
                paid,
                at: visit.now(),
            });
        }
    }

    /// The pass has ended with `result`. `sources`: how many the device has.
    pub(super) fn end(self, result: Result<(), PassError>, sources: usize, took: Duration) -> EndedPass {
        let outcome = match result {
            Ok(()) if self.surveyed.remaining.has_faults() => PassOutcome::Partial,
            Ok(()) => PassOutcome::Well,
            Err(error) => error.into_outcome(),
        };
        let is_complete = self.surveyed.sources == sources;
        let summary = PassSummary {
            outcome,
            stored: self.stored,
            released: self.released,
            received: self.received,
            remaining: is_complete.then(|| self.surveyed.remaining.into_remaining()),
            took,
        };
        EndedPass {
            summary,
            report: self.report,
        }
    }
}

/// A pass that has ended.
pub(super) struct EndedPass {
    pub(super) summary: PassSummary,
    report: Option<DeviceReport>,
}

impl EndedPass {
    /// The form that the ledger takes.
    pub(super) fn as_pass_end(&self, at: Timestamp) -> PassEnd {
        PassEnd {
            at,
            outcome: self.summary.outcome.clone(),
            released: self.summary.released,
            stored: self.summary.stored,
            took: self.summary.took,
            report: self.report.clone(),
            remaining: self.summary.remaining.clone(),
        }
    }
}
