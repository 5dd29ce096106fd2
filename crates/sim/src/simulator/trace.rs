//! The events of a scenario in order. They are printed when a promise is broken, and show that a seed repeats
//! its scenario.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::time::Instant;

/// The events so far. Clones share the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<TraceState>>);

struct TraceState {
    began: Option<Instant>,
    kept: usize,
    lines: VecDeque<String>,
    fingerprint: u64,
    count: u64,
}

impl Trace {
    /// A trace that keeps the last `lines` lines.
    pub fn with_limit(lines: usize) -> Self {
        Self(Arc::new(Mutex::new(TraceState {
            began: None,
            kept: lines,
            lines: VecDeque::new(),
            // The offset basis of FNV-1a.
            fingerprint: 0xcbf2_9ce4_8422_2325,
            count: 0,
        })))
    }

    /// Adds a line, with the simulated time.
    pub fn log(&self, line: &str) {
        let mut state = self.lock();
        let now = Instant::now();
        let passed = now.duration_since(*state.began.get_or_insert(now));
        let line = format!("{} {line}", Elapsed(passed));
        for byte in line.bytes() {
            state.fingerprint = (state.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        state.count += 1;
        if state.lines.len() == state.kept {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// The kept lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    /// A hash of all lines: traces that differ have different fingerprints.
    pub fn fingerprint(&self) -> u64 {
        self.lock().fingerprint
    }

    /// The number of lines so far.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, TraceState> {
        self.0.lock()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::with_limit(12)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Trace")
    }
}

/// Minutes, seconds and milliseconds.
struct Elapsed(Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(
            formatter,
            "{:4}:{:02}.{:03}",
            seconds / 60,
            seconds % 60,
            self.0.subsec_millis()
        )
    }
}
