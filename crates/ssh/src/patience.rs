//! How long a device is waited for: what it must give while it owes something. Pure, but for the clock's type.
//!
//! Three rules, each of which counts only time in which the device owes an answer, so that a slow store is no stalled device:
//!
//! - Within `stall_timeout` a whole answer must come, or as many bytes as the least rate gives in that time. One byte a minute is none of these.
//! - Over fifteen times `stall_timeout` it must give something at the least rate, whole answers counted as some bytes: to answer each of ten
//!   thousand questions at the last moment would take a week.
//! - After a day it is another device's turn, whatever this one gives.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes a second below which nothing is gathered any more, only waited for: a tenth of what GPRS carried.
const MIN_RATE: u64 = 256;
/// What a whole answer counts, in bytes, over a long time: one a second is enough.
const ANSWER: u64 = 256;
/// How many times `stall_timeout` a long time is: a quarter of an hour by default.
const LONG: u32 = 15;
/// However fast a device sends, it may have invented what it sends.
const LONGEST: Duration = Duration::from_hours(24);

/// How many bytes must come within a time; `bandwidth` is what we read at most.
pub(crate) fn least(within: Duration, bandwidth: Option<u64>) -> u64 {
    let rate = bandwidth.map_or(MIN_RATE, |most| (most / 4).clamp(1, MIN_RATE));
    let bytes = u128::from(rate) * within.as_millis() / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

/// What the lanes of a connection wait for, and what they have got.
#[derive(Debug, Default)]
pub(crate) struct LaneDebt {
    waiting: AtomicUsize,
    answers: AtomicU64,
    digests: AtomicU64,
}

/// A lane that waits. Ends when dropped.
pub(crate) struct Waiting<'a>(&'a LaneDebt);

