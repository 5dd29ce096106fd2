//! What earlier passes found out about how to connect to a device.

use std::time::Duration;

use model::Timestamp;

use crate::ports::device::ConnectHints;
use crate::ports::{Clock, Ledger, LedgerError};
use crate::rules::DeviceRules;
use crate::world::World;

/// How long a hint is used. After that gleaner finds out again: the device may have moved, or have another
/// server.
const HINT_LIFETIME: Duration = Duration::from_hours(24);

/// Reads the hints that are still fresh.
pub(super) async fn load<W: World>(world: &W, device: &DeviceRules) -> Result<ConnectHints, LedgerError> {
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

/// Whether a hint found at `found` is still used. One from the future was found before the clock was set
/// back.
pub(super) fn is_fresh(found: Timestamp, now: Timestamp) -> bool {
    let age = now.nanoseconds().saturating_sub(found.nanoseconds());
    (0..HINT_LIFETIME.as_nanos().cast_signed()).contains(&i128::from(age))
}
