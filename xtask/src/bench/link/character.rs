//! The properties of an emulated link.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A link between the collector and the jump host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bench) struct Character {
    #[serde(deserialize_with = "milliseconds")]
    pub(super) one_way_delay: Duration,
    /// In each direction, shared by all connections.
    pub(super) bits_per_second: u64,
    /// Packets lost on the way, in each direction, of a million.
    #[serde(default)]
    pub(super) lost_per_million: u64,
    pub(super) outages: Option<Outages>,
    /// Of both ends.
    #[serde(default)]
    pub(in crate::bench) congestion_control: CongestionControl,
}

/// Periods in which nothing passes while connections stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bench) struct Outages {
    /// From the beginning of one outage to that of the next.
    #[serde(deserialize_with = "milliseconds")]
    pub(super) every: Duration,
    #[serde(deserialize_with = "milliseconds")]
    pub(super) length: Duration,
    /// When the first outage begins.
    #[serde(deserialize_with = "milliseconds")]
    pub(super) first: Duration,
}

/// How TCP decides how much to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum CongestionControl {
    /// The default of Debian and Raspberry Pi OS.
    #[default]
    Cubic,
    Bbr,
}

impl CongestionControl {
    /// The kernel's name for it.
    pub(in crate::bench) fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

impl Character {
    /// The bytes that the link holds during one round trip.
    pub(super) fn bandwidth_delay_bytes(&self) -> usize {
        let round_trip_millis = u64::try_from(self.one_way_delay.as_millis() * 2).unwrap_or(u64::MAX);
        let bytes = self.bits_per_second / 8 * round_trip_millis / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// How long the link needs to send this many bytes.
    pub(super) fn transmission(&self, bytes: usize) -> Duration {
        let bits = u128::try_from(bytes).unwrap_or(u128::MAX) * 8;
        let nanos = bits * 1_000_000_000 / u128::from(self.bits_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When the last of these bytes has been sent, if the first can be sent at `from`, counted from the time
    /// at which the link came up.
    pub(super) fn sent_at(&self, from: Duration, bytes: usize) -> Duration {
        let begin = self.after_outage(from);
        let end = begin + self.transmission(bytes);
        match self.outage_from(begin) {
            Some((outage, over)) if outage < end => end + over.saturating_sub(outage),
            _ => end,
        }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench::link) const fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// One byte takes a microsecond, and 50 ms to arrive.
    pub(in crate::bench::link) const LINK: Character = Character {
        one_way_delay: millis(50),
        bits_per_second: 8_000_000,
        lost_per_million: 0,
        outages: None,
        congestion_control: CongestionControl::Cubic,
    };

    pub(in crate::bench::link) const WITH_OUTAGES: Character = Character {
        outages: Some(Outages {
            every: millis(1000),
            length: millis(200),
            first: millis(500),
        }),
        ..LINK
    };

    #[test]
    fn bytes_take_their_transmission() {
        assert_eq!(LINK.sent_at(millis(0), 10_000), millis(10));
        assert_eq!(LINK.sent_at(millis(1000), 10_000), millis(1010));
        assert_eq!(LINK.bandwidth_delay_bytes(), 100_000);
    }

    #[test]
    fn nothing_passes_in_an_outage() {
        let sent_at = |from, bytes| WITH_OUTAGES.sent_at(millis(from), bytes);
        assert_eq!(sent_at(400, 50_000), millis(450));
        assert_eq!(sent_at(460, 100_000), millis(560 + 200), "begun before");
        assert_eq!(sent_at(1500, 10_000), millis(1710), "sent within");
        assert_eq!(sent_at(1800, 10_000), millis(1810), "after");
        assert_eq!(WITH_OUTAGES.arrival_of_nothing(millis(2600)), millis(2700 + 50));
    }
}
