//! The simulator's world with one collector, and the helpers to act on it and to observe it.

use std::sync::Arc;
use std::time::Duration;

use engine::event::{Event, Reporter};
use engine::fleet::{Bounds, Chosen, SweepSummary, sweep_some};
use engine::plan::oldest::PlanBytes;
use engine::ports::{Ledger as _, PassLease, Reason};
use engine::rules::{DeviceRules, Mode};
use engine::world::{Stop, World};
use model::{FileState, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use sim::simulator::clock::SimulatedClock;
use sim::simulator::device::{DeviceState, Kind, Request};
use sim::simulator::ledger::{LedgerContent, ModelLedger};
use sim::simulator::naming::Naming;
use sim::simulator::power::Power;
use sim::simulator::session::SimulatedDevices;
use sim::simulator::timing::SweepTiming;
use sim::simulator::world::{World as SimulatedWorld, WorldConfig};
use tokio::time::sleep;

use crate::store::{ProbedStore, StoreProbe};

/// A store with the file names of the devices, and devices that show their open files. Every sweep is a new
/// process.
pub(crate) struct TestWorld {
    pub(crate) sim: SimulatedWorld,
    /// The rules of the first device.
    pub(crate) rules: DeviceRules,
    pub(crate) probe: Arc<Mutex<StoreProbe>>,
    events: Events,
}

impl TestWorld {
    pub(crate) fn new() -> Self {
        Self::with_devices(1)
    }

    pub(crate) fn with_devices(count: usize) -> Self {
        let sim = SimulatedWorld::new(&WorldConfig {
            kinds: vec![Kind::Full; count],
            naming: Naming::Together,
            ..WorldConfig::default()
        });
        let sim = sim.unwrap();
        Self {
            rules: sim.collectors[0].rules[0].clone(),
            sim,
            probe: Arc::default(),
            events: Events::default(),
        }
    }

    /// A world with finished files on the first device.
    pub(crate) fn with_files(files: &[(&str, &[u8])]) -> Self {
        let world = Self::new();
        for (path, content) in files {
            world.sim.record(0, path, content);
        }
        world
    }

    /// The state of the first device. Must not be held across an await.
    pub(crate) fn device(&self) -> MutexGuard<'_, DeviceState> {
        self.sim.fleet[0].lock()
    }

    /// Controls and observations of the store.
    pub(crate) fn store(&self) -> MutexGuard<'_, StoreProbe> {
        self.probe.lock()
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.0.lock()
    }

    pub(crate) fn ledger(&self) -> &ModelLedger {
        &self.sim.collectors[0].ledger
    }

    /// Begins a pass over the first device, which never ends.
    pub(crate) async fn begin_pass(&self) -> PassLease {
        let begun = self.ledger().begin_pass(&self.rules.name, Timestamp::EPOCH);
        begun.await.unwrap()
    }

    pub(crate) fn recorded(&self) -> LedgerContent {
        self.ledger().content()
    }

    /// Sweeps after all present files have settled.
    pub(crate) async fn sweep(&self) -> SweepSummary {
        self.sweep_in(Mode::Act).await
    }

    pub(crate) async fn sweep_in(&self, mode: Mode) -> SweepSummary {
        self.sweep_within(Bounds::with_parallel(4), mode).await
    }

    pub(crate) async fn sweep_within(&self, bounds: Bounds, mode: Mode) -> SweepSummary {
        sleep(Duration::from_mins(1)).await;
        self.sweep_now(std::slice::from_ref(&self.rules), bounds, mode)
            .await
    }

    /// Sweeps now, over these devices as the only configured ones.
    pub(crate) async fn sweep_now(
        &self,
        devices: &[DeviceRules],
        bounds: Bounds,
        mode: Mode,
    ) -> SweepSummary {
        let chosen = Chosen {
            visited: devices,
            configured: devices,
        };
        self.sweep_chosen(chosen, bounds, mode).await
    }

    /// Sweeps now, over some of the configured devices.
    pub(crate) async fn sweep_chosen(&self, chosen: Chosen<'_>, bounds: Bounds, mode: Mode) -> SweepSummary {
        let power = Power::default();
        self.sim.next_process(&power);
        let collector = &self.sim.collectors[0];
        let process = Process {
            devices: collector.devices(&power, &SweepTiming::begin(bounds.parallel)),
            store: ProbedStore::new(collector.open_store().unwrap(), &self.sim.disk, &self.probe),
            ledger: collector.ledger.clone(),
            clock: collector.clock.clone(),
            events: self.events.clone(),
        };
        let summary = sweep_some(&process, chosen, bounds, mode, &Stop::default()).await;
        assert_eq!(self.sim.oracle.breaches(), [""; 0]);
        summary.unwrap()
    }

    /// From now on every request of this kind ends the session with this failure. `None`: no request does.
    pub(crate) fn fail_session_at(&self, at: impl Into<Option<(Request, model::FailureClass)>>) {
        self.device().faults.ends_at = at.into();
    }

    /// Records a file while the clock of its device is ahead. Its times cannot be trusted later.
    pub(crate) fn record_in_the_future(&self, number: usize, path: &str) {
        let device = &self.sim.fleet[number];
        device.lock().clock_off = HOUR;
        self.sim.record(number, path, b"one");
        device.lock().clock_off = 0;
    }

    /// Limits the store to this many further bytes.
    pub(crate) fn leave_room(&self, bytes: u64) {
        let used = self.sim.disk.store_used();
        self.sim.disk.set_store_capacity(Some(used + bytes));
    }

    pub(crate) fn on_device(&self) -> Vec<String> {
        paths(&self.device())
    }

    pub(crate) fn in_store(&self) -> Vec<(String, String)> {
        let names = self.sim.disk.visible().into_keys();
        let content = |name: &[u8]| text(&self.sim.disk.read(name).unwrap());
        names.map(|name| (text(&name), content(&name))).collect()
    }

    /// How many requests of this kind the first device has received.
    pub(crate) fn request_count(&self, request: Request) -> usize {
        self.device().requests.count(request)
    }

    pub(crate) fn states(&self) -> Vec<FileState> {
        self.recorded().rows.iter().map(|row| row.state).collect()
    }

    /// The details reported with the files that were left.
    pub(crate) fn details(&self) -> Vec<String> {
        let events = self.events();
        let left = events.iter().filter_map(|event| match event {
            Event::LeftBehind { detail, .. } => detail.clone(),
            _ => None,
        });
        left.collect()
    }

    /// The released files, in order.
    pub(crate) fn released(&self) -> Vec<String> {
        let events = self.events();
        let released = events.iter().filter_map(|event| match event {
            Event::Released { path, .. } => Some(path.to_string()),
            _ => None,
        });
        released.collect()
    }
}

