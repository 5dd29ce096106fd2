//! The collector's wall clock. Spans of time are measured with tokio's clock, which a simulation can hold.

use model::Timestamp;

/// Tells the time of the collector.
pub trait Clock: Send + Sync + 'static {
    /// Now. May jump: it is a wall clock. Used for the record and for the day of a report, never to measure a span
    /// within a pass.
    fn now(&self) -> Timestamp;

    /// How long this machine has been up, as a time after the epoch: runs evenly, also while the machine sleeps, and nobody sets it. Of two
    /// readings, the later is never further from the earlier than the time that has passed; after a reboot it begins at zero.
    fn steady(&self) -> Timestamp;
}
