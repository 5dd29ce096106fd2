//! A collector: gleaner on one machine, across its processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::fleet::{Bounds, SweepSummary, sweep};
use engine::ports::{Clock, StoreError};
use engine::rules::{DeviceRules, Mode};
use engine::world::{Stop, World};
use model::{CollectorId, StoreId};
use storage::{DirectoryStore, Executor, InitOptions, StoreFolder, StoreSettings};

use super::clock::SimulatedClock;
use super::disk::{STORE, SimulatedDisk};
use super::ledger::ModelLedger;
use super::oracle::Oracle;
use super::power::Power;
use super::session::{Endpoint, SimulatedDevices};
use super::timing::SweepTiming;

/// The range length for large files in bytes. Small, so that files of a few kilobytes count as large.
pub const RANGE_LENGTH: u64 = 4096;

/// A collector: its ledger, and the store and the fleet that it works on.
#[derive(Debug, Clone)]
pub struct Collector {
    /// The collector's ledger.
    pub ledger: ModelLedger,
    /// The disk that the store is on.
    pub disk: SimulatedDisk,
    /// The id of the store that the collector expects.
    pub store: StoreId,
    /// The collector's clock.
    pub clock: SimulatedClock,
    /// The fleet.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The rules for each device.
    pub rules: Vec<DeviceRules>,
    /// Checks removals.
    pub oracle: Oracle,
    /// Bytes that must stay free in the store.
    pub min_free: u64,
    /// How many devices the collector works on at a time, and the size of its plans.
    pub bounds: Bounds,
    /// Whether devices stop in the middle of a request when the connection ends.
    pub stops_with_connection: bool,
}

/// The shipped store on the simulated disk.
pub type SimulatedStore = DirectoryStore<SimulatedDisk>;

/// How a process of gleaner ended.
#[derive(Debug)]
pub enum ProcessEnd {
    /// The sweep ran to its end.
    Swept(SweepSummary, SweepTiming),
    /// The sweep did not begin: the store or the ledger was unusable.
    Unusable(String),
    /// The power was cut, or the process was killed.
    Killed,
}

/// The ports of one process.
struct OneProcess {
    devices: SimulatedDevices,
    store: SimulatedStore,
    ledger: ModelLedger,
    clock: SimulatedClock,
    timing: SweepTiming,
}

impl World for OneProcess {
    type Devices = SimulatedDevices;
    type Store = SimulatedStore;
    type Ledger = ModelLedger;
    type Clock = SimulatedClock;
    type Reporter = SweepTiming;

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
    fn reporter(&self) -> &SweepTiming {
        &self.timing
    }
}

/// Turns the mounted folder into a store, as `gleaner store init` does.
pub fn make_store(disk: &SimulatedDisk, clock: &SimulatedClock) -> Result<StoreId, storage::InitError> {
    let options = InitOptions {
        local: false,
        replace: None,
        now: clock.now(),
    };
    storage::init(&Arc::new(disk.clone()), Path::new(STORE), &options).map(|made| made.id().clone())
}

impl Collector {
    /// Runs one process that makes one sweep, on a machine with this power. The disk must be connected to the
    /// same power.
    pub async fn sweep(&self, power: &Power) -> ProcessEnd {
        let ledger = self.ledger.next_process(power.clone());
        let store = match self.open_store() {
            _ if power.is_off() => return ProcessEnd::Killed,
            Err(error) => return ProcessEnd::Unusable(error.to_string()),
            Ok(store) => store,
        };
        let timing = SweepTiming::begin(self.bounds.parallel);
        let world = OneProcess {
            devices: self.devices(power, &timing),
            store,
            ledger,
            clock: self.clock.clone(),
            timing: timing.clone(),
        };
        let stop = Stop::default();
        tokio::select! {
            biased;
            () = power.wait_until_off() => ProcessEnd::Killed,
            ended = sweep(&world, &self.rules, self.bounds, Mode::Act, &stop) => match ended {
                _ if power.is_off() => ProcessEnd::Killed,
                Ok(summary) => ProcessEnd::Swept(summary, timing),
                Err(error) => ProcessEnd::Unusable(error.to_string()),
            },
        }
    }

    /// The fleet as a process on a machine with this power sees it.
    pub fn devices(&self, power: &Power, timing: &SweepTiming) -> SimulatedDevices {
        SimulatedDevices {
            endpoints: self.endpoints.clone(),
            power: power.clone(),
            oracle: self.oracle.clone(),
            ledger: self.ledger.next_process(power.clone()),
            timing: timing.clone(),
            disk: self.disk.clone(),
            stops_with_connection: self.stops_with_connection,
        }
    }

    /// Opens the store.
    pub fn open_store(&self) -> Result<SimulatedStore, StoreError> {
        let folder = StoreFolder::open(Arc::new(self.disk.clone()), Path::new(STORE), Some(&self.store))?;
        let settings = StoreSettings {
            collector: CollectorId::from(engine::ports::Ledger::id(&self.ledger)),
            former_staging: None,
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

/// The time between a fault and the start of the next process.
pub const RESTARTED_AFTER: Duration = Duration::from_secs(5);
