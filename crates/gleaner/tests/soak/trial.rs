//! One trial: a fleet, several rounds of faults on it, and the final sweeps, after which all files must be
//! gathered.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use testbed::{Session, Tap, wait_until};

use crate::artifacts::Artifacts;
use crate::camera::Camera;
use crate::context::Fleet;
use crate::device::Device;
use crate::disk::{Disk, Medium};
use crate::fault::{FaultKind, FaultPicker, Media, PlannedFault};
use crate::figures::Figures;
use crate::inject::InjectedFault;
use crate::outcome::Outcome;
use crate::promises::{Promise, PromiseChecker, Violation, violations};
use crate::recording;
use crate::rng::Rng;
use crate::round_report;

/// Maximum number of bytes that a fleet records. Every checker reads all of them repeatedly.
const BUDGET: i64 = 120_000_000;
/// Large enough for `BUDGET`.
const STORE_MEGABYTES: u32 = 320;
const DEVICE_MEGABYTES: u32 = 200;
const LEDGER_MEGABYTES: u32 = 24;
/// A sweep that takes longer hangs: its own limits give up on any device long before.
const MAX_RUN_TIME: Duration = Duration::from_secs(90);
/// Maximum number of sweeps after the last fault until all files are gathered. Lesser devices need a second
/// survey, and files that are open need another sweep.
const LAST_SWEEPS: usize = 5;

#[derive(Debug)]
pub(crate) struct Trial {
    // Declared first: the disks are unmounted before the fleet's folder is removed.
    pub(crate) store_disk: Option<Disk>,
    pub(crate) ledger_disk: Option<Disk>,
    pub(crate) device_disk: Option<Disk>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) artifacts: Artifacts,
    pub(crate) store_is_broken: bool,
    /// Failures found while a round was under way.
    pub(crate) failures: Vec<String>,
    checker: PromiseChecker,
    rng: Rng,
    budget: AtomicI64,
}

impl Trial {
    /// Starts a fleet on the media that are available. The number of the trial decides which of them it uses.
    pub(crate) fn start(number: usize, available: Media, rng: Rng, artifacts: Artifacts) -> Self {
        let third = [Session::Gnu, Session::SftpOnly, Session::Noisy, Session::Busybox][number % 4];
        let fleet = Fleet::without_store(&[Session::Gnu, Session::Gnu, third]);
        let (memory, image) = (Some(Medium::Memory), Some(Medium::Image));
        let (store, ledger, device) = match number % 4 {
            0 => (image, memory, None),
            1 => (memory, None, image),
            2 => (None, image, memory),
            _ => (image, None, None),
        };
        let disk = |wanted: Option<Medium>, available: Option<Medium>, at: PathBuf, megabytes| {
            // Without a loop device, tmpfs replaces the image.
            let medium = match (wanted?, available?) {
                (Medium::Image, Medium::Memory) => Medium::Memory,
                (wanted, _) => wanted,
            };
            Disk::at(&at, medium, megabytes)
        };
        let card = fleet.device(1).folder.parent().expect("the card").to_owned();
        let trial = Self {
            store_disk: disk(store, available.store, fleet.store(), STORE_MEGABYTES),
            ledger_disk: disk(ledger, available.ledger, fleet.path("ledger"), LEDGER_MEGABYTES),
            device_disk: disk(device, available.device, card, DEVICE_MEGABYTES),
            fleet: Arc::new(fleet),
            artifacts,
            store_is_broken: false,
            failures: Vec::new(),
            checker: PromiseChecker::default(),
            rng,
            budget: AtomicI64::new(BUDGET),
        };
        fs::create_dir_all(&trial.fleet.device(1).folder).expect("the source on its own disk");
        for number in 1..=trial.fleet.devices().len() {
            trial.fleet.tap(number);
        }
        trial
            .fleet
            .set("ssh.connect_timeout", "5s")
            .set("defaults.stall_timeout", "5s")
            .init_store();
        trial
    }

