//! The way to a device: slow, cut at any byte, deaf on one side, or a black hole.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::time::sleep;

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// It carries.
    #[default]
    Well,
    /// Nobody listens at the other end.
    Refusing,
    /// What is sent vanishes, both ways.
    BlackHole,
    /// What is asked arrives, and no answer ever comes back.
    HalfOpen,
    /// It lets in, and nothing that is asked after that is ever answered: the device's card hangs.
    Silent,
}

/// A link to one device. Clones are the same link.
#[derive(Debug, Clone)]
pub struct Link(Arc<Mutex<LinkState>>);

#[derive(Debug)]
struct LinkState {
    condition: Condition,
    round_trip: Duration,
    bytes_per_second: Option<u64>,
    /// The connection is cut when so many more bytes have come.
    cut_in: Option<u64>,
    /// Connections of an earlier one are dead.
    generation: u64,
    /// Grows with everything that goes wrong.
    disturbances: u64,
}

/// What became of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Arrived,
    Cut,
    Vanished,
}

impl Link {
    /// A link of that round-trip time.
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

    /// Changes how it is.
    pub fn set(&self, condition: Condition) {
        let mut state = self.lock();
        state.condition = condition;
        state.disturbances += 1;
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        self.lock().condition
    }

    /// Cuts what is connected now.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.disturbances += 1;
    }

    /// Cuts what is connected once so many more bytes have come.
    pub fn cut_in(&self, bytes: u64) {
        let mut state = self.lock();
        state.cut_in = Some(bytes);
        state.disturbances += 1;
    }

    /// How it was, in a number: as long as it stays the same and the link is well, nothing has gone wrong with it.
    pub fn is_well_since(&self, disturbances: u64) -> bool {
        let state = self.lock();
        state.condition == Condition::Well && state.disturbances == disturbances
    }

    /// How often something has gone wrong with it.
    pub fn disturbances(&self) -> u64 {
        self.lock().disturbances
    }

    /// Makes it well, and forgets what was to come.
    pub fn heal(&self) {
        let mut state = self.lock();
        (state.condition, state.cut_in) = (Condition::Well, None);
    }

    /// Makes it carry so many bytes a second.
    pub fn slow_down(&self, bytes_per_second: u64) {
        self.lock().bytes_per_second = Some(bytes_per_second);
    }

    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// One way for some bytes of a connection of that generation.
    pub(super) async fn carry(&self, generation: u64, bytes: u64, is_answer: bool) -> Delivery {
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
            Condition::HalfOpen | Condition::Silent if is_answer => Delivery::Vanished,
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
