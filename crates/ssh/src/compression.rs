//! Decides whether a compressed connection brings files sooner. Decided by what has arrived, never by a
//! forecast.
//!
//! ssh decides on compression once, when it connects, and zlib is slower than a good link: on incompressible
//! pictures it only costs the device time. So a session begins without it, unless an earlier one has found
//! that it pays. If the link turns out to be slow and the bytes on it shrink, a second, compressed connection
//! is opened. It is kept only if it brings more bytes of files in a second than the first one did. Pure,
//! except for the clock's type.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of one sample. Deflate looks back 32 KiB; half of that tells pictures from tables.
const SAMPLE: usize = 16 * 1024;
/// One sample stands for this many bytes, which slow links bring up to fifty times a second. A sample costs
/// some tenths of a millisecond. (One sample for each span of time would mostly see what takes long: bytes
/// that do not shrink.)
const BETWEEN_SAMPLES: u64 = 256 * 1024;
/// The levels of `miniz_oxide` go to 10, and ssh's zlib works at 6. A sample shows whether bytes shrink, not
/// how much.
const SAMPLE_LEVEL: u8 = 3;
/// The share of samples that may be left at most. The second connection would use up a smaller gain.
const MAX_LEFT: f64 = 0.85;
/// The number of samples in the average: 8 MiB of files.
const SAMPLES: f64 = 32.0;
/// The time and the bytes to read before the second connection is tried. A try costs only a login.
const MIN_TO_TRY: (Duration, u64) = (Duration::from_millis(250), 256 << 10);
/// The time and the bytes to read before two rates are compared.
const MIN_TO_COMPARE: (Duration, u64) = (Duration::from_secs(1), 1 << 20);
/// Bytes per second beyond which it is not tried: half of what zlib in ssh carried on an otherwise idle core
/// of a server (47 million of noise, 54 million of tables, measured by
/// `ssh -o Compression=yes device 'cat FILE' >/dev/null`). Smaller devices carry less, which the comparison
/// finds out.
const FASTEST_WORTH_IT: f64 = 24e6;
/// The bytes and samples needed before reporting that they do not shrink.
const MIN_TO_TELL: (u64, f64) = (4 << 20, 8.0);
/// By which factor the compressed connection must be faster.
const GAIN: f64 = 1.05;

/// The connection that bytes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The session's own.
    Plain,
    /// The second one.
    Compressed,
}

/// What to do for the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Read over the session's own connection.
    Plain,
    /// The same, and begin to open the second connection.
    OpenSecond,
    /// Read over the second connection.
    Compressed,
}

/// The advisor of one session.
#[derive(Debug, Default)]
pub(crate) struct CompressionAdvisor {
    plain: Flow,
    compressed: Flow,
    /// The share of a sample that compression leaves, averaged; later samples count more.
    left: Option<f64>,
    samples: f64,
    /// Bytes since the last sample.
    unsampled: u64,
    stage: Stage,
    decisions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Stage {
    /// Too little has arrived.
    #[default]
    Measuring,
    /// The second connection is being opened.
    Opening,
    /// It is open; the plain one carried this many bytes a second.
    Open { plain_rate: f64 },
    /// It does not bring files sooner.
    DoesNotPay,
    /// It cannot be opened, or has failed.
    Broken,
    /// The session's own connection compresses, because that has paid before.
    Already,
}

impl Stage {
    fn is_decided(self) -> bool {
        matches!(self, Self::DoesNotPay | Self::Broken)
    }
}

/// The bytes that one connection carried, and the time in which it was read.
#[derive(Debug, Default)]
struct Flow {
    readers: usize,
    since: Option<Instant>,
    busy: Duration,
    bytes: u64,
}

impl Flow {
    fn begin(&mut self, now: Instant) {
        self.readers += 1;
        self.since.get_or_insert(now);
    }

    fn end(&mut self, now: Instant) {
        self.readers = self.readers.saturating_sub(1);
        if self.readers == 0
            && let Some(since) = self.since.take()
        {
            self.busy += now.duration_since(since);
        }
    }

    /// Bytes per second, once enough was read.
    fn rate(&self, now: Instant, least: (Duration, u64)) -> Option<f64> {
        let running = self
            .since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        let busy = self.busy + running;
        let is_enough = busy >= least.0 && self.bytes >= least.1;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        is_enough.then(|| self.bytes as f64 / busy.as_secs_f64())
    }

    /// Forgets the past, except for current readers.
    fn restart(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
        (self.busy, self.bytes) = (Duration::ZERO, 0);
    }
}

impl CompressionAdvisor {
    /// The advisor of a session whose own connection compresses. It can only find that this is not needed.
    pub(crate) fn of_compressed() -> Self {
        Self {
            stage: Stage::Already,
            ..Self::default()
        }
    }

