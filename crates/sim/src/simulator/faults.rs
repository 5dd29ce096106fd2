//! Faults that are injected while devices record and collectors gather. `FAULTS.md` describes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::WriterCheck;
use rustix::io::Errno;
use tokio::time::sleep;

use super::collector::make_store;
use super::disk::{CrashLoss, DiskFaults};
use super::link::Condition;
use super::naming::original_path;
use super::power::Power;
use super::rng::Rng;
use super::trace::Trace;
use super::world::World;

/// A fault that is injected during sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    LinkCut,
    LinkCutAtByte,
    LinkRefusing,
    LinkBlackHole,
    LinkHalfOpen,
    LinkSilent,
    DeviceReboots,
    DeviceClockJumps,
    DeviceFull,
    DeviceReadsWrong,
    DeviceDigestsWrong,
    DeviceHidesWriters,
    StoreFull,
    StoreReadOnly,
    StoreUnmounted,
    OtherStoreMounted,
    DiskCorruptsFlush,
    DiskFailsFlush,
    DiskStopsAtFolderFlush,
    LedgerFails,
    CollectorKilled,
    CollectorClockJumps,
}

const ALL: [Fault; 22] = [
    Fault::LinkCut,
    Fault::LinkCutAtByte,
    Fault::LinkRefusing,
    Fault::LinkBlackHole,
    Fault::LinkHalfOpen,
    Fault::LinkSilent,
    Fault::DeviceReboots,
    Fault::DeviceClockJumps,
    Fault::DeviceFull,
    Fault::DeviceReadsWrong,
    Fault::DeviceDigestsWrong,
    Fault::DeviceHidesWriters,
    Fault::StoreFull,
    Fault::StoreReadOnly,
    Fault::StoreUnmounted,
    Fault::OtherStoreMounted,
    Fault::DiskCorruptsFlush,
    Fault::DiskFailsFlush,
    Fault::DiskStopsAtFolderFlush,
    Fault::LedgerFails,
    Fault::CollectorKilled,
    Fault::CollectorClockJumps,
];

/// The number of injected faults by kind.
pub type Tally = BTreeMap<String, u64>;

/// Injects faults into a world at random moments. Clones share their counts.
#[derive(Debug, Clone)]
pub struct Injector {
    world: World,
    trace: Trace,
    tally: Arc<Mutex<Tally>>,
    power: Arc<Mutex<Power>>,
}

impl Injector {
    /// An injector that has injected nothing yet.
    pub fn new(world: World, trace: Trace) -> Self {
        Self {
            world,
            trace,
            tally: Arc::default(),
            power: Arc::default(),
        }
    }

    /// Sets the power of the collector's machine in the current process.
    pub fn set_power(&self, power: &Power) {
        *lock(&self.power) = power.clone();
    }

    /// Counts a fault and adds it to the trace.
    pub fn record(&self, kind: &str, detail: &str) {
        *lock(&self.tally).entry(kind.to_owned()).or_default() += 1;
        self.trace.log(&format!("*** {kind} {detail}"));
    }

    /// The number of faults by kind.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Injects one fault after the other until it is dropped. `max_pause` is the longest pause between two.
    pub async fn run(self, mut rng: Rng, max_pause: Duration) {
        loop {
            sleep(rng.duration(Duration::from_millis(10), max_pause)).await;
            if let Some(fault) = rng.choose(&ALL).copied() {
                self.inject(fault, &mut rng);
            }
        }
    }

    fn inject(&self, fault: Fault, rng: &mut Rng) {
        let number = rng.index(self.world.fleet.len());
        let detail = match fault {
            Fault::LinkCut
            | Fault::LinkCutAtByte
            | Fault::LinkRefusing
            | Fault::LinkBlackHole
            | Fault::LinkHalfOpen
            | Fault::LinkSilent => self.inject_link_fault(fault, number, rng),
            Fault::DeviceReboots
            | Fault::DeviceClockJumps
            | Fault::DeviceFull
            | Fault::DeviceReadsWrong
            | Fault::DeviceDigestsWrong
            | Fault::DeviceHidesWriters => self.inject_device_fault(fault, number, rng),
            _ => self.inject_collector_fault(fault, rng),
        };
        self.record(&format!("{fault:?}"), &detail);
    }

    fn inject_link_fault(&self, fault: Fault, number: usize, rng: &mut Rng) -> String {
        let Some(link) = self.world.links.get(number).cloned() else {
            return String::new();
        };
        let duration = rng.duration(Duration::from_secs(1), Duration::from_secs(200));
        match fault {
            Fault::LinkCut => link.cut(),
            Fault::LinkCutAtByte => link.cut_in(rng.below(20_000)),
            Fault::LinkRefusing => link.set(Condition::Refusing),
            Fault::LinkBlackHole => link.set(Condition::BlackHole),
            Fault::LinkSilent => link.set(Condition::Silent),
            _ => link.set(Condition::HalfOpen),
        }
        if !matches!(fault, Fault::LinkCut | Fault::LinkCutAtByte) {
            let link = link.clone();
            later(duration, move || {
                link.heal();
                // The server discards the requests that it could not answer.
                link.cut();
            });
        }
        format!("of device {number}")
    }