    /// Records, runs gleaner, injects the faults, repairs everything, and checks the promises.
    pub(crate) fn round(
        &mut self,
        round: usize,
        picker: &mut FaultPicker,
        figures: &mut Figures,
    ) -> Vec<Violation> {
        let fleet = Arc::clone(&self.fleet);
        let budget = AtomicI64::new(self.budget.load(Ordering::Relaxed));
        let planned = picker.next_round(self.media(), fleet.devices().len());
        let (before, during): (Vec<_>, Vec<_>) = planned
            .into_iter()
            .partition(|fault| fault.kind.is_between_runs());
        let rng = self.rng.branch(u64::try_from(round).expect("a number"));
        let mut cameras: Vec<Camera<'_>> = (1..)
            .zip(fleet.devices())
            .map(|(number, device)| Camera::new(device, &fleet.manifest, rng.branch(number), round, &budget))
            .collect();
        let tokens: Vec<PathBuf> = cameras.iter_mut().map(Camera::record_backlog).collect();
        fleet.wait_until_settled();
        self.limit_links(rng.branch(100));
        let mut injected: Vec<InjectedFault> = before
            .iter()
            .filter_map(|fault| self.inject_before(fault))
            .collect();
        let missed = before.len() - injected.len();
        let stop = AtomicBool::new(false);
        let outcomes = thread::scope(|scope| {
            // Set on a panic too, because the scope waits for the cameras.
            let _stop = SetOnDrop(&stop);
            for camera in &mut cameras {
                scope.spawn(|| camera.record_until(&stop));
            }
            self.run_under(&during, &mut injected)
        });
        self.budget = budget;
        round_report::count(&outcomes, &injected, figures);
        figures.missed += missed + during.len()
            - injected
                .iter()
                .filter(|injected| !injected.kind.is_between_runs())
                .count();
        self.artifacts
            .note(&round_report::summary(round, &outcomes, &injected));
        let mut found = self.heal();
        found.extend(round_report::unexpected_ends(&outcomes, &injected));
        found.extend(violations(
            Promise::EndsCleanly,
            std::mem::take(&mut self.failures),
        ));
        found.extend(self.checker.check(&fleet));
        found.extend(self.delayed_devices(&tokens, &injected));
        if rng.branch(101).one_in(2) {
            fleet.copy_ledger_to(&fleet.path("older-ledger"));
        }
        found
    }

    /// Sweeps without faults until all files are gathered. A file that remains at the end is a violation.
    pub(crate) fn finish(&mut self, figures: &mut Figures) -> Vec<Violation> {
        let mut last = None;
        for _ in 0..LAST_SWEEPS {
            let outcome = self.fleet.sweep();
            self.artifacts.log("a last sweep", &outcome);
            figures.runs += 1;
            let is_done = outcome.code() == Some(0) && self.fleet.devices().iter().all(Device::is_empty);
            last = Some(outcome);
            if is_done {
                break;
            }
        }
        let mut found = violations(Promise::Emptied, self.fleet.unfinished());
        if let Some(last) = last.filter(|last| last.code() != Some(0)) {
            found.extend(violations(
                Promise::Emptied,
                [format!("the last sweep: {}", last.transcript())],
            ));
        }
        found.extend(violations(Promise::EndsCleanly, self.fleet.ssh_left()));
        found.extend(self.checker.check(&self.fleet));
        figures.files += self.fleet.manifest.len();
        let sizes = self
            .checker
            .seen()
            .keys()
            .map(|path| fs::metadata(self.fleet.store().join(path)));
        figures.bytes += sizes.flatten().map(|metadata| metadata.len()).sum::<u64>();
        found
    }

    /// The media that can be broken here.
    fn media(&self) -> Media {
        Media {
            store: self.store_disk.as_ref().map(Disk::medium),
            ledger: self.ledger_disk.as_ref().map(Disk::medium),
            device: self.device_disk.as_ref().map(Disk::medium),
        }
    }

