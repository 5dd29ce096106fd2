//! The health of devices: from facts about a device to its state in one word, and to the problems of a fleet.
//!
//! Pure: every result depends only on the arguments. This crate does no IO, reads no clock and prints
//! nothing. It takes plain facts instead of ledger rows, so that every consumer (`status`, alerts, metrics, a
//! web page) reports the same state for the same record.
//!
//! Start with [`DeviceFacts`], then [`DeviceState::of`] and [`problems::group`].

pub mod facts;
pub mod problems;
pub mod remaining;
pub mod state;

pub use facts::{DeviceFacts, DiskSpace, PassResult};
pub use problems::Problem;
pub use remaining::{Remaining, RemainingReason, Urgency};
pub use state::{ActionCause, DeviceState};
