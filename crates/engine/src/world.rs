//! The ports that an engine runs on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::Reporter;
use crate::ports::{Clock, Devices, Ledger, Store};

/// The world that an engine runs in: one implementation of each port.
pub trait World: Send + Sync + 'static {
    /// Reaches the devices.
    type Devices: Devices;
    /// Takes the files.
    type Store: Store;
    /// Keeps the record.
    type Ledger: Ledger;
    /// Tells the time.
    type Clock: Clock;
    /// Takes events.
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
}

/// A session with a device of that world.
pub(crate) type SessionOf<W> = <<W as World>::Devices as Devices>::Session;

/// A wish to stop, which many may look at.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks to stop: batches that are under way are finished, no new one is begun.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
