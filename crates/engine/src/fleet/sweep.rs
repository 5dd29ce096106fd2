//! One sweep: a pass over every device. No device delays another.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use model::{DeviceName, FailureClass};

use crate::event::{Event, PassSummary};
use crate::fleet::{Bounds, Chosen, FleetContext, SweepError, run_device};
use crate::ports::PassOutcome;
use crate::recourse::error_chain;
use crate::rules::{DeviceRules, Mode};
use crate::world::{Stop, World};

/// How a sweep went.
#[derive(Debug)]
pub struct SweepSummary {
    /// The devices that were visited, in the order in which their passes ended.
    pub passes: Vec<(DeviceName, PassSummary)>,
    /// Why the ledger failed during the sweep, if it did.
    pub ledger_failure: Option<String>,
    /// Devices that were not visited, because the store or the ledger failed or a stop was requested.
    pub not_visited: Vec<DeviceName>,
}

/// The result of a sweep, which decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepResult {
    /// Everything that could be done was done.
    Well,
    /// Some device or file failed.
    Partial,
    /// Some devices could not be reached; all others are well.
    Unreachable,
    /// A stop was requested.
    Interrupted,
}

/// Visits every device once: [`sweep_some`] with all devices chosen.
pub async fn sweep<W: World>(
    world: &W,
    devices: &[DeviceRules],
    bounds: Bounds,
    mode: Mode,
    stop: &Stop,
) -> Result<SweepSummary, SweepError> {
    let chosen = Chosen {
        visited: devices,
        configured: devices,
    };
    sweep_some(world, chosen, bounds, mode, stop).await
}

/// Visits every chosen device once.
///
/// [`Bounds::parallel`] devices are served at a time. Four times as many may be connecting or waiting for a
/// slot, and as many again may be overdue.
///
/// Checks the store first: if it is not fit, no device is connected to.
pub async fn sweep_some<W: World>(
    world: &W,
    chosen: Chosen<'_>,
    bounds: Bounds,
    mode: Mode,
    stop: &Stop,
) -> Result<SweepSummary, SweepError> {
    let began = Instant::now();
    let context = FleetContext::open(world, chosen, bounds, mode, stop).await?;
    world.report(&Event::SweepBegan {
        devices: chosen.visited.len(),
        mode,
    });
    let mut visits: FuturesUnordered<_> = chosen
        .visited
        .iter()
        .map(async |device| {
            let visited = run_device(world, &context, device, mode).await;
            (device.name.clone(), visited)
        })
        .collect();
    let mut summary = SweepSummary {
        passes: Vec::new(),
        not_visited: Vec::new(),
        ledger_failure: None,
    };
    while let Some((device, visited)) = visits.next().await {
        match visited {
            // As long as no device was touched the sweep has not begun; later it ends and says why.
            Err(error) if !context.is_touched() => return Err(error.into()),
            Err(error) => {
                stop.request();
                summary.ledger_failure = Some(error_chain(&error));
                summary.not_visited.push(device);
            }
            Ok(Some(pass)) => {
                // A full or missing store can serve no other device either.
                if matches!(pass.outcome, PassOutcome::CollectorFailed { .. }) {
                    stop.request();
                }
                summary.passes.push((device, pass));
            }
            Ok(None) => summary.not_visited.push(device),
        }
    }
    world.report(&Event::SweepEnded {
        took: began.elapsed(),
        not_visited: summary.not_visited.clone(),
        ledger_failure: summary.ledger_failure.clone(),
    });
    Ok(summary)
}

impl SweepSummary {
    /// The result over all devices.
    pub fn result(&self) -> SweepResult {
        let outcomes = || self.passes.iter().map(|(_, pass)| &pass.outcome);
        let is_unreachable = |outcome: &PassOutcome| match outcome {
            PassOutcome::Failed { class, .. } => FailureClass::is_unreachable(*class),
            _ => false,
        };
        let is_collector = |outcome: &PassOutcome| matches!(outcome, PassOutcome::CollectorFailed { .. });
        if self.ledger_failure.is_some() || outcomes().any(is_collector) {
            return SweepResult::Partial;
        }
        if outcomes().any(|outcome| *outcome == PassOutcome::Interrupted) || !self.not_visited.is_empty() {
            return SweepResult::Interrupted;
        }
        if outcomes().any(|outcome| *outcome != PassOutcome::Well && !is_unreachable(outcome)) {
            return SweepResult::Partial;
        }
        if outcomes().any(is_unreachable) {
            SweepResult::Unreachable
        } else {
            SweepResult::Well
        }
    }
}