impl LaneDebt {
    pub(crate) fn waits(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    pub(crate) fn is_paid(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Notes a piece of an answer that came whole.
    pub(crate) fn note_answer(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a piece of an answer was a digest.
    pub(crate) fn note_digest(&self) {
        self.digests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(crate) fn digests(&self) -> u64 {
        self.digests.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is seen of a connection at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    /// SFTP owes an answer.
    pub(crate) sftp_owes: bool,
    /// Some lane waits for one; each of them sees to the first rule by itself.
    pub(crate) lane_owes: bool,
    /// Bytes that have come over any channel.
    pub(crate) bytes: u64,
    /// Whole answers by SFTP.
    pub(crate) sftp_answers: u64,
    /// Whole pieces of answers over lanes.
    pub(crate) lane_answers: u64,
    /// Those of them that are digests.
    pub(crate) digests: u64,
}

/// Why a device is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// It owed an answer for longer than this, and gave next to nothing meanwhile.
    Silent(Duration),
    /// It gave next to nothing over this time.
    Slow(Duration),
    /// It went on for longer than any pass may.
    Endless(Duration),
}

/// Watches over one connection.
#[derive(Debug)]
pub(crate) struct Patience {
    stall_timeout: Duration,
    bandwidth: Option<u64>,
    /// Since when SFTP owes without having given anything.
    quiet_since: Seen,
    last: Seen,
    /// How long something was owed since `long_since`.
    owed: Duration,
    long_since: Seen,
    owed_in_all: Duration,
}

impl Patience {
    pub(crate) fn new(stall_timeout: Duration, bandwidth: Option<u64>, now: Seen) -> Self {
        Self {
            stall_timeout,
            bandwidth,
            quiet_since: now,
            last: now,
            owed: Duration::ZERO,
            long_since: now,
            owed_in_all: Duration::ZERO,
        }
    }

    /// Looks at the connection every now and then; why the device is to be given up, if it is.
    pub(crate) fn look(&mut self, seen: Seen) -> Option<GivenUp> {
        let since_last = seen.at.duration_since(self.last.at);
        self.last = seen;
        self.is_silent(seen, since_last)
            .or_else(|| self.is_slow(seen, since_last))
    }

    fn is_silent(&mut self, seen: Seen, since_last: Duration) -> Option<GivenUp> {
        let came = seen.bytes.saturating_sub(self.quiet_since.bytes);
        let gave = seen.sftp_answers > self.quiet_since.sftp_answers
            || came >= least(self.stall_timeout, self.bandwidth);
        if !seen.sftp_owes || gave {
            self.quiet_since = seen;
            return None;
        }
        let quiet = seen.at.duration_since(self.quiet_since.at);
        // The debt may have begun at any time since the look before.
        (quiet > self.stall_timeout + since_last).then_some(GivenUp::Silent(self.stall_timeout))
    }

    fn is_slow(&mut self, seen: Seen, since_last: Duration) -> Option<GivenUp> {
        if !seen.sftp_owes && !seen.lane_owes {
            return None;
        }
        self.owed += since_last;
        self.owed_in_all += since_last;
        if self.owed_in_all > LONGEST {
            return Some(GivenUp::Endless(LONGEST));
        }
        let long = self.stall_timeout * LONG;
        if self.owed < long {
            return None;
        }
        let gave = self.worth(seen).saturating_sub(self.worth(self.long_since));
        self.long_since = seen;
        self.owed = Duration::ZERO;
        (gave < least(long, self.bandwidth)).then_some(GivenUp::Slow(long))
    }

    /// What all that was given counts, in bytes. For a digest the device reads up to a gigabyte, and it may read for hours when a large file is
    /// gone on with: one in each `stall_timeout` is enough.
    fn worth(&self, seen: Seen) -> u64 {
        let answers = seen.sftp_answers + seen.lane_answers;
        let digests = seen.digests.saturating_mul(least(self.stall_timeout, None));
        seen.bytes
            .saturating_add(answers.saturating_mul(ANSWER))
            .saturating_add(digests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_mins(1);

    /// Looks every second for so long at what a device gives; after which time it is given up.
    fn given_up(lasts: Duration, gives: impl Fn(u64, &mut Seen)) -> Option<(u64, GivenUp)> {
        let mut seen = Seen {
            at: Instant::now(),
            sftp_owes: true,
            lane_owes: false,
            bytes: 0,
            sftp_answers: 0,
            lane_answers: 0,
            digests: 0,
        };
        let mut patience = Patience::new(STALL, None, seen);
        (1..=lasts.as_secs()).find_map(|second| {
            seen.at += Duration::from_secs(1);
            gives(second, &mut seen);
            patience.look(seen).map(|why| (second, why))
        })
    }

    #[test]
    fn one_byte_now_and_then_is_no_sign_of_life() {
        let crumbs = given_up(Duration::from_mins(5), |_, seen| seen.bytes += 1);
        assert_eq!(crumbs, Some((62, GivenUp::Silent(STALL))));
    }

    #[test]
    fn a_slow_link_and_a_slow_disk_are_waited_for() {
        // 2 KB/s, with an answer of 255 KiB every two minutes.
        let slow_link = given_up(Duration::from_hours(6), |second, seen| {
            seen.bytes += 2_000;
            seen.sftp_answers += u64::from(second % 128 == 0);
        });
        assert_eq!(slow_link, None);
        let slow_disk = given_up(Duration::from_hours(6), |_, seen| {
            seen.bytes += 30;
            seen.sftp_answers += 1;
        });
        assert_eq!(slow_disk, None);
        let slow_digests = given_up(Duration::from_hours(6), |second, seen| {
            (seen.sftp_owes, seen.lane_owes) = (false, true);
            seen.digests += u64::from(second % 60 == 0);
        });
        assert_eq!(slow_digests, None);
        let slow_store = given_up(Duration::from_hours(48), |_, seen| seen.sftp_owes = false);
        assert_eq!(slow_store, None);
    }

    #[test]
    fn whoever_answers_each_question_at_the_last_moment_is_given_up() {
        let long = STALL * LONG;
        let late = given_up(Duration::from_hours(1), |second, seen| {
            seen.bytes += if second % 50 == 0 { 30 } else { 0 };
            seen.sftp_answers += u64::from(second % 50 == 0);
        });
        assert_eq!(late, Some((long.as_secs(), GivenUp::Slow(long))));
        let by_shell = given_up(Duration::from_hours(1), |second, seen| {
            (seen.sftp_owes, seen.lane_owes) = (false, true);
            seen.lane_answers += u64::from(second % 50 == 0);
        });
        assert_eq!(by_shell, Some((long.as_secs(), GivenUp::Slow(long))));
    }

    #[test]
    fn a_device_that_never_comes_to_an_end_has_a_day() {
        let endless = given_up(Duration::from_hours(48), |_, seen| seen.bytes += 1 << 20);
        assert_eq!(endless, Some((LONGEST.as_secs() + 1, GivenUp::Endless(LONGEST))));
    }

    #[test]
    fn what_we_do_not_read_is_not_asked_for() {
        assert_eq!(least(STALL, None), 15_360);
        assert_eq!(least(STALL, Some(100)), 1_500);
        assert_eq!(least(Duration::from_millis(1), Some(1)), 1);
    }
}