    pub(crate) fn medium_of(&self, kind: FaultKind) -> &'static str {
        let media = self.media();
        let medium = match kind {
            FaultKind::FillLedger => media.ledger,
            FaultKind::FillDevice => media.device,
            _ => media.store,
        };
        match medium {
            Some(Medium::Image) => "ext4",
            Some(Medium::Memory) => "tmpfs",
            None => "folder",
        }
    }

    /// Makes links as slow as in the field, so that a run lasts long enough for a fault.
    fn limit_links(&self, mut rng: Rng) {
        for device in self.fleet.devices() {
            if rng.one_in(4) {
                device.link(Tap::heal);
            } else {
                let speed = 4_000_000 + rng.below(20_000_000);
                device.link(|tap| tap.slow_to(speed));
            }
        }
    }

    /// Injects a fault while no gleaner runs.
    fn inject_before(&mut self, fault: &PlannedFault) -> Option<InjectedFault> {
        let target = match fault.kind {
            FaultKind::UnmountStoreBefore => {
                let disk = self.store_disk.as_mut()?;
                if !wait_until(Duration::from_secs(5), || disk.try_unmount()) {
                    self.failures
                        .push("a process uses the store while no gleaner runs".to_owned());
                    return None;
                }
                self.run_refused("with the store not mounted", &[3]);
                self.check_mount_point_is_empty();
                self.store_disk.as_mut()?.attach();
                format!("store ({}) unmounted between runs", self.medium_of(fault.kind))
            }
            FaultKind::FillStoreBefore => {
                self.store_disk.as_ref()?.fill();
                self.run_refused("with the store full", &[1, 3]);
                self.store_disk.as_ref()?.make_room();
                format!("store ({}) full before a run", self.medium_of(fault.kind))
            }
            FaultKind::LoseLedgerBefore => {
                self.fleet.lose_ledger();
                "ledger lost".to_owned()
            }
            _ => {
                let older = self.fleet.path("older-ledger");
                older.join("ledger.db").exists().then_some(())?;
                self.fleet.restore_ledger_from(&older);
                "ledger restored from an older copy".to_owned()
            }
        };
        Some(InjectedFault {
            kind: fault.kind,
            target,
            is_kill: false,
            device: None,
        })
    }

    fn run_refused(&mut self, how: &str, statuses: &[i32]) {
        let outcome = self.fleet.gleaner(["run"]);
        self.artifacts.log(how, &outcome);
        if !outcome.code().is_some_and(|code| statuses.contains(&code)) {
            self.failures.push(format!("{how}: {}", outcome.transcript()));
        }
    }

    fn check_mount_point_is_empty(&mut self) {
        let found = recording::regular_files(&self.fleet.store());
        let folders = recording::folders_below(&self.fleet.store());
        if !found.is_empty() || !folders.is_empty() {
            self.failures.push(format!(
                "written under the mount point of the store: {found:?} {folders:?}"
            ));
        }
    }

    /// Runs gleaner, and starts it again if it ends before all faults are injected.
    fn run_under(&mut self, planned: &[PlannedFault], injected: &mut Vec<InjectedFault>) -> Vec<Outcome> {
        let fleet = Arc::clone(&self.fleet);
        let start = || fleet.call(["run", "-v"]).within(MAX_RUN_TIME).start();
        let mut outcomes = Vec::new();
        let mut running = start();
        for fault in planned {
            if running.has_ended() {
                outcomes.push(std::mem::replace(&mut running, start()).wait());
            }
            injected.extend(self.inject(fault, &mut running));
        }
        outcomes.push(running.wait());
        for outcome in &outcomes {
            self.artifacts.log("a run", outcome);
        }
        outcomes
    }

    /// Repairs everything.
    fn heal(&mut self) -> Vec<Violation> {
        for server in self.fleet.servers() {
            server.resume();
            if !server.listens() {
                server.start_again();
            }
        }
        self.fleet
            .devices()
            .iter()
            .for_each(|device| device.link(Tap::heal));
        let found = violations(Promise::EndsCleanly, self.fleet.ssh_left());
        if self.store_disk.as_ref().is_some_and(Disk::is_detached) {
            self.check_mount_point_is_empty();
        }
        for disk in [&self.store_disk, &self.ledger_disk, &self.device_disk]
            .into_iter()
            .flatten()
        {
            disk.make_room();
        }
        if let Some(disk) = &mut self.store_disk {
            if std::mem::take(&mut self.store_is_broken) {
                disk.repair();
            }
            disk.make_writable();
            disk.make_room();
            disk.attach();
            // Files that are visible now stay visible, whatever happens to the disk later.
            rustix::fs::syncfs(fs::File::open(self.fleet.store()).expect("the store"))
                .expect("flushing the store");
        }
        found
    }

    /// If each fault affected only one device, the ready files of the other devices must be in the store.
    fn delayed_devices(&self, tokens: &[PathBuf], injected: &[InjectedFault]) -> Vec<Violation> {
        let affected: Option<BTreeSet<usize>> = injected.iter().map(|injected| injected.device).collect();
        let Some(affected) = affected else {
            return Vec::new();
        };
        // A sweep may need a second survey of a lesser device first.
        let must_be_served =
            |number: &usize| self.fleet.device(*number).is_ordinary() && !affected.contains(number);
        let ready: Vec<(usize, PathBuf)> = (1..)
            .zip(tokens.iter().cloned())
            .filter(|(number, _)| must_be_served(number))
            .collect();
        self.checker.unserved(&self.fleet, &ready)
    }
}

struct SetOnDrop<'flag>(&'flag AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