    /// Whether compression brings files sooner, if that was found out.
    pub(crate) fn has_paid(&self, now: Instant) -> Option<bool> {
        match self.stage {
            Stage::Measuring | Stage::Opening => self.is_useless().then_some(false),
            Stage::Already => (self.is_useless() || self.is_link_fast(now)).then_some(false),
            Stage::Open { plain_rate } => {
                let rate = self.compressed.rate(now, MIN_TO_COMPARE)?;
                (rate >= plain_rate * GAIN).then_some(true)
            }
            Stage::DoesNotPay => Some(false),
            Stage::Broken => None,
        }
    }

    /// A read begins.
    pub(crate) fn begin(&mut self, over: Link, now: Instant) {
        self.flow(over).begin(now);
    }

    /// A read has ended.
    pub(crate) fn end(&mut self, over: Link, now: Instant) {
        self.flow(over).end(now);
        // While both carry bytes, neither shows its full rate.
        if over == Link::Plain && self.plain.readers == 0 && matches!(self.stage, Stage::Open { .. }) {
            self.compressed.restart(now);
        }
    }

    /// Bytes of a file have arrived.
    pub(crate) fn note_bytes(&mut self, over: Link, bytes: &[u8]) {
        self.flow(over).bytes += bytes.len() as u64;
        self.unsampled += bytes.len() as u64;
        let is_due = self.left.is_none() || self.unsampled >= BETWEEN_SAMPLES;
        // Takes no samples once everything is decided.
        if is_due && !self.stage.is_decided() && bytes.len() >= SAMPLE / 4 {
            self.unsampled = 0;
            self.samples = (self.samples + 1.0).min(SAMPLES);
            let left = share_left(bytes.get(..SAMPLE).unwrap_or(bytes));
            let before = self.left.unwrap_or(left);
            self.left = Some(before + (left - before) / self.samples);
        }
    }

    /// The choice for the next read.
    pub(crate) fn choose(&mut self, now: Instant) -> Choice {
        match self.stage {
            Stage::Measuring => match self.plain.rate(now, MIN_TO_TRY) {
                Some(rate) if rate > FASTEST_WORTH_IT => {
                    self.enter(Stage::DoesNotPay);
                    Choice::Plain
                }
                Some(_) if self.shrinks() => {
                    self.stage = Stage::Opening;
                    Choice::OpenSecond
                }
                _ => Choice::Plain,
            },
            Stage::Open { plain_rate } => {
                let is_alone = self.plain.readers == 0;
                let rate = self.compressed.rate(now, MIN_TO_COMPARE).filter(|_| is_alone);
                if rate.is_some_and(|rate| rate < plain_rate * GAIN) {
                    self.enter(Stage::DoesNotPay);
                }
                if !self.stage.is_decided() && self.shrinks() {
                    Choice::Compressed
                } else {
                    Choice::Plain
                }
            }
            Stage::Opening | Stage::DoesNotPay | Stage::Broken | Stage::Already => Choice::Plain,
        }
    }

    /// The second connection is open, or cannot be opened.
    pub(crate) fn opened(&mut self, is_there: bool, now: Instant) {
        self.enter(match self.plain.rate(now, MIN_TO_TRY).filter(|_| is_there) {
            // Its first moments may have made the link look slower than it is.
            Some(rate) if rate > FASTEST_WORTH_IT => Stage::DoesNotPay,
            Some(plain_rate) => Stage::Open { plain_rate },
            None => Stage::Broken,
        });
        self.compressed.restart(now);
    }

    /// The second connection has failed.
    pub(crate) fn mark_failed(&mut self) {
        self.enter(Stage::Broken);
    }

    /// The number of decisions so far. Bytes that shrink more or less are no decision: a read in progress
    /// stays where it is.
    pub(crate) fn decisions(&self) -> usize {
        self.decisions
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.decisions += 1;
    }

    /// The bytes do not shrink.
    fn is_useless(&self) -> bool {
        let (bytes, samples) = MIN_TO_TELL;
        self.plain.bytes >= bytes && self.samples >= samples && self.left.is_some_and(|left| left > MAX_LEFT)
    }

    /// The link carries more than is worth compressing, by what compression leaves.
    fn is_link_fast(&self, now: Instant) -> bool {
        let rate = self.plain.rate(now, MIN_TO_COMPARE).zip(self.left);
        rate.is_some_and(|(rate, left)| rate * left > FASTEST_WORTH_IT)
    }

    fn shrinks(&self) -> bool {
        self.left.is_some_and(|left| left <= MAX_LEFT)
    }

    fn flow(&mut self, over: Link) -> &mut Flow {
        match over {
            Link::Plain => &mut self.plain,
            Link::Compressed => &mut self.compressed,
        }
    }
}

/// The share of some bytes that compression leaves.
fn share_left(bytes: &[u8]) -> f64 {
    let compressed = miniz_oxide::deflate::compress_to_vec(bytes, SAMPLE_LEVEL);
    #[expect(clippy::cast_precision_loss, reason = "both are some thousands")]
    let share = compressed.len() as f64 / bytes.len().max(1) as f64;
    share
}

#[cfg(test)]
mod tests;
