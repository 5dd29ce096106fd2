//! One device of a fleet, visited alone.

use model::FailureClass;

use crate::event::PassSummary;
use crate::fleet::FleetContext;
use crate::pass::pass;
use crate::ports::{LedgerError, PassOutcome};
use crate::rules::{DeviceRules, Mode};
use crate::world::World;

/// Makes one pass over one device, as soon as there is a slot for it.
///
/// `None` if a stop was requested before it got a slot. Fails only if the ledger fails; every other failure
/// is in the summary.
pub async fn run_device<W: World>(
    world: &W,
    context: &FleetContext<'_>,
    device: &DeviceRules,
    mode: Mode,
) -> Result<Option<PassSummary>, LedgerError> {
    let claims = &context.claims;
    let visit = claims.begin_visit(&device.name);
    let connecting = async {
        claims.wait_for_predecessors(&device.name).await;
        context.slots.connecting().await
    };
    let connecting = tokio::select! {
        biased;
        () = context.stop.requested() => return Ok(None),
        connecting = connecting => connecting,
    };
    let working = async {
        let slot = context.slots.working().await;
        context.touch();
        drop(connecting);
        slot
    };
    let summary = pass(world, context, device, mode, working).await?;
    // A device that was interrupted, or that another pass took over, could still have said which folders it
    // has: its claims stay as they were.
    let is_cut_short = match &summary.outcome {
        PassOutcome::Interrupted => true,
        PassOutcome::Failed { class, .. } => *class == FailureClass::TakenOver,
        PassOutcome::Well | PassOutcome::Partial | PassOutcome::CollectorFailed { .. } => false,
    };
    if !is_cut_short {
        visit.end();
    }
    Ok(Some(summary))
}
