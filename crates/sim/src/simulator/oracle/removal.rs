//! When a file was looked at for the sake of its removal.

use std::time::Duration;

use tokio::time::Instant;

/// What gleaner had done when it asked a device to remove a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct Removal {
    /// The number of the device.
    pub(in crate::simulator) device: usize,
    /// When it was asked for.
    pub(in crate::simulator) sent: Instant,
    /// When the ledger came to say that the file is stored, if it did.
    pub(in crate::simulator) recorded: Option<Instant>,
}

/// How long before it asks for a removal gleaner may have looked at the file for the last time: the longest that an answer is on its way
/// over the slowest link of a scenario.
const LAST_LOOK: Duration = Duration::from_millis(300);

impl Removal {
    /// Whether the last look at the file was the one that gleaner took for this removal.
    pub(super) fn is_just_after(&self, inspected_at: Option<Instant>) -> bool {
        let (Some(inspected_at), Some(recorded)) = (inspected_at, self.recorded) else {
            return false;
        };
        inspected_at > recorded && self.sent.saturating_duration_since(inspected_at) <= LAST_LOOK
    }
}
