//! When each device of a sweep was connected, served and done, and by when its pass had to end: promise 4 in
//! figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::event::{Event, Reporter};
use model::{DeviceName, Timestamp};
use tokio::time::Instant;

/// The timing of one sweep. Clones share their data.
#[derive(Debug, Clone)]
pub struct SweepTiming {
    began: Instant,
    parallel: usize,
    of: Arc<Mutex<BTreeMap<String, PassTimes>>>,
}

/// The times of one device's pass.
#[derive(Debug, Clone, Copy, Default)]
struct PassTimes {
    requested: Option<Instant>,
    connected: Option<Instant>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

/// A pass that works longer than this gives up its slot.
const MAX_WORK: Duration = Duration::from_mins(15);

/// The number of connecting devices per working slot.
const CONNECTING_PER_SLOT: u32 = 4;

/// Timers are not exact.
const SLACK: Duration = Duration::from_secs(1);

impl SweepTiming {
    /// Begins a sweep that works on `parallel` devices at a time.
    pub fn begin(parallel: usize) -> Self {
        Self {
            began: Instant::now(),
            parallel,
            of: Arc::default(),
        }
    }

    /// How long after the start of the sweep the pass of a device ended; `None` if there was no such pass.
    pub fn ended_after(&self, device: &str) -> Option<Duration> {
        let ended = self.lock().get(device)?.ended?;
        Some(ended - self.began)
    }

    /// The latest end of a healthy device's pass, after the start of the sweep: its own time, and its share
    /// of the others' working and connecting time. A device that is still connecting occupies no working
    /// slot, and a pass that works too long gives its slot up.
    pub fn latest_end(&self, device: &str) -> Duration {
        let timing = self.lock();
        let others = || {
            timing
                .iter()
                .filter(|(name, _)| *name != device)
                .map(|(_, times)| times)
        };
        let slots = u32::try_from(self.parallel).unwrap_or(u32::MAX).max(1);
        let gives_way = others().filter(|times| times.work() > MAX_WORK).count() <= self.parallel;
        let counted = |work: Duration| if gives_way { work.min(MAX_WORK) } else { work };
        let work: Duration = others().map(|times| counted(times.work())).sum();
        let connecting: Duration = others().map(PassTimes::connecting).sum();
        let own = timing.get(device).copied().unwrap_or_default();
        own.connecting() + own.work() + work / slots + connecting / (slots * CONNECTING_PER_SLOT) + SLACK
    }

    pub(super) fn connected(&self, device: &DeviceName) {
        self.note(device, |times| times.connected = Some(Instant::now()));
    }

    fn note(&self, device: &DeviceName, what: impl FnOnce(&mut PassTimes)) {
        what(self.lock().entry(device.as_str().to_owned()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, PassTimes>> {
        self.of.lock()
    }
}

impl PassTimes {
    fn connecting(&self) -> Duration {
        span(self.requested, self.connected.or(self.ended))
    }

    fn work(&self) -> Duration {
        span(self.began, self.ended)
    }
}

fn span(from: Option<Instant>, to: Option<Instant>) -> Duration {
    match (from, to) {
        (Some(from), Some(to)) => to.saturating_duration_since(from),
        _ => Duration::ZERO,
    }
}

impl Reporter for SweepTiming {
    fn report(&self, _: Timestamp, event: &Event) {
        let now = Some(Instant::now());
        match event {
            Event::Connecting { device } => self.note(device, |times| times.requested = now),
            Event::Connected { device, .. } => self.note(device, |times| times.began = now),
            Event::PassEnded { device, .. } => self.note(device, |times| times.ended = now),
            _ => {}
        }
    }
}
