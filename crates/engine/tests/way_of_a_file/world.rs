//! The simulator's world with one collector, and what a test does and sees there.

use std::sync::Arc;
use std::time::Duration;

use engine::event::{Event, Reporter};
use engine::fleet::{Bounds, Chosen, SweepSummary, sweep_some};
use engine::plan::oldest::PlanBytes;
use engine::ports::Reason;
use engine::rules::{DeviceRules, Mode};
use engine::world::{Stop, World};
use model::FileState;
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

use crate::store::{Watch, WatchedStore};

/// A store that names files as their devices do, and devices on which everything can be seen. Every sweep is a
/// process of its own.
pub(crate) struct TestWorld {
    pub(crate) sim: SimulatedWorld,
    /// Of the first device.
    pub(crate) rules: DeviceRules,
    pub(crate) watch: Arc<Mutex<Watch>>,
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
            watch: Arc::default(),
            events: Events::default(),
        }
    }

    /// Finished files on the first device.
    pub(crate) fn with_files(files: &[(&str, &[u8])]) -> Self {
        let world = Self::new();
        for (path, content) in files {
            world.sim.record(0, path, content);
        }
        world
    }

    /// The first device. Not to be held while anything is waited for.
    pub(crate) fn device(&self) -> MutexGuard<'_, DeviceState> {
        self.sim.fleet[0].lock()
    }

    /// What a test wants of the store, and sees of it.
    pub(crate) fn store(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock()
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.0.lock()
    }

    pub(crate) fn ledger(&self) -> &ModelLedger {
        &self.sim.collectors[0].ledger
    }

    pub(crate) fn recorded(&self) -> LedgerContent {
        self.ledger().content()
    }

    /// Sweeps once all that is there has settled.
    pub(crate) async fn sweep(&self) -> SweepSummary {
        self.run(Mode::Act).await
    }

    pub(crate) async fn run(&self, mode: Mode) -> SweepSummary {
        self.run_within(Bounds::with_parallel(4), mode).await
    }

    pub(crate) async fn run_within(&self, bounds: Bounds, mode: Mode) -> SweepSummary {
        sleep(Duration::from_mins(1)).await;
        self.visit(std::slice::from_ref(&self.rules), bounds, mode).await
    }

    /// Sweeps now.
    pub(crate) async fn visit(&self, devices: &[DeviceRules], bounds: Bounds, mode: Mode) -> SweepSummary {
        let chosen = Chosen {
            visited: devices,
            configured: devices,
        };
        self.visit_some(chosen, bounds, mode).await
    }

    /// Sweeps now over some of the devices that are configured.
    pub(crate) async fn visit_some(&self, chosen: Chosen<'_>, bounds: Bounds, mode: Mode) -> SweepSummary {
        let power = Power::default();
        self.sim.next_process(&power);
        let collector = &self.sim.collectors[0];
        let process = Process {
            devices: collector.devices(&power, &SweepTiming::begin(bounds.parallel)),
            store: WatchedStore::new(collector.open_store().unwrap(), &self.sim.disk, &self.watch),
            ledger: collector.ledger.clone(),
            clock: collector.clock.clone(),
            events: self.events.clone(),
        };
        let summary = sweep_some(&process, chosen, bounds, mode, &Stop::default()).await;
        assert_eq!(self.sim.oracle.breaches(), [""; 0]);
        summary.unwrap()
    }

    /// Every request of that kind ends the session with such a failure; none any more.
    pub(crate) fn ends_at(&self, at: impl Into<Option<(Request, model::FailureClass)>>) {
        self.device().faults.ends_at = at.into();
    }

    /// A file that was written while the clock of its device was ahead: it says nothing of this file.
    pub(crate) fn record_in_the_future(&self, number: usize, path: &str) {
        let device = &self.sim.fleet[number];
        device.lock().clock_off = HOUR;
        self.sim.record(number, path, b"one");
        device.lock().clock_off = 0;
    }

    /// Leaves room for so many bytes more in the store.
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

    /// How often the first device was asked for that.
    pub(crate) fn asked(&self, request: Request) -> usize {
        self.device().requests.count(request)
    }

    pub(crate) fn states(&self) -> Vec<FileState> {
        self.recorded().rows.iter().map(|(_, state)| *state).collect()
    }

    /// What was said of the files that were left.
    pub(crate) fn details(&self) -> Vec<String> {
        let events = self.events();
        let left = events.iter().filter_map(|event| match event {
            Event::LeftBehind { detail, .. } => detail.clone(),
            _ => None,
        });
        left.collect()
    }

    /// The files that were released, in order.
    pub(crate) fn released(&self) -> Vec<String> {
        let events = self.events();
        let released = events.iter().filter_map(|event| match event {
            Event::Released { path, .. } => Some(path.to_string()),
            _ => None,
        });
        released.collect()
    }
}

/// In nanoseconds.
pub(crate) const HOUR: i64 = 3_600_000_000_000;

/// Plans of ten files.
pub(crate) fn short_plans() -> Bounds {
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

pub(crate) fn pair(name: &str, content: &str) -> (String, String) {
    (name.into(), content.into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn paths(device: &DeviceState) -> Vec<String> {
    device.files().map(|(path, _)| text(path)).collect()
}

/// Where a file lies now.
fn path_of(device: &DeviceState, name: &str) -> Vec<u8> {
    let mut paths = device.files().map(|(path, _)| path);
    paths
        .find(|path| path.ends_with(name.as_bytes()))
        .unwrap()
        .clone()
}

/// Writes to a file wherever it lies now, and sets its mtime as it was: only its ctime tells.
pub(crate) fn write(device: &mut DeviceState, name: &str, content: &[u8]) {
    let path = path_of(device, name);
    let modified = device.file(&path).unwrap().1.modified;
    let inode = device.open(&path).unwrap();
    device.overwrite(inode, content);
    device.close(inode);
    let ago = device.now().since(modified);
    device.set_modified(&path, ago);
}

/// Opens a file for writing, wherever it lies now.
pub(crate) fn hold(device: &mut DeviceState, name: &str) {
    let path = path_of(device, name);
    device.open(&path).unwrap();
}

/// The owner takes away every file whose path ends like this.
pub(crate) fn take_away(device: &mut DeviceState, end: &str) {
    let mut taken = paths(device);
    taken.retain(|path| path.ends_with(end));
    for path in taken {
        device.remove(path.as_bytes()).unwrap();
    }
}

/// One process of gleaner.
struct Process {
    devices: SimulatedDevices,
    store: WatchedStore,
    ledger: ModelLedger,
    clock: SimulatedClock,
    events: Events,
}

impl World for Process {
    type Devices = SimulatedDevices;
    type Store = WatchedStore;
    type Ledger = ModelLedger;
    type Clock = SimulatedClock;
    type Reporter = Events;

    fn devices(&self) -> &SimulatedDevices {
        &self.devices
    }
    fn store(&self) -> &WatchedStore {
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
    fn report(&self, event: &Event) {
        self.0.lock().push(event.clone());
    }
}
