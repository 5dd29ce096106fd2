//! The power of the collector's machine. It counts every effect and can be cut after any of them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use rustix::io::Errno;
use tokio::sync::Notify;

use super::trace::Trace;

/// Counts effects on disk, ledger and devices, and stops everything after a given effect. Clones share the
/// same power.
#[derive(Debug, Clone, Default)]
pub struct Power(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<PowerState>,
    off: Notify,
}

#[derive(Debug, Default)]
struct PowerState {
    effects: u64,
    cut_after: Option<u64>,
    is_off: bool,
    failures: VecDeque<(u64, Errno)>,
    trace: Trace,
}

impl Power {
    /// Power that is cut after this many effects.
    pub fn cut_after(effects: u64) -> Self {
        let power = Self::default();
        power.lock().cut_after = Some(effects);
        power
    }

    /// Makes the nth effect fail with an error and do nothing.
    #[must_use]
    pub fn with_failures(self, mut failures: Vec<(u64, Errno)>) -> Self {
        failures.sort_by_key(|(at, _)| *at);
        self.lock().failures = failures.into();
        self
    }

    /// Adds every effect to a trace.
    #[must_use]
    pub fn with_trace(self, trace: &Trace) -> Self {
        self.lock().trace = trace.clone();
        self
    }

    /// Performs an effect. Does nothing if the power is off. If the power is cut by this very effect, the
    /// effect happens but the caller gets an error.
    pub(crate) fn effect<T>(
        &self,
        what: impl FnOnce() -> String,
        act: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        {
            let mut state = self.lock();
            if state.is_off {
                return Err(Errno::IO);
            }
            state.effects += 1;
            let count = state.effects;
            state.trace.log(&what());
            if let Some((_, errno)) = state.failures.front().copied().filter(|(at, _)| *at <= count) {
                state.failures.pop_front();
                return Err(errno);
            }
        }
        let result = act();
        let mut state = self.lock();
        if state.cut_after.is_some_and(|last| last <= state.effects) {
            state.is_off = true;
            self.0.off.notify_waiters();
            return Err(Errno::IO);
        }
        result
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        self.lock().is_off = true;
        self.0.off.notify_waiters();
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.lock().is_off
    }

    /// Returns once the power is off.
    pub async fn wait_until_off(&self) {
        let off = self.0.off.notified();
        if !self.is_off() {
            off.await;
        }
    }

    /// The number of effects so far.
    pub fn effects(&self) -> u64 {
        self.lock().effects
    }

    /// The last few effects, oldest first.
    pub fn last_effects(&self) -> Vec<String> {
        self.lock().trace.lines()
    }

    fn lock(&self) -> MutexGuard<'_, PowerState> {
        self.0.state.lock()
    }
}
