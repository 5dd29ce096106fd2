//! What happened in a world, in order: to be told when a promise is broken, and to see that a seed gives the same scenario again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::time::Instant;

/// The scenario so far. Clones are the same trace.
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
    /// One that keeps the last so many lines.
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

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    /// A number that stands for the whole scenario: two that differ anywhere have another one.
    pub fn fingerprint(&self) -> u64 {
        self.lock().fingerprint
    }

    /// How many lines there were.
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
