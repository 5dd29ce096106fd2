//! The collector's clocks. Spans within a pass are measured with tokio's clock, which a simulation can stop.

use model::Timestamp;

/// The collector's clocks.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. It may jump. For records and reports only, never to measure a span.
    fn now(&self) -> Timestamp;

    /// Time since this machine booted, as a time after the epoch. Monotonic: it includes suspend, cannot be
    /// set, and restarts at zero after a reboot.
    fn steady(&self) -> Timestamp;
}
