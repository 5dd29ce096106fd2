//! Whether an inspection belongs to a removal.

use std::time::Duration;

use tokio::time::Instant;

/// What gleaner had done when it asked a device to remove a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct Removal {
    /// The number of the device.
    pub(in crate::simulator) device: usize,
    /// When gleaner asked for the removal.
    pub(in crate::simulator) sent: Instant,
    /// When the ledger recorded the file as stored, if it did.
    pub(in crate::simulator) recorded: Option<Instant>,
}

/// The maximum time between the last inspection and the removal request: the longest time that a reply takes
/// over the slowest link of a scenario.
const MAX_INSPECTION_AGE: Duration = Duration::from_millis(300);

impl Removal {
    /// Whether the last inspection of the file was the one that gleaner made for this removal.
    pub(super) fn is_just_after(&self, inspected_at: Option<Instant>) -> bool {
        let (Some(inspected_at), Some(recorded)) = (inspected_at, self.recorded) else {
            return false;
        };
        inspected_at > recorded && self.sent.saturating_duration_since(inspected_at) <= MAX_INSPECTION_AGE
    }
}
