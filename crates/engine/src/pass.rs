//! One pass over one device: the main path.

mod hints;
mod report;

use model::Timestamp;
use tokio::time::Instant;

use crate::event::{Event, PassSummary};
use crate::fleet::{FleetContext, Slot, hold_slot};
use crate::pass::report::PassRecord;
use crate::ports::device::ConnectHints;
use crate::ports::{Clock, DeviceFailure, Devices, Ledger, LedgerError, PassLease, Session};
use crate::recourse::{PassError, concerns_source_only};
use crate::rules::{DeviceRules, Mode};
use crate::source::{self, deferred};
use crate::visit::{ConnectTimes, SourceVisit, Visit};
use crate::world::{SessionOf, World};

/// Visits one device: compares device, store and ledger, and does what is missing. First run, retry and
/// recovery are all this.
///
/// Awaits `working_slot` after connecting, so that an unreachable device never occupies one, and trades it
/// for an overdue slot after `max_pass_time`.
///
/// Fails only if the ledger fails. Every other failure is in the summary, also that another pass over the
/// device has begun elsewhere.
pub(crate) async fn pass<'f, W: World>(
    world: &W,
    fleet: &'f FleetContext<'_>,
    device: &DeviceRules,
    mode: Mode,
    working_slot: impl Future<Output = Slot<'f>>,
) -> Result<PassSummary, LedgerError> {
    let began = Instant::now();
    let connect_begun = world.clock().steady();
    let lease = match mode {
        Mode::Act => {
            let now = world.clock().now();
            Some(world.ledger().begin_pass(&device.name, now).await?)
        }
        Mode::DryRun => None,
    };
    world.report(&Event::Connecting {
        device: device.name.clone(),
    });
    let mut record = PassRecord::default();
    let hints = hints::load(world, device).await?;
    let result = match connect(world, device, hints, connect_begun).await {
        Ok(connected) => {
            let slot = working_slot.await;
            let work = async {
                // The link may have broken, and have come back, while the device waited for its slot.
                let connected = if connected.session.has_ended() {
                    drop(connected);
                    connect(world, device, hints, connect_begun).await?
                } else {
                    connected
                };
                serve(world, fleet, device, lease.as_ref(), connected, &mut record).await
            };
            let overdue_slot = fleet.slots.overdue();
            hold_slot(slot, overdue_slot, fleet.bounds.max_pass_time, work).await
        }
        Err(failure) => Err(PassError::Device(failure)),
    };
    let mut ended = record.end(result, device.sources.len(), began.elapsed());
    if let Some(lease) = &lease {
        let end = ended.as_pass_end(world.clock().now());
        match world.ledger().finish_pass(lease, end).await {
            Ok(()) => {}
            // The record keeps what the successor reports about the device.
            Err(error @ LedgerError::LeaseLost { .. }) => {
                ended.summary.outcome = PassError::from(error).into_outcome();
            }
            Err(error) => return Err(error),
        }
    }
    world.report(&Event::PassEnded {
        device: device.name.clone(),
        summary: ended.summary.clone(),
    });
    Ok(ended.summary)
}

/// A session, and when it began.
struct Connected<S> {
    session: S,
    times: ConnectTimes,
}

async fn connect<W: World>(
    world: &W,
    device: &DeviceRules,
    hints: ConnectHints,
    begun: Timestamp,
) -> Result<Connected<SessionOf<W>>, DeviceFailure> {
    let devices = world.devices();
    let session = devices.connect(&device.name, &device.sources, hints).await?;
    // The device's facts are of this moment, not of the one when its slot comes.
    let times = ConnectTimes {
        begun,
        connected: world.clock().now(),
        connected_instant: Instant::now(),
    };
    Ok(Connected { session, times })
}

/// Serves a connected device to the end of the session.
async fn serve<W: World>(
    world: &W,
    fleet: &FleetContext<'_>,
    device: &DeviceRules,
    lease: Option<&PassLease>,
    connected: Connected<SessionOf<W>>,
    record: &mut PassRecord,
) -> Result<(), PassError> {
    let session = connected.session;
    let visit = Visit::new(world, fleet, device, &session, lease, connected.times);
    let result = empty_sources(&visit, record).await;
    let result = visit.blame.lock().annotate(result);
    record.close(&visit);
    drop(visit);
    session.close().await;
    result
}

/// Empties all sources, then fetches the suspects.
async fn empty_sources<W: World>(visit: &Visit<'_, W>, record: &mut PassRecord) -> Result<(), PassError> {
    let greeting = report::greet(visit).await?;
    let facts = visit.session.facts();
    let claimed = visit.fleet.claims.claim(visit.device, facts, visit.now());
    record.set_report(greeting.report, claimed.claims);
    let mut failure = None;
    for source in &visit.device.sources {
        let emptied = if let Some(refusal) = claimed.refused.get(source) {
            Err(PassError::Device(refusal.clone()))
        } else {
            let source = SourceVisit::new(visit, source);
            source::empty(&source, greeting.clock_trusted, &mut record.surveyed).await
        };
        match emptied {
            Ok(()) => {}
            // The session continues: another source may be well.
            Err(PassError::Device(error)) if concerns_source_only(error.class) => {
                failure = failure.or(Some(PassError::Device(error)));
            }
            Err(error @ PassError::Endless(_)) => failure = failure.or(Some(error)),
            Err(error) => {
                deferred::record_not_reached(visit, record.surveyed.suspects.drain(..));
                return Err(error);
            }
        }
    }
    let suspects = std::mem::take(&mut record.surveyed.suspects);
    match (deferred::run(visit, suspects).await, failure) {
        (Err(PassError::Device(ended)), Some(PassError::Device(other) | PassError::Endless(other))) => {
            let note = format!("before that: {}", other.text());
            Err(PassError::Device(ended.with_note(note)))
        }
        (result, failure) => result.and(failure.map_or(Ok(()), Err)),
    }
}
