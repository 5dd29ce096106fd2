//! Whether a compressed connection brings files sooner: judged by what has come, never by what may come.
//!
//! ssh decides on compression once, when it connects, and zlib is slower than a good link: on incompressible pictures it only costs the device
//! time. So a session begins without, unless an earlier one has found that it pays. Where the link turns out to be slow and what comes over it would
//! shrink, a second connection is made, which compresses; it is kept only if it brings more bytes of files in a second than the first one did. Pure,
//! but for the clock's type.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of one sample. Deflate looks back 32 KiB; half of that tells pictures from tables.
const SAMPLE: usize = 16 * 1024;
/// One sample stands for so many bytes, which slow links bring some fifty times a second; a sample costs some tenths of a millisecond. (One sample for
/// each span of time would see most of all what takes long: what does not shrink.)
const BETWEEN_SAMPLES: u64 = 256 * 1024;
/// The levels of `miniz_oxide` go to 10, and ssh's zlib works at 6. A sample is to tell whether something shrinks, not exactly how much.
const SAMPLE_LEVEL: u8 = 3;
/// What must be left of samples at the most. Less gain than that is eaten up by the second connection.
const MAX_LEFT: f64 = 0.85;
/// How many samples the average looks back on, 8 MiB of files.
const SAMPLES: f64 = 32.0;
/// How long, and how much, must have been read before the second connection is tried: a try costs a login and nothing else.
const MIN_TO_TRY: (Duration, u64) = (Duration::from_millis(250), 256 << 10);
/// The same, before two rates are compared.
const MIN_TO_COMPARE: (Duration, u64) = (Duration::from_secs(1), 1 << 20);
/// Bytes per second beyond which it is not tried: half of what zlib in ssh brought where one core of a server did nothing else (47 million of noise,
/// 54 million of tables; `ssh -o Compression=yes device 'cat FILE' >/dev/null`). Smaller devices bring less, which the comparison finds out.
const FASTEST_WORTH_IT: f64 = 24e6;
/// So much must have come, and so many samples of it, before it is said that what comes does not shrink.
const MIN_TO_TELL: (u64, f64) = (4 << 20, 8.0);
/// How much more a second the compressed connection must bring.
const GAIN: f64 = 1.05;

/// Which connection bytes come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The session's own.
    Plain,
    /// The second one.
    Compressed,
}

/// What is to be done for the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Read over the session's own connection.
    Plain,
    /// The same; and begin to open the second connection.
    OpenSecond,
    /// Read over the second connection.
    Compressed,
}

/// The judgement of one session.
#[derive(Debug, Default)]
pub(crate) struct CompressionAdvisor {
    plain: Flow,
    compressed: Flow,
    /// The part of a sample that compression leaves, averaged; later samples count more.
    left: Option<f64>,
    samples: f64,
    /// Bytes that came since the last sample.
    unsampled: u64,
    stage: Stage,
    decisions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Stage {
    /// Not enough has come.
    #[default]
    Measuring,
    /// The second connection is being made.
    Opening,
    /// It is there; the plain one brought so many bytes a second.
    Open { plain_rate: f64 },
    /// It does not bring files sooner.
    DoesNotPay,
    /// It cannot be had, or has failed.
    Broken,
    /// The session's own connection compresses, because that has paid before.
    Already,
}

impl Stage {
    fn is_decided(self) -> bool {
        matches!(self, Self::DoesNotPay | Self::Broken)
    }
}

/// What came over one connection, and in which time something was being read over it.
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

    /// Bytes per second, once so much was read.
    fn rate(&self, now: Instant, least: (Duration, u64)) -> Option<f64> {
        let running = self
            .since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        let busy = self.busy + running;
        let is_enough = busy >= least.0 && self.bytes >= least.1;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        is_enough.then(|| self.bytes as f64 / busy.as_secs_f64())
    }

    /// Forgets what came so far, but for who is reading.
    fn restart(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
        (self.busy, self.bytes) = (Duration::ZERO, 0);
    }
}

impl CompressionAdvisor {
    /// The judge of a session whose own connection compresses: all that may turn out is that it need not.
    pub(crate) fn of_compressed() -> Self {
        Self {
            stage: Stage::Already,
            ..Self::default()
        }
    }

    /// Whether files come sooner where the connection compresses, if that was found out.
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

    /// Somebody begins to read.
    pub(crate) fn begin(&mut self, over: Link, now: Instant) {
        self.flow(over).begin(now);
    }

    /// Somebody has ended reading.
    pub(crate) fn end(&mut self, over: Link, now: Instant) {
        self.flow(over).end(now);
        // As long as both carried something, neither shows what it can do.
        if over == Link::Plain && self.plain.readers == 0 && matches!(self.stage, Stage::Open { .. }) {
            self.compressed.restart(now);
        }
    }

    /// Some bytes of a file have come.
    pub(crate) fn note_bytes(&mut self, over: Link, bytes: &[u8]) {
        self.flow(over).bytes += bytes.len() as u64;
        self.unsampled += bytes.len() as u64;
        let is_due = self.left.is_none() || self.unsampled >= BETWEEN_SAMPLES;
        // Where nothing more is to be decided, nothing is looked at.
        if is_due && !self.stage.is_decided() && bytes.len() >= SAMPLE / 4 {
            self.unsampled = 0;
            self.samples = (self.samples + 1.0).min(SAMPLES);
            let left = share_left(bytes.get(..SAMPLE).unwrap_or(bytes));
            let before = self.left.unwrap_or(left);
            self.left = Some(before + (left - before) / self.samples);
        }
    }

    /// What the next read is to do.
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

    /// The second connection is there, or cannot be had.
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

    /// How often the judgement has changed. What compresses better or worse changes no judgement: whoever is reading goes on as it began.
    pub(crate) fn decisions(&self) -> usize {
        self.decisions
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.decisions += 1;
    }

    /// What came does not shrink.
    fn is_useless(&self) -> bool {
        let (bytes, samples) = MIN_TO_TELL;
        self.plain.bytes >= bytes && self.samples >= samples && self.left.is_some_and(|left| left > MAX_LEFT)
    }

    /// The link carries more than is worth compressing, by what is left of what came.
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

/// The part of some bytes that compression leaves.
fn share_left(bytes: &[u8]) -> f64 {
    let compressed = miniz_oxide::deflate::compress_to_vec(bytes, SAMPLE_LEVEL);
    #[expect(clippy::cast_precision_loss, reason = "both are some thousands")]
    let share = compressed.len() as f64 / bytes.len().max(1) as f64;
    share
}

#[cfg(test)]
mod tests;
