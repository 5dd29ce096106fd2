//! One sweep: a pass over every device. No device holds up another.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use model::{DeviceName, FailureClass};

use crate::claims::Claims;
use crate::event::{Event, PassSummary, Reporter};
use crate::oldest::{PlanBytes, PlanRoom};
use crate::pass::pass;
use crate::ports::{Clock, Ledger, LedgerError, PassOutcome, Store, StoreError};
use crate::recourse::error_chain;
use crate::rules::{DeviceRules, Mode};
use crate::visit::Shared;
use crate::world::{Stop, World};

/// How a sweep went.
#[derive(Debug)]
pub struct SweepSummary {
    /// Each device that was visited, in the order in which they ended.
    pub passes: Vec<(DeviceName, PassSummary)>,
    /// Why the ledger failed in the midst of the sweep, if it did.
    pub ledger_failure: Option<String>,
    /// Devices that were not visited any more, since the store or the ledger failed or somebody asked to stop.
    pub not_visited: Vec<DeviceName>,
}

/// What a sweep comes to: decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepResult {
    /// Everything that could be done was done.
    Well,
    /// Some device or file failed.
    Partial,
    /// All well but for devices that could not be reached.
    Unreachable,
    /// Somebody asked to stop.
    Interrupted,
}

/// Why a sweep did not begin: nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store is not fit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger is not fit.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How much of the collector a sweep may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// So many devices are worked on at a time.
    pub parallel: usize,
    /// The memory of their plans.
    pub plans: PlanBytes,
}

impl Bounds {
    /// So many devices at a time, and the usual memory.
    pub fn with_parallel(parallel: usize) -> Self {
        Self {
            parallel,
            plans: PlanBytes::default(),
        }
    }
}

/// Which devices a sweep visits.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Those that it visits.
    pub visited: &'a [DeviceRules],
    /// All that are configured: none of the others may be visited under the name of one of these.
    pub configured: &'a [DeviceRules],
}

/// Visits every device once: as [`sweep_some`], with all devices chosen.
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

/// Visits every chosen device once. [`Bounds::parallel`] devices are worked on at a time; four times as many
/// may be connecting or waiting for their turn, so that those that never answer cost the others nothing; and
/// as many again may be overdue.
///
/// Looks at the store first: if it is not fit, no device is connected to.
pub async fn sweep_some<W: World>(
    world: &W,
    chosen: Chosen<'_>,
    bounds: Bounds,
    mode: Mode,
    stop: &Stop,
) -> Result<SweepSummary, SweepError> {
    let (began, devices) = (Instant::now(), chosen.visited);
    world.store().condition().await?;
    let claims = world.ledger().claims().await?;
    let foreign_files = match mode {
        Mode::Act => {
            let week_ago = world.clock().now().minus(std::time::Duration::from_hours(7 * 24));
            world.store().tidy_staging(week_ago).await?
        }
        Mode::DryRun => 0,
    };
    world.reporter().report(&Event::SweepBegan {
        devices: devices.len(),
        mode,
    });
    if foreign_files > 0 {
        world
            .reporter()
            .report(&Event::ForeignStaging { files: foreign_files });
    }

    let parallel = bounds.parallel;
    let slots = Slots {
        working: Semaphore::new(parallel),
        connecting: Semaphore::new(parallel.saturating_mul(4)),
        overdue: Semaphore::new(parallel),
        touched: AtomicBool::new(false),
    };
    let shared = Shared {
        stop,
        plan_room: PlanRoom::new(bounds.plans),
        claims: Claims::from_ledger(claims, chosen),
    };
    let mut visits: FuturesUnordered<_> = devices
        .iter()
        .map(|device| visit(world, device, mode, &shared, &slots))
        .collect();
    let mut summary = SweepSummary {
        passes: Vec::new(),
        not_visited: Vec::new(),
        ledger_failure: None,
    };
    while let Some((device, visited)) = visits.next().await {
        match visited {
            // Before anything was done, nothing was touched; later, the sweep ends and says why.
            Err(error) if !slots.touched.load(Ordering::Relaxed) => return Err(error.into()),
            Err(error) => {
                stop.request();
                summary.ledger_failure = Some(error_chain(&error));
                summary.not_visited.push(device);
            }
            Ok(Some(pass)) => {
                // A store that is full, or gone, can serve no other device either.
                if matches!(pass.outcome, PassOutcome::CollectorFailed { .. }) {
                    stop.request();
                }
                summary.passes.push((device, pass));
            }
            Ok(None) => summary.not_visited.push(device),
        }
    }
    world.reporter().report(&Event::SweepEnded {
        took: began.elapsed(),
        not_visited: summary.not_visited.clone(),
        ledger_failure: summary.ledger_failure.clone(),
    });
    Ok(summary)
}

/// What the devices of a sweep share out among them.
struct Slots {
    working: Semaphore,
    connecting: Semaphore,
    /// Those whose pass takes longer than a pass should are at work beside the others, not in their place: a device that lies, or that sends one large
    /// file over a slow link, may go on for a day.
    overdue: Semaphore,
    /// Some device has been worked on.
    touched: AtomicBool,
}

async fn visit<W: World>(
    world: &W,
    device: &DeviceRules,
    mode: Mode,
    shared: &Shared<'_>,
    slots: &Slots,
) -> (DeviceName, Result<Option<PassSummary>, LedgerError>) {
    let name = device.name.clone();
    let begun = shared.claims.begin(&device.name);
    shared.claims.wait_for_first(&device.name).await;
    let place = slots.connecting.acquire().await;
    if shared.stop.is_requested() {
        return (name, Ok(None));
    }
    let turn = async {
        let turn = slots.working.acquire().await;
        slots.touched.store(true, Ordering::Relaxed);
        drop(place);
        turn
    };
    let summary = pass(world, device, mode, shared, turn, slots.overdue.acquire()).await;
    // A device that was interrupted, or that the ledger failed, could still have told.
    if matches!(&summary, Ok(pass) if pass.outcome != PassOutcome::Interrupted) {
        begun.end();
    }
    (name, summary.map(Some))
}

impl SweepSummary {
    /// What the sweep comes to.
    pub fn result(&self) -> SweepResult {
        let outcomes = || self.passes.iter().map(|(_, pass)| &pass.outcome);
        let is_unreachable = |outcome: &PassOutcome| match outcome {
            PassOutcome::Failed { class, .. } => FailureClass::is_unreachable(*class),
            _ => false,
        };
        let is_home = |outcome: &&PassOutcome| matches!(outcome, PassOutcome::CollectorFailed { .. });
        if self.ledger_failure.is_some() || outcomes().any(|outcome| is_home(&outcome)) {
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
