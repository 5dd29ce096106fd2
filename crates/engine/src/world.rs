//! The ports that an engine runs on.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::event::{Event, Reporter};
use crate::ports::{Clock, Devices, Ledger, Store};

/// One implementation of each port.
pub trait World: Send + Sync + 'static {
    /// Connects to devices.
    type Devices: Devices;
    /// Stores the files.
    type Store: Store;
    /// Records what happened to each file.
    type Ledger: Ledger;
    /// The wall clock.
    type Clock: Clock;
    /// Consumes events.
    type Reporter: Reporter;

    /// The devices.
    fn devices(&self) -> &Self::Devices;
    /// The store.
    fn store(&self) -> &Self::Store;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The reporter.
    fn reporter(&self) -> &Self::Reporter;

    /// Reports an event, with the present time.
    fn report(&self, event: &Event) {
        self.reporter().report(self.clock().now(), event);
    }
}

/// The session type of a world.
pub(crate) type SessionOf<W> = <<W as World>::Devices as Devices>::Session;

/// A request to stop, shared by everything that runs.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// Requests a stop: batches in progress are finished, and no new one begins.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Waits until a stop is requested.
    pub async fn requested(&self) {
        loop {
            // Created before the check: a request in between wakes it.
            let changed = self.changed.notified();
            if self.is_requested() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_wakes_everybody_who_waits_for_it_and_stays_requested() {
        let stop = Stop::default();
        assert!(!stop.is_requested());
        tokio::join!(stop.requested(), stop.requested(), async { stop.request() });
        stop.requested().await;
        assert!(stop.is_requested());
    }
}