    fn inject_device_fault(&self, fault: Fault, number: usize, rng: &mut Rng) -> String {
        let (Some(device), Some(link)) = (self.world.fleet.get(number), self.world.links.get(number)) else {
            return String::new();
        };
        let duration = rng.duration(Duration::from_secs(1), Duration::from_mins(5));
        let mut state = device.lock();
        match fault {
            Fault::DeviceReboots => {
                // A clock without a battery resumes at its last saved time, until the time is set again.
                let behind = -i64::try_from(rng.below(3600)).unwrap_or_default() * 1_000_000_000;
                state.reboot(behind);
                self.world
                    .oracle
                    .record_card_loss(number, &state, &self.world.disk);
                link.cut();
                set_clock_later(device.clone(), duration);
            }
            Fault::DeviceClockJumps => {
                let seconds = i64::try_from(rng.below(20_000)).unwrap_or_default() - 10_000;
                if state.writer_check() == WriterCheck::Blind {
                    if state.files().any(|(_, file)| file.writers > 0) {
                        return format!("device {number}: left out, an invisible writer has a file open");
                    }
                    // A file that a camera will append to looks settled from now on, and may be gathered as
                    // it is.
                    for (path, file) in state.files() {
                        self.world
                            .oracle
                            .record_content(number, &original_path(path), &file.bytes);
                    }
                }
                (state.clock_off, state.clock_jumped) = (seconds * 1_000_000_000, true);
                set_clock_later(device.clone(), duration);
            }
            Fault::DeviceFull => {
                state.is_full = true;
                let device = device.clone();
                later(duration, move || device.lock().is_full = false);
            }
            Fault::DeviceReadsWrong if state.abilities.digests => state.wrong_reads += 1,
            Fault::DeviceDigestsWrong => state.wrong_digests += 1,
            Fault::DeviceHidesWriters => {
                state.hides_writers = true;
                let device = device.clone();
                later(duration, move || device.lock().hides_writers = false);
            }
            _ => {}
        }
        format!("device {number}")
    }

    fn inject_collector_fault(&self, fault: Fault, rng: &mut Rng) -> String {
        let disk = self.world.disk.clone();
        let duration = rng.duration(Duration::from_secs(1), Duration::from_secs(200));
        match fault {
            Fault::StoreFull => {
                disk.set_store_capacity(Some(disk.store_used() + rng.below(5000)));
                later(duration, move || disk.set_store_capacity(None));
            }
            Fault::StoreReadOnly => {
                disk.set_store_read_only(true);
                later(duration, move || disk.set_store_read_only(false));
            }
            Fault::StoreUnmounted => {
                disk.unmount_store();
                later(duration, move || disk.mount_store());
            }
            Fault::OtherStoreMounted => {
                disk.mount_other_volume();
                // This is a store too, with another id; unless the power is cut just then.
                drop(make_store(&disk, &self.world.clock));
                later(duration, move || disk.mount_store());
            }
            Fault::DiskCorruptsFlush => disk.set_faults(DiskFaults {
                corrupts_next_flush: true,
                ..DiskFaults::default()
            }),
            Fault::DiskFailsFlush => {
                let errno = rng.choose(&[Errno::IO, Errno::NOSPC, Errno::DQUOT]).copied();
                disk.set_faults(DiskFaults {
                    fails_next_flush: errno,
                    short_transfers: rng.one_in(2),
                    ..DiskFaults::default()
                });
            }
            Fault::DiskStopsAtFolderFlush => {
                disk.set_faults(DiskFaults {
                    stops_at_folder_flush: Some(rng.below(4)),
                    ..DiskFaults::default()
                });
                let loss = CrashLoss::Random(rng.split());
                later(duration, move || disk.mount_store_anew(loss));
            }
            Fault::LedgerFails => {
                let at = rng.index(self.world.collectors.len());
                if let Some(collector) = self.world.collectors.get(at).cloned() {
                    collector.ledger.set_failing(true);
                    later(duration, move || collector.ledger.set_failing(false));
                }
            }
            Fault::CollectorKilled => lock(&self.power).cut(),
            Fault::CollectorClockJumps => {
                let seconds = i64::try_from(rng.below(8000)).unwrap_or_default() - 4000;
                self.world.clock.jump(seconds * 1_000_000_000);
            }
            _ => {}
        }
        String::new()
    }
}

/// Sets the device's clock right again, as a time server does.
fn set_clock_later(device: super::device::Device, after: Duration) {
    later(after, move || {
        let mut state = device.lock();
        (state.clock_off, state.clock_jumped) = (0, false);
    });
}

fn later(after: Duration, what: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        sleep(after).await;
        what();
    });
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock()
}
