//! Detects stalls: the progress that a device must make while it has pending replies. Pure, except for the
//! clock's type.
//!
//! There are three rules. Each counts only time in which a reply is pending, so a slow store is never a
//! stall:
//!
//! - Within `stall_timeout` a whole reply must arrive, or as many bytes as the minimum rate gives in that
//!   time. One byte a minute is too little.
//! - Over fifteen times `stall_timeout` the device must reach the minimum rate, where each whole reply counts
//!   as some bytes. A device that answered each of ten thousand requests at the last moment would take a
//!   week.
//! - After a day the session ends, whatever the device sends, so that other devices get their slot.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes a second below which gleaner only waits: a tenth of what GPRS carried.
const MIN_RATE: u64 = 256;
/// The bytes that a whole reply counts as, over a long time: one reply a second is enough.
const REPLY_BYTES: u64 = 256;
/// The long time, in multiples of `stall_timeout`: a quarter of an hour by default.
const SLOW_FACTOR: u32 = 15;
/// A limit for fast devices too: they may invent what they send.
const MAX_PENDING_TIME: Duration = Duration::from_hours(24);

/// How many bytes must arrive within a time. `bandwidth` is the configured maximum rate.
pub(crate) fn min_bytes(within: Duration, bandwidth: Option<u64>) -> u64 {
    let rate = bandwidth.map_or(MIN_RATE, |most| (most / 4).clamp(1, MIN_RATE));
    let bytes = u128::from(rate) * within.as_millis() / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

/// The replies that shell channels of a connection wait for, and those received.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    waiting: AtomicUsize,
    replies: AtomicU64,
    digests: AtomicU64,
}

/// A channel that waits for a reply. The wait ends when this is dropped.
pub(crate) struct PendingReply<'a>(&'a PendingReplies);

impl PendingReplies {
    pub(crate) fn begin_wait(&self) -> PendingReply<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        PendingReply(self)
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Counts a whole piece of a reply.
    pub(crate) fn count_reply(&self) {
        self.replies.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a piece of a reply as a digest.
    pub(crate) fn count_digest(&self) {
        self.digests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }

    pub(crate) fn digests(&self) -> u64 {
        self.digests.load(Ordering::Relaxed)
    }
}

impl Drop for PendingReply<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state of a connection at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionSample {
    pub(crate) at: Instant,
    /// SFTP has a pending reply.
    pub(crate) sftp_pending: bool,
    /// A shell channel has a pending reply. Channels check the first rule themselves.
    pub(crate) shell_pending: bool,
    /// Bytes received over all channels.
    pub(crate) bytes: u64,
    /// Whole SFTP replies.
    pub(crate) sftp_replies: u64,
    /// Whole pieces of shell replies.
    pub(crate) shell_replies: u64,
    /// Those of `shell_replies` that are digests.
    pub(crate) digests: u64,
}

/// Why a session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StallReason {
    /// A reply was pending for longer than this, and almost nothing arrived.
    Silent(Duration),
    /// Almost nothing arrived over this time.
    Slow(Duration),
    /// Replies were pending for longer than any pass may take.
    Endless(Duration),
}

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct StallDetector {
    stall_timeout: Duration,
    bandwidth: Option<u64>,
    /// The last sample at which SFTP had no pending reply, or had made progress.
    last_progress: ConnectionSample,
    last: ConnectionSample,
    /// Time with pending replies since `slow_since`.
    pending_since_slow_check: Duration,
    slow_since: ConnectionSample,
    time_pending: Duration,
}

impl StallDetector {
    pub(crate) fn new(stall_timeout: Duration, bandwidth: Option<u64>, now: ConnectionSample) -> Self {
        Self {
            stall_timeout,
            bandwidth,
            last_progress: now,
            last: now,
            pending_since_slow_check: Duration::ZERO,
            slow_since: now,
            time_pending: Duration::ZERO,
        }
    }

    /// Takes a sample. Returns why the session must end, if it must.
    pub(crate) fn check(&mut self, sample: ConnectionSample) -> Option<StallReason> {
        let since_last = sample.at.duration_since(self.last.at);
        self.last = sample;
        self.check_silence(sample, since_last)
            .or_else(|| self.check_rate(sample, since_last))
    }

    fn check_silence(&mut self, sample: ConnectionSample, since_last: Duration) -> Option<StallReason> {
        let received = sample.bytes.saturating_sub(self.last_progress.bytes);
        let progress = sample.sftp_replies > self.last_progress.sftp_replies
            || received >= min_bytes(self.stall_timeout, self.bandwidth);
        if !sample.sftp_pending || progress {
            self.last_progress = sample;
            return None;
        }
        let quiet = sample.at.duration_since(self.last_progress.at);
        // The reply may have become pending at any time since the previous sample.
        (quiet > self.stall_timeout + since_last).then_some(StallReason::Silent(self.stall_timeout))
    }

