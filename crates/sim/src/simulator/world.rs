//! A fleet, its store and its collectors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::exclude::Exclude;
use engine::fleet::Bounds;
use engine::placement::{Layout, LayoutPart, NameRule};
use engine::rules::{DeviceRules, ReleaseRule, Rules};
use model::{DeviceName, LedgerId, SourcePath};

use super::clock::SimulatedClock;
use super::collector::{Collector, make_store};
use super::device::{Device, Kind};
use super::disk::SimulatedDisk;
use super::ledger::ModelLedger;
use super::link::Link;
use super::naming::{Naming, SOURCE, device_name, original_path};
use super::oracle::Oracle;
use super::power::Power;
use super::session::{Endpoint, STALL_TIMEOUT};

/// The `settle` time of this world.
pub const SETTLE: Duration = Duration::from_secs(30);

/// The `settle_blind` time of this world.
pub const SETTLE_BLIND: Duration = Duration::from_mins(10);

/// The parameters of a world.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// The kind of each device.
    pub kinds: Vec<Kind>,
    /// The number of collectors, each with its own ledger.
    pub collectors: usize,
    /// How the store names files.
    pub naming: Naming,
    /// Whether the store's file system has hard links.
    pub has_links: bool,
    /// Whether links between outermost folders of the store fail.
    pub is_divided: bool,
    /// The round-trip time to a device.
    pub round_trip: Duration,
    /// How many devices a collector works on at a time, and the size of its plans.
    pub bounds: Bounds,
    /// The rate of the links in bytes per second; `None`: unlimited.
    pub bytes_per_second: Option<u64>,
    /// Whether devices stop in the middle of a request when the connection ends.
    pub stops_with_connection: bool,
    /// The seed of the disk's numbers.
    pub seed: u64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            kinds: vec![Kind::Full],
            collectors: 1,
            naming: Naming::ByDevice,
            has_links: true,
            is_divided: false,
            round_trip: Duration::from_millis(8),
            bounds: Bounds::with_parallel(16),
            bytes_per_second: None,
            stops_with_connection: false,
            seed: 1,
        }
    }
}

/// A fleet, its store and its collectors.
#[derive(Debug, Clone)]
pub struct World {
    /// The collectors' clock, which also knows true time.
    pub clock: SimulatedClock,
    /// The disk that the store is on.
    pub disk: SimulatedDisk,
    /// Records recordings and checks the promises.
    pub oracle: Oracle,
    /// The devices by number.
    pub fleet: Vec<Device>,
    /// The links by device number.
    pub links: Vec<Link>,
    /// The collectors.
    pub collectors: Vec<Collector>,
}

/// A file that is held open, and since when.
#[derive(Debug)]
pub struct HeldFile {
    inode: u64,
    since: tokio::time::Instant,
}

impl World {
    /// Makes a world without recordings. `None` if the store could not be made.
    pub fn new(config: &WorldConfig) -> Option<Self> {
        let clock = SimulatedClock::new();
        let disk = SimulatedDisk::new(clock.clone(), config.seed);
        disk.set_store_has_links(config.has_links);
        disk.set_store_is_divided(config.is_divided);
        let store = make_store(&disk, &clock).ok()?;
        let oracle = Oracle::new(config.naming);
        let fleet: Vec<Device> = config
            .kinds
            .iter()
            .map(|kind| Device::new(*kind, clock.clone()))
            .collect();
        let links: Vec<Link> = fleet
            .iter()
            .map(|_| Link::new(config.round_trip, config.bytes_per_second))
            .collect();
        let endpoints: BTreeMap<String, Endpoint> = fleet
            .iter()
            .zip(&links)
            .enumerate()
            .map(|(number, (device, link))| {
                let endpoint = Endpoint {
                    number,
                    device: device.clone(),
                    link: link.clone(),
                };
                (device_name(number), endpoint)
            })
            .collect();
        let rules = (0..fleet.len())
            .filter_map(|number| rules(number, config.naming))
            .collect::<Vec<_>>();
        let collectors = (0..config.collectors).filter_map(|number| {
            Some(Collector {
                ledger: ModelLedger::new(LedgerId::new(format!("ledger{number}"))?),
                disk: disk.clone(),
                store: store.clone(),
                clock: clock.clone(),
                endpoints: endpoints.clone(),
                rules: rules.clone(),
                oracle: oracle.clone(),
                min_free: 0,
                bounds: config.bounds,
                stops_with_connection: config.stops_with_connection,
            })
        });
        let collectors = collectors.collect();
        Some(Self {
            clock,
            disk,
            oracle,
            fleet,
            links,
            collectors,
        })
    }

    /// Makes a finished recording on a device; it settles after `SETTLE`. Does nothing if the name is taken.
    pub fn record(&self, number: usize, path: &str, bytes: &[u8]) {
        let Some(device) = self.fleet.get(number) else {
            return;
        };
        let mut device = device.lock();
        if device.record(path.as_bytes(), bytes) {
            self.oracle
                .record_finished(number, path.as_bytes(), &Arc::new(bytes.to_vec()));
        }
    }

