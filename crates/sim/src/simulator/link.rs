//! The link to a device. It can be slow, cut at any byte, half open, refusing, silent or a black hole.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::time::sleep;

/// The condition of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// The link works.
    #[default]
    Well,
    /// The remote port refuses connections.
    Refusing,
    /// Everything that is sent vanishes, in both directions.
    BlackHole,
    /// Requests arrive, but no reply comes back.
    HalfOpen,
    /// Connections succeed, but no later request gets a reply: the device's card hangs.
    Silent,
}

/// A link to one device. Clones share the same link.
#[derive(Debug, Clone)]
pub struct Link(Arc<Mutex<LinkState>>);

#[derive(Debug)]
struct LinkState {
    condition: Condition,
    round_trip: Duration,
    bytes_per_second: Option<u64>,
    /// The connection is cut after this many more bytes.
    cut_in: Option<u64>,
    /// Connections of an earlier generation are dead.
    generation: u64,
    /// Increases with every fault.
    disturbances: u64,
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Arrived,
    Cut,
    Vanished,
}

impl Link {
    /// A link with this round-trip time.
    pub fn new(round_trip: Duration, bytes_per_second: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(LinkState {
            condition: Condition::Well,
            round_trip,
            bytes_per_second,
            cut_in: None,
            generation: 0,
            disturbances: 0,
        })))
    }

    /// Sets the condition.
    pub fn set(&self, condition: Condition) {
        let mut state = self.lock();
        state.condition = condition;
        state.disturbances += 1;
    }

    /// The current condition.
    pub fn condition(&self) -> Condition {
        self.lock().condition
    }

    /// Cuts every current connection.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.disturbances += 1;
    }

    /// Cuts every current connection after this many more bytes.
    pub fn cut_in(&self, bytes: u64) {
        let mut state = self.lock();
        state.cut_in = Some(bytes);
        state.disturbances += 1;
    }

    /// Whether the link works and had no fault since `disturbances` was read.
    pub fn is_well_since(&self, disturbances: u64) -> bool {
        let state = self.lock();
        state.condition == Condition::Well && state.disturbances == disturbances
    }

    /// How many faults the link has had.
    pub fn disturbances(&self) -> u64 {
        self.lock().disturbances
    }

    /// Makes the link work and cancels a pending cut.
    pub fn heal(&self) {
        let mut state = self.lock();
        (state.condition, state.cut_in) = (Condition::Well, None);
    }

    /// Limits the link to this many bytes per second.
    pub fn slow_down(&self, bytes_per_second: u64) {
        self.lock().bytes_per_second = Some(bytes_per_second);
    }

    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Carries bytes one way, on a connection of this generation.
    pub(super) async fn carry(&self, generation: u64, bytes: u64, is_reply: bool) -> Delivery {
        let wait = {
            let state = self.lock();
            let sending = state
                .bytes_per_second
                .map_or(0, |rate| bytes.saturating_mul(1_000_000) / rate.max(1));
            state.round_trip / 2 + Duration::from_micros(sending)
        };
        sleep(wait).await;
        let mut state = self.lock();
        if let Some(left) = state.cut_in.as_mut() {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                state.cut_in = None;
                state.generation += 1;
                state.disturbances += 1;
            }
        }
        match state.condition {
            _ if state.generation != generation => Delivery::Cut,
            Condition::BlackHole => Delivery::Vanished,
            Condition::HalfOpen | Condition::Silent if is_reply => Delivery::Vanished,
            _ => Delivery::Arrived,
        }
    }

    pub(super) fn round_trip(&self) -> Duration {
        self.lock().round_trip
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.0.lock()
    }
}
