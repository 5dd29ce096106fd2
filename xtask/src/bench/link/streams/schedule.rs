//! Computes when a piece of a stream that is sent now arrives, without a clock.
//!
//! All times are durations since the link came up.

use std::time::Duration;

use super::super::character::Character;

/// Bytes of all connections that may wait in front of the link. A sender that has more must wait.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// One direction of the link.
#[derive(Debug)]
pub(super) struct Schedule {
    character: Character,
    /// When the link will have sent everything that is queued.
    free_at: Duration,
}

impl Schedule {
    pub(super) fn of(character: Character) -> Self {
        Self {
            character,
            free_at: Duration::ZERO,
        }
    }

    /// When there will be room in front of the link. Without this bound each connection would put a queue of
    /// its own in front of all others, and a small request would wait for seconds.
    pub(super) fn room_from(&self) -> Duration {
        let buffered = self.character.transmission(BUFFER_BYTES);
        self.free_at.saturating_sub(buffered)
    }

    /// Sends `bytes` at `now`, behind everything sent before, and returns when they arrive.
    pub(super) fn send(&mut self, now: Duration, bytes: usize) -> Duration {
        self.free_at = self.character.sent_at(now.max(self.free_at), bytes);
        self.free_at + self.character.one_way_delay
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::character::tests::{LINK, WITH_OUTAGES, millis};
    use super::*;

    #[test]
    fn all_senders_share_the_rate() {
        let mut schedule = Schedule::of(LINK);
        let arrivals: Vec<_> = (0..100).map(|_| schedule.send(millis(0), 10_000)).collect();
        assert!(arrivals.is_sorted());
        assert_eq!(arrivals.last(), Some(&millis(1000 + 50)));
    }

    #[test]
    fn a_link_with_outages_carries_less_in_a_second() {
        let mut schedule = Schedule::of(WITH_OUTAGES);
        let last = (0..800).map(|_| schedule.send(millis(0), 10_000)).last();
        assert_eq!(last, Some(millis(10_000 + 50)));
    }

    #[test]
    fn there_is_room_until_the_buffer_of_the_router_is_full() {
        let mut schedule = Schedule::of(LINK);
        assert_eq!(schedule.room_from(), millis(0));
        // 256 KiB are 262.144 ms of this link.
        schedule.send(millis(0), 262_144);
        assert_eq!(schedule.room_from(), millis(0));
        schedule.send(millis(0), 10_000);
        assert_eq!(schedule.room_from(), millis(10));
    }
}
