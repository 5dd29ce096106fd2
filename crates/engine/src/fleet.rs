//! The fleet: which devices are visited, how many at a time, and when.
//!
//! [`sweep()`] visits every device once. [`run_device`] visits one, within the same bounds. [`schedule`]
//! decides when a device is due; it is pure, and the daemon acts on it.

pub mod schedule;

mod claims;
mod context;
mod device;
mod slots;
mod sweep;

pub(crate) use claims::Claims;
pub use context::{Chosen, FleetContext, SweepError};
pub use device::run_device;
pub use slots::{Bounds, MAX_PASS_TIME};
pub(crate) use slots::{Slot, Slots, hold_slot};
pub use sweep::{SweepResult, SweepSummary, sweep, sweep_some};