    /// Writes a file on a device, in place if it exists. The oracle is not informed.
    pub fn write(&self, number: usize, path: &str, bytes: &[u8]) {
        let Some(device) = self.fleet.get(number) else {
            return;
        };
        let mut device = device.lock();
        let path = path.as_bytes();
        if let Some(inode) = device.open(path).or_else(|| device.create(path)) {
            device.overwrite(inode, bytes);
            device.close(inode);
        }
    }

    /// Whether a device has a withdrawn file.
    pub fn has_withdrawn(&self, number: usize) -> bool {
        self.withdrawn(number).is_some()
    }

    /// Appends to a withdrawn file of a device and closes it: a new recording replaces the old one. Returns
    /// `false` if there is no withdrawn file.
    pub fn append_to_withdrawn(&self, number: usize, bytes: &[u8]) -> bool {
        let (Some(path), Some(device)) = (self.withdrawn(number), self.fleet.get(number)) else {
            return false;
        };
        let mut device = device.lock();
        let Some(inode) = device.open(&path) else {
            return false;
        };
        let before = device.node(inode).map(|file| Arc::clone(&file.bytes));
        device.append(inode, bytes);
        if let (Some(before), Some(after)) = (before, device.close(inode)) {
            self.oracle.record_destroyed(number, &before);
            self.oracle.record_finished(number, &original_path(&path), &after);
        }
        true
    }

    /// Opens a withdrawn file of a device for writing. `None` if there is no withdrawn file.
    pub fn hold_withdrawn(&self, number: usize) -> Option<HeldFile> {
        let path = self.withdrawn(number)?;
        let mut device = self.fleet.get(number)?.lock();
        let inode = device.open(&path)?;
        let since = tokio::time::Instant::now();
        Some(HeldFile { inode, since })
    }

    /// Whether a held file was removed although the device inspected it after it was opened.
    pub fn was_taken_while_held(&self, number: usize, held: &HeldFile) -> bool {
        let Some(device) = self.fleet.get(number) else {
            return false;
        };
        let device = device.lock();
        let inspected_at = device.node(held.inode).and_then(|file| file.inspected_at);
        !device.is_named(held.inode) && inspected_at.is_some_and(|inspected_at| inspected_at > held.since)
    }

    fn withdrawn(&self, number: usize) -> Option<Vec<u8>> {
        let device = self.fleet.get(number)?.lock();
        let mut paths = device.files().map(|(path, _)| path);
        paths.find(|path| original_path(path) != **path).cloned()
    }

    /// Holds a file of a device open for writing.
    pub fn hold(&self, number: usize, path: &str) {
        if let Some(device) = self.fleet.get(number) {
            device.lock().open(path.as_bytes());
        }
    }

    /// Closes every held file of a device.
    pub fn close_held(&self, number: usize) {
        if let Some(device) = self.fleet.get(number) {
            device.lock().close_all();
        }
    }

    /// The content of a file of a device.
    pub fn read(&self, number: usize, path: &str) -> Option<Vec<u8>> {
        let device = self.fleet.get(number)?.lock();
        device.file(path.as_bytes()).map(|(_, file)| file.bytes.to_vec())
    }

    /// Runs the checks that hold at every moment, in particular after every crash.
    pub fn check(&self) {
        self.oracle.check_no_loss(&self.fleet, &self.disk);
        self.oracle.check_store(&self.disk);
        for collector in &self.collectors {
            self.oracle.check_ledger(&collector.ledger.content(), &self.disk);
        }
    }

    /// Runs the check that holds after the faults are over and some passes were made.
    pub fn check_progress(&self) {
        self.oracle.check_progress(&self.fleet, &self.disk);
    }

    /// Connects the machine to this power, as after a kill: nothing is lost yet.
    pub fn next_process(&self, power: &Power) {
        self.disk.next_process(power.clone());
    }
}

fn rules(number: usize, naming: Naming) -> Option<DeviceRules> {
    let parts = match naming {
        Naming::ByDevice => vec![
            LayoutPart::Device,
            LayoutPart::Literal("/".to_owned()),
            LayoutPart::Path,
        ],
        Naming::Together => vec![LayoutPart::Path],
    };
    Some(DeviceRules {
        name: DeviceName::new(device_name(number)).ok()?,
        sources: vec![SourcePath::new(SOURCE).ok()?],
        rules: Rules {
            settle: SETTLE,
            settle_blind: SETTLE_BLIND,
            max_listing_time: STALL_TIMEOUT * 15,
            exclude: Exclude::default(),
            done_suffix: None,
            release: ReleaseRule::Delete,
            prune_empty: false,
            layout: Layout { parts },
            names: NameRule::Bytes,
        },
    })
}
