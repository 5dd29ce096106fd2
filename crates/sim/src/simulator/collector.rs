//! A collector: one machine's gleaner, from process to process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::fleet::{Bounds, SweepSummary, sweep};
use engine::ports::{Clock, StoreError};
use engine::rules::{DeviceRules, Mode};
use engine::world::{Stop, World};
use model::StoreId;
use storage::{DirectoryStore, Executor, InitOptions, StoreFolder, StoreSettings};

use super::book::Book;
use super::clock::SimulatedClock;
use super::disk::{ForgetfulDisk, STORE};
use super::ledger::ModelLedger;
use super::power::Power;
use super::session::{SimulatedDevices, Station};
use super::turns::Turns;

/// How long the ranges of a large file are here, in bytes: so that files of some kilobytes are large.
pub const RANGE_LENGTH: u64 = 4096;

/// A collector: its ledger, and the store and the fleet that it works on.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Its ledger.
    pub ledger: ModelLedger,
    /// The disk that the store is on.
    pub disk: ForgetfulDisk,
    /// The store that it remembers.
    pub store: StoreId,
    /// Its clock.
    pub clock: SimulatedClock,
    /// The fleet.
    pub stations: BTreeMap<String, Station>,
    /// What is asked of each device.
    pub rules: Vec<DeviceRules>,
    /// Where removals are checked.
    pub book: Book,
    /// Bytes that must stay free.
    pub min_free: u64,
    /// How many devices are worked on at a time, and how long plans are.
    pub bounds: Bounds,
    /// Whether devices stop in the midst of a request when the connection goes.
    pub stops_with_connection: bool,
}

/// The store that ships, on a disk that forgets.
pub type SimulatedStore = DirectoryStore<ForgetfulDisk>;

/// How a process of gleaner ended.
#[derive(Debug)]
pub enum Ended {
    /// The sweep ran to its end.
    Swept(SweepSummary, Turns),
    /// It did not begin: the store or the ledger was not fit.
    Unfit(String),
    /// The power went, or it was killed.
    Killed,
}

/// The world of one process.
struct OneProcess {
    devices: SimulatedDevices,
    store: SimulatedStore,
    ledger: ModelLedger,
    clock: SimulatedClock,
    turns: Turns,
}

impl World for OneProcess {
    type Devices = SimulatedDevices;
    type Store = SimulatedStore;
    type Ledger = ModelLedger;
    type Clock = SimulatedClock;
    type Reporter = Turns;

    fn devices(&self) -> &SimulatedDevices {
        &self.devices
    }
    fn store(&self) -> &SimulatedStore {
        &self.store
    }
    fn ledger(&self) -> &ModelLedger {
        &self.ledger
    }
    fn clock(&self) -> &SimulatedClock {
        &self.clock
    }
    fn reporter(&self) -> &Turns {
        &self.turns
    }
}

/// Makes the mounted folder a store, as `gleaner store init` does.
pub fn make_store(disk: &ForgetfulDisk, clock: &SimulatedClock) -> Result<StoreId, storage::InitError> {
    let options = InitOptions {
        local: false,
        replace: None,
        now: clock.now(),
    };
    storage::init(&Arc::new(disk.clone()), Path::new(STORE), &options).map(|made| made.id().clone())
}

impl Collector {
    /// One process that makes one sweep, on a machine whose power is this. The disk must have been connected to it.
    pub async fn sweep(&self, power: &Power) -> Ended {
        let ledger = self.ledger.next_process(power.clone());
        let store = match self.open_store() {
            _ if power.is_off() => return Ended::Killed,
            Err(error) => return Ended::Unfit(error.to_string()),
            Ok(store) => store,
        };
        let turns = Turns::begin(self.bounds.parallel);
        let world = OneProcess {
            devices: self.devices(power, &turns),
            store,
            ledger,
            clock: self.clock.clone(),
            turns: turns.clone(),
        };
        let stop = Stop::default();
        tokio::select! {
            biased;
            () = power.gone() => Ended::Killed,
            ended = sweep(&world, &self.rules, self.bounds, Mode::Act, &stop) => match ended {
                _ if power.is_off() => Ended::Killed,
                Ok(summary) => Ended::Swept(summary, turns),
                Err(error) => Ended::Unfit(error.to_string()),
            },
        }
    }

    /// The fleet, as a process on a machine of that power sees it.
    pub fn devices(&self, power: &Power, turns: &Turns) -> SimulatedDevices {
        SimulatedDevices {
            stations: self.stations.clone(),
            power: power.clone(),
            book: self.book.clone(),
            ledger: self.ledger.next_process(power.clone()),
            turns: turns.clone(),
            disk: self.disk.clone(),
            stops_with_connection: self.stops_with_connection,
        }
    }

    /// Takes the store into use.
    pub fn open_store(&self) -> Result<SimulatedStore, StoreError> {
        let folder = StoreFolder::open(Arc::new(self.disk.clone()), Path::new(STORE), Some(&self.store))?;
        let settings = StoreSettings {
            ledger: engine::ports::Ledger::id(&self.ledger).clone(),
            min_free: self.min_free,
            file_mode: Some(0o640),
            dir_mode: None,
            range_length: RANGE_LENGTH,
            executor: Executor::inline(),
            clock: Arc::new(self.clock.clone()),
        };
        DirectoryStore::open(folder, settings)
    }
}

/// How long after a fault the next process begins.
pub const RESTARTED_AFTER: Duration = Duration::from_secs(5);