/// One hour in nanoseconds.
pub(crate) const HOUR: i64 = 3_600_000_000_000;

/// Bounds whose plans hold ten files.
pub(crate) fn ten_file_plans() -> Bounds {
    let plans = PlanBytes {
        own: 1_680,
        shared: 0,
        ..PlanBytes::default()
    };
    Bounds {
        plans,
        ..Bounds::with_parallel(1)
    }
}

pub(crate) fn reasons(summary: &SweepSummary) -> Vec<Reason> {
    let remaining = summary.passes[0].1.remaining.as_ref().unwrap();
    remaining.totals.iter().map(|(reason, ..)| *reason).collect()
}

pub(crate) fn stored_file(name: &str, content: &str) -> (String, String) {
    (name.into(), content.into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn paths(device: &DeviceState) -> Vec<String> {
    device.files().map(|(path, _)| text(path)).collect()
}

/// The current path of the file whose path ends with `name`.
fn path_of(device: &DeviceState, name: &str) -> Vec<u8> {
    let mut paths = device.files().map(|(path, _)| path);
    paths
        .find(|path| path.ends_with(name.as_bytes()))
        .unwrap()
        .clone()
}

/// Overwrites a file at its current path and restores its mtime. Only its ctime changes.
pub(crate) fn overwrite(device: &mut DeviceState, name: &str, content: &[u8]) {
    let path = path_of(device, name);
    let modified = device.file(&path).unwrap().1.modified;
    let inode = device.open(&path).unwrap();
    device.overwrite(inode, content);
    device.close(inode);
    let ago = device.now().since(modified);
    device.set_modified(&path, ago);
}

/// Opens a file for writing at its current path.
pub(crate) fn open_for_writing(device: &mut DeviceState, name: &str) {
    let path = path_of(device, name);
    device.open(&path).unwrap();
}

/// Removes every file whose path ends with `end`, as the device's owner may do.
pub(crate) fn remove_files(device: &mut DeviceState, end: &str) {
    let mut removed = paths(device);
    removed.retain(|path| path.ends_with(end));
    for path in removed {
        device.remove(path.as_bytes()).unwrap();
    }
}

/// One process of gleaner.
struct Process {
    devices: SimulatedDevices,
    store: ProbedStore,
    ledger: ModelLedger,
    clock: SimulatedClock,
    events: Events,
}

impl World for Process {
    type Devices = SimulatedDevices;
    type Store = ProbedStore;
    type Ledger = ModelLedger;
    type Clock = SimulatedClock;
    type Reporter = Events;

    fn devices(&self) -> &SimulatedDevices {
        &self.devices
    }
    fn store(&self) -> &ProbedStore {
        &self.store
    }
    fn ledger(&self) -> &ModelLedger {
        &self.ledger
    }
    fn clock(&self) -> &SimulatedClock {
        &self.clock
    }
    fn reporter(&self) -> &Events {
        &self.events
    }
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Reporter for Events {
    fn report(&self, _: Timestamp, event: &Event) {
        self.0.lock().push(event.clone());
    }
}
