//! Computes when data that is sent now arrives, without a clock.
//!
//! All times are durations since the link came up.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The properties of a link between the collector and the jump host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bench) struct Character {
    #[serde(deserialize_with = "milliseconds")]
    pub(in crate::bench) one_way_delay: Duration,
    /// In each direction, shared by all connections.
    pub(in crate::bench) bits_per_second: u64,
    pub(in crate::bench) outages: Option<Outages>,
}

/// Periods in which nothing passes while connections stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bench) struct Outages {
    /// From the beginning of one outage to that of the next.
    #[serde(deserialize_with = "milliseconds")]
    pub(in crate::bench) every: Duration,
    #[serde(deserialize_with = "milliseconds")]
    pub(in crate::bench) length: Duration,
    /// When the first outage begins.
    #[serde(deserialize_with = "milliseconds")]
    pub(in crate::bench) first: Duration,
}

fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

/// Bytes of all connections that may wait in front of the link. A sender that has more must wait.
const ROUTER_BUFFER_BYTES: usize = 256 * 1024;

impl Character {
    /// How many bytes one connection may have in flight: the link's own capacity, and the buffer of a router.
    pub(super) fn bytes_under_way(&self) -> usize {
        let round_trip_millis = u64::try_from(self.one_way_delay.as_millis() * 2).unwrap_or(u64::MAX);
        let held = self.bits_per_second / 8 * round_trip_millis / 1000;
        usize::try_from(held)
            .unwrap_or(usize::MAX)
            .saturating_add(ROUTER_BUFFER_BYTES)
    }

    /// How long the link needs to send this many bytes.
    pub(super) fn transmission(&self, bytes: usize) -> Duration {
        let bits = u128::try_from(bytes).unwrap_or(u128::MAX) * 8;
        let nanos = bits * 1_000_000_000 / u128::from(self.bits_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When an empty message that is sent at `now` arrives, such as a packet that opens a connection.
    pub(super) fn arrival_of_nothing(&self, now: Duration) -> Duration {
        self.after_outage(now) + self.one_way_delay
    }

    /// The earliest time from `time` on at which the link is up.
    fn after_outage(&self, time: Duration) -> Duration {
        self.outage_from(time)
            .filter(|(begin, _)| *begin <= time)
            .map_or(time, |(_, end)| end)
    }

    /// The outage at `time`, or the next one.
    fn outage_from(&self, time: Duration) -> Option<(Duration, Duration)> {
        let outages = self.outages?;
        let since_first = time.saturating_sub(outages.first).as_nanos();
        let number = u32::try_from(since_first / outages.every.as_nanos().max(1)).ok()?;
        let begin = outages.first + outages.every * number;
        if time < begin + outages.length {
            return Some((begin, begin + outages.length));
        }
        Some((begin + outages.every, begin + outages.every + outages.length))
    }
}

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
        let buffered = self.character.transmission(ROUTER_BUFFER_BYTES);
        self.free_at.saturating_sub(buffered)
    }

    /// Sends `bytes` at `now`, behind everything sent before, and returns when they arrive.
    pub(super) fn send(&mut self, now: Duration, bytes: usize) -> Duration {
        let begin = self.character.after_outage(now.max(self.free_at));
        let mut end = begin + self.character.transmission(bytes);
        if let Some((outage, over)) = self.character.outage_from(begin)
            && outage < end
        {
            end += over.saturating_sub(outage);
        }
        self.free_at = end;
        end + self.character.one_way_delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn link(outages: Option<Outages>) -> Character {
        Character {
            one_way_delay: millis(50),
            bits_per_second: 8_000_000,
            outages,
        }
    }

    #[test]
    fn a_piece_takes_its_transmission_and_the_delay() {
        let mut schedule = Schedule::of(link(None));
        assert_eq!(schedule.send(millis(0), 10_000), millis(10 + 50));
        assert_eq!(schedule.send(millis(1000), 10_000), millis(1010 + 50));
    }

    #[test]
    fn all_senders_share_the_rate() {
        let mut schedule = Schedule::of(link(None));
        let arrivals: Vec<_> = (0..100).map(|_| schedule.send(millis(0), 10_000)).collect();
        assert!(arrivals.is_sorted());
        assert_eq!(arrivals.last(), Some(&millis(1000 + 50)));
    }

    #[test]
    fn nothing_passes_in_an_outage_and_nothing_is_lost() {
        let outages = Outages {
            every: millis(1000),
            length: millis(200),
            first: millis(500),
        };
        let mut schedule = Schedule::of(link(Some(outages)));
        assert_eq!(schedule.send(millis(400), 50_000), millis(450 + 50));
        assert_eq!(
            schedule.send(millis(460), 100_000),
            millis(560 + 200 + 50),
            "begun before"
        );
        assert_eq!(
            schedule.send(millis(1500), 10_000),
            millis(1710 + 50),
            "sent within"
        );
        assert_eq!(schedule.send(millis(1800), 10_000), millis(1810 + 50), "after");
        assert_eq!(
            link(Some(outages)).arrival_of_nothing(millis(2600)),
            millis(2700 + 50)
        );
    }

    #[test]
    fn a_link_with_outages_carries_less_in_a_second() {
        let outages = Outages {
            every: millis(1000),
            length: millis(250),
            first: millis(0),
        };
        let mut schedule = Schedule::of(link(Some(outages)));
        let last = (0..750).map(|_| schedule.send(millis(0), 10_000)).last();
        assert_eq!(last, Some(millis(10_000 + 50)));
    }

    #[test]
    fn there_is_room_until_the_buffer_of_the_router_is_full() {
        let mut schedule = Schedule::of(link(None));
        assert_eq!(schedule.room_from(), millis(0));
        // 256 KiB are 262.144 ms of this link.
        schedule.send(millis(0), 262_144);
        assert_eq!(schedule.room_from(), millis(0));
        schedule.send(millis(0), 10_000);
        assert_eq!(schedule.room_from(), millis(10));
    }

    #[test]
    fn bytes_in_flight_are_bounded_by_the_link_and_a_buffer() {
        assert_eq!(link(None).bytes_under_way(), 100_000 + 256 * 1024);
    }
}
