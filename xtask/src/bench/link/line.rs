//! Computes what becomes of a packet that is sent now, without a clock.
//!
//! All times are durations since the link came up.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::contents::Noise;
use super::character::Character;

/// One direction of the link: a queue that drops what does not fit, a wire that takes its time, loss, delay.
#[derive(Debug)]
pub(super) struct Line {
    character: Character,
    /// Chooses the packets that are lost: the same for every tool.
    noise: Noise,
    /// When the link will have sent everything that is queued.
    free_at: Duration,
    /// The packets in the queue: when each has been sent, and its size.
    queue: VecDeque<(Duration, usize)>,
    queued_bytes: usize,
    /// All bytes that were sent, those of lost packets included.
    pub(super) sent_bytes: u64,
}

impl Line {
    pub(super) fn new(character: Character, seed: u64) -> Self {
        Self {
            character,
            noise: Noise::from_seed(seed),
            free_at: Duration::ZERO,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// Sends a packet at `now` and returns when it arrives. `None` if the queue is full, or if the packet is
    /// lost on the way.
    pub(super) fn send(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        while let Some((_, sent)) = self.queue.front().filter(|(sent_at, _)| *sent_at <= now) {
            self.queued_bytes -= sent;
            self.queue.pop_front();
        }
        // As long as a round trip: a connection that fills the link does not run dry after a loss.
        if self.queued_bytes + bytes > self.character.bandwidth_delay_bytes() {
            return None;
        }
        self.free_at = self.character.sent_at(now.max(self.free_at), bytes);
        self.queue.push_back((self.free_at, bytes));
        self.queued_bytes += bytes;
        self.sent_bytes += u64::try_from(bytes).unwrap_or_default();
        let is_lost = self.noise.next() % 1_000_000 < self.character.lost_per_million;
        (!is_lost).then(|| self.free_at + self.character.one_way_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::super::character::tests::{LINK, WITH_OUTAGES, millis};
    use super::*;

    #[test]
    fn a_packet_takes_its_transmission_and_the_delay_behind_those_before_it() {
        let mut line = Line::new(LINK, 0);
        assert_eq!(line.send(millis(0), 1000), Some(millis(1 + 50)));
        assert_eq!(line.send(millis(0), 1000), Some(millis(2 + 50)));
        assert_eq!(line.send(millis(9), 1000), Some(millis(10 + 50)));
        assert_eq!(line.sent_bytes, 3000);
    }

    #[test]
    fn the_queue_holds_a_round_trip_and_drops_the_rest() {
        let mut line = Line::new(LINK, 0);
        let sent = |line: &mut Line, now| {
            (0..500)
                .filter(|_| line.send(millis(now), 1000).is_some())
                .count()
        };
        assert_eq!(sent(&mut line, 0), 100);
        assert_eq!(sent(&mut line, 30), 30, "room of what was sent meanwhile");
        assert_eq!(line.send(millis(1000), 1000), Some(millis(1001 + 50)));
    }

    #[test]
    fn an_outage_fills_the_queue() {
        let mut line = Line::new(WITH_OUTAGES, 0);
        let arrivals: Vec<_> = (500..700)
            .filter_map(|now| line.send(millis(now), 1000))
            .collect();
        assert_eq!(arrivals.len(), 100);
        assert_eq!(arrivals[0], millis(701 + 50));
        assert_eq!(arrivals[99], millis(800 + 50));
    }

    #[test]
    fn the_stated_number_of_packets_is_lost_and_always_the_same() {
        let lossy = Character {
            lost_per_million: 10_000,
            ..LINK
        };
        let lost = |seed| -> Vec<u64> {
            let mut line = Line::new(lossy, seed);
            let is_lost = |number: &u64| line.send(millis(*number), 1000).is_none();
            (0..100_000).filter(is_lost).collect()
        };
        let first = lost(1);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(first, lost(1));
        assert_ne!(first, lost(2));
    }
}