    fn check_rate(&mut self, sample: ConnectionSample, since_last: Duration) -> Option<StallReason> {
        if !sample.sftp_pending && !sample.shell_pending {
            return None;
        }
        self.pending_since_slow_check += since_last;
        self.time_pending += since_last;
        if self.time_pending > MAX_PENDING_TIME {
            return Some(StallReason::Endless(MAX_PENDING_TIME));
        }
        let slow_time = self.stall_timeout * SLOW_FACTOR;
        if self.pending_since_slow_check < slow_time {
            return None;
        }
        let progress = self
            .progress_bytes(sample)
            .saturating_sub(self.progress_bytes(self.slow_since));
        self.slow_since = sample;
        self.pending_since_slow_check = Duration::ZERO;
        (progress < min_bytes(slow_time, self.bandwidth)).then_some(StallReason::Slow(slow_time))
    }

    /// Progress in byte equivalents. A digest may need the device to read 1 GiB, and resuming a large file
    /// may take hours of reading. So one digest per `stall_timeout` counts as sufficient.
    fn progress_bytes(&self, sample: ConnectionSample) -> u64 {
        let replies = sample.sftp_replies + sample.shell_replies;
        let digests = sample.digests.saturating_mul(min_bytes(self.stall_timeout, None));
        sample
            .bytes
            .saturating_add(replies.saturating_mul(REPLY_BYTES))
            .saturating_add(digests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_mins(1);

    /// Feeds the detector one sample a second. Returns when it reports a stall, and which.
    fn stalled_after(
        duration: Duration,
        feed: impl Fn(u64, &mut ConnectionSample),
    ) -> Option<(u64, StallReason)> {
        let mut sample = ConnectionSample {
            at: Instant::now(),
            sftp_pending: true,
            shell_pending: false,
            bytes: 0,
            sftp_replies: 0,
            shell_replies: 0,
            digests: 0,
        };
        let mut detector = StallDetector::new(STALL, None, sample);
        (1..=duration.as_secs()).find_map(|second| {
            sample.at += Duration::from_secs(1);
            feed(second, &mut sample);
            detector.check(sample).map(|why| (second, why))
        })
    }

    #[test]
    fn one_byte_now_and_then_is_no_progress() {
        let crumbs = stalled_after(Duration::from_mins(5), |_, sample| sample.bytes += 1);
        assert_eq!(crumbs, Some((62, StallReason::Silent(STALL))));
    }

    #[test]
    fn a_slow_link_and_a_slow_disk_are_no_stall() {
        // 2 KB/s, with a reply of 255 KiB every two minutes.
        let slow_link = stalled_after(Duration::from_hours(6), |second, sample| {
            sample.bytes += 2_000;
            sample.sftp_replies += u64::from(second % 128 == 0);
        });
        assert_eq!(slow_link, None);
        let slow_disk = stalled_after(Duration::from_hours(6), |_, sample| {
            sample.bytes += 30;
            sample.sftp_replies += 1;
        });
        assert_eq!(slow_disk, None);
        let slow_digests = stalled_after(Duration::from_hours(6), |second, sample| {
            (sample.sftp_pending, sample.shell_pending) = (false, true);
            sample.digests += u64::from(second % 60 == 0);
        });
        assert_eq!(slow_digests, None);
        let slow_store = stalled_after(Duration::from_hours(48), |_, sample| sample.sftp_pending = false);
        assert_eq!(slow_store, None);
    }

    #[test]
    fn a_device_that_always_replies_at_the_last_moment_stalls() {
        let slow_time = STALL * SLOW_FACTOR;
        let late = stalled_after(Duration::from_hours(1), |second, sample| {
            sample.bytes += if second % 50 == 0 { 30 } else { 0 };
            sample.sftp_replies += u64::from(second % 50 == 0);
        });
        assert_eq!(late, Some((slow_time.as_secs(), StallReason::Slow(slow_time))));
        let by_shell = stalled_after(Duration::from_hours(1), |second, sample| {
            (sample.sftp_pending, sample.shell_pending) = (false, true);
            sample.shell_replies += u64::from(second % 50 == 0);
        });
        assert_eq!(
            by_shell,
            Some((slow_time.as_secs(), StallReason::Slow(slow_time)))
        );
    }

    #[test]
    fn a_device_that_never_finishes_has_a_day() {
        let endless = stalled_after(Duration::from_hours(48), |_, sample| sample.bytes += 1 << 20);
        assert_eq!(
            endless,
            Some((
                MAX_PENDING_TIME.as_secs() + 1,
                StallReason::Endless(MAX_PENDING_TIME)
            ))
        );
    }

    #[test]
    fn the_minimum_respects_the_configured_bandwidth() {
        assert_eq!(min_bytes(STALL, None), 15_360);
        assert_eq!(min_bytes(STALL, Some(100)), 1_500);
        assert_eq!(min_bytes(Duration::from_millis(1), Some(1)), 1);
    }
}
