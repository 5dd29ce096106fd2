//! The power of the collector's machine: every effect counts, and it can be cut after any of them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use rustix::io::Errno;
use tokio::sync::Notify;

use super::trace::Trace;

/// Counts what is done to disk, ledger and devices, and stops everything after a given effect. Clones are the same.
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
    /// Power that goes after that many effects.
    pub fn cut_after(effects: u64) -> Self {
        let power = Self::default();
        power.lock().cut_after = Some(effects);
        power
    }

    /// The same, under which the nth effect fails with an error, and does nothing.
    #[must_use]
    pub fn with_failures(self, mut failures: Vec<(u64, Errno)>) -> Self {
        failures.sort_by_key(|(at, _)| *at);
        self.lock().failures = failures.into();
        self
    }

    /// The same, telling its effects to a trace.
    #[must_use]
    pub fn with_trace(self, trace: &Trace) -> Self {
        self.lock().trace = trace.clone();
        self
    }

    /// Does something to the world: nothing if the power is gone. If it goes just then, the thing is done and nobody is told.
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

    /// Whether it is gone.
    pub fn is_off(&self) -> bool {
        self.lock().is_off
    }

    /// Returns when it is gone.
    pub async fn wait_until_off(&self) {
        let off = self.0.off.notified();
        if !self.is_off() {
            off.await;
        }
    }

    /// How many effects there were.
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
