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

use crate::camera::Camera;
use crate::chance::Chance;
use crate::context::Fleet;
use crate::device::Device;
use crate::disk::{Disk, Medium};
use crate::evidence::Evidence;
use crate::fault::{Deck, Equipment, Kind, Strike};
use crate::figures::Figures;
use crate::outcome::Outcome;
use crate::promises::{Breach, Promise, Witness, breaches};
use crate::recording;
use crate::strike::Struck;
use crate::verdict;

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
pub(crate) struct Campaign {
    // Declared first: the disks are unmounted before the fleet's folder is removed.
    pub(crate) store_disk: Option<Disk>,
    pub(crate) ledger_disk: Option<Disk>,
    pub(crate) device_disk: Option<Disk>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) evidence: Evidence,
    pub(crate) store_is_broken: bool,
    /// Failures found while a round was under way.
    pub(crate) complaints: Vec<String>,
    witness: Witness,
    chance: Chance,
    budget: AtomicI64,
}

impl Campaign {
    /// Starts a fleet on the media that are available. The number of the trial decides which of them it uses.
    pub(crate) fn start(number: usize, available: Equipment, chance: Chance, evidence: Evidence) -> Self {
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
        let campaign = Self {
            store_disk: disk(store, available.store, fleet.store(), STORE_MEGABYTES),
            ledger_disk: disk(ledger, available.ledger, fleet.path("ledger"), LEDGER_MEGABYTES),
            device_disk: disk(device, available.device, card, DEVICE_MEGABYTES),
            fleet: Arc::new(fleet),
            evidence,
            store_is_broken: false,
            complaints: Vec::new(),
            witness: Witness::default(),
            chance,
            budget: AtomicI64::new(BUDGET),
        };
        fs::create_dir_all(&campaign.fleet.device(1).folder).expect("the source on its own disk");
        for number in 1..=campaign.fleet.devices().len() {
            campaign.fleet.tap(number);
        }
        campaign
            .fleet
            .set("ssh.connect_timeout", "5s")
            .set("defaults.stall_timeout", "5s")
            .init_store();
        campaign
    }

    /// Records, runs gleaner, injects the faults, repairs everything, and checks the promises.
    pub(crate) fn round(&mut self, round: usize, deck: &mut Deck, figures: &mut Figures) -> Vec<Breach> {
        let fleet = Arc::clone(&self.fleet);
        let budget = AtomicI64::new(self.budget.load(Ordering::Relaxed));
        let strikes = deck.deal(self.equipment(), fleet.devices().len());
        let (before, during): (Vec<_>, Vec<_>) =
            strikes.into_iter().partition(|strike| strike.kind.comes_before());
        let chance = self.chance.branch(u64::try_from(round).expect("a number"));
        let mut cameras: Vec<Camera<'_>> = (1..)
            .zip(fleet.devices())
            .map(|(number, device)| {
                Camera::new(device, &fleet.manifest, chance.branch(number), round, &budget)
            })
            .collect();
        let tokens: Vec<PathBuf> = cameras.iter_mut().map(Camera::backlog).collect();
        fleet.wait_until_settled();
        self.limit_links(chance.branch(100));
        let mut struck: Vec<Struck> = before
            .iter()
            .filter_map(|strike| self.strike_before(strike))
            .collect();
        let missed = before.len() - struck.len();
        let stop = AtomicBool::new(false);
        let outcomes = thread::scope(|scope| {
            // Set on a panic too, because the scope waits for the cameras.
            let _stop = SetOnDrop(&stop);
            for camera in &mut cameras {
                scope.spawn(|| camera.record_until(&stop));
            }
            self.run_under(&during, &mut struck)
        });
        self.budget = budget;
        verdict::count(&outcomes, &struck, figures);
        figures.missed +=
            missed + during.len() - struck.iter().filter(|struck| !struck.kind.comes_before()).count();
        self.evidence.note(&verdict::told(round, &outcomes, &struck));
        let mut found = self.heal();
        found.extend(verdict::unfit_ends(&outcomes, &struck));
        found.extend(breaches(
            Promise::EndsInOrder,
            std::mem::take(&mut self.complaints),
        ));
        found.extend(self.witness.examine(&fleet));
        found.extend(self.held_up(&tokens, &struck));
        if chance.branch(101).one_in(2) {
            fleet.copy_ledger_to(&fleet.path("older-ledger"));
        }
        found
    }

    /// Sweeps without faults until all files are gathered. A file that remains at the end is a violation.
    pub(crate) fn finish(&mut self, figures: &mut Figures) -> Vec<Breach> {
        let mut last = None;
        for _ in 0..LAST_SWEEPS {
            let outcome = self.fleet.sweep();
            self.evidence.log("a last sweep", &outcome);
            figures.runs += 1;
            let is_done = outcome.code() == Some(0) && self.fleet.devices().iter().all(Device::is_empty);
            last = Some(outcome);
            if is_done {
                break;
            }
        }
        let mut found = breaches(Promise::Emptied, self.fleet.unfinished());
        if let Some(last) = last.filter(|last| last.code() != Some(0)) {
            found.extend(breaches(
                Promise::Emptied,
                [format!("the last sweep: {}", last.told())],
            ));
        }
        found.extend(breaches(Promise::EndsInOrder, self.fleet.ssh_left()));
        found.extend(self.witness.examine(&self.fleet));
        figures.files += self.fleet.manifest.len();
        let sizes = self
            .witness
            .seen()
            .keys()
            .map(|path| fs::metadata(self.fleet.store().join(path)));
        figures.bytes += sizes.flatten().map(|metadata| metadata.len()).sum::<u64>();
        found
    }

    /// The media that can be broken here.
    fn equipment(&self) -> Equipment {
        Equipment {
            store: self.store_disk.as_ref().map(Disk::medium),
            ledger: self.ledger_disk.as_ref().map(Disk::medium),
            device: self.device_disk.as_ref().map(Disk::medium),
        }
    }

    pub(crate) fn medium_of(&self, kind: Kind) -> &'static str {
        let equipment = self.equipment();
        let medium = match kind {
            Kind::FillLedger => equipment.ledger,
            Kind::FillDevice => equipment.device,
            _ => equipment.store,
        };
        match medium {
            Some(Medium::Image) => "ext4",
            Some(Medium::Memory) => "tmpfs",
            None => "folder",
        }
    }

    /// Makes links as slow as in the field, so that a run lasts long enough for a fault.
    fn limit_links(&self, mut chance: Chance) {
        for device in self.fleet.devices() {
            if chance.one_in(4) {
                device.link(Tap::heal);
            } else {
                let speed = 4_000_000 + chance.below(20_000_000);
                device.link(|tap| tap.slow_to(speed));
            }
        }
    }

    /// Injects a fault while no gleaner runs.
    fn strike_before(&mut self, strike: &Strike) -> Option<Struck> {
        let victim = match strike.kind {
            Kind::UnmountStoreBefore => {
                let disk = self.store_disk.as_mut()?;
                if !wait_until(Duration::from_secs(5), || disk.try_unmount()) {
                    self.complaints
                        .push("somebody uses the store while no gleaner runs".to_owned());
                    return None;
                }
                self.run_refused("with the store not mounted", &[3]);
                self.complain_of_files_under_the_mount_point();
                self.store_disk.as_mut()?.bring_back();
                format!("store ({}) unmounted between runs", self.medium_of(strike.kind))
            }
            Kind::FillStoreBefore => {
                self.store_disk.as_ref()?.fill();
                self.run_refused("with the store full", &[1, 3]);
                self.store_disk.as_ref()?.make_room();
                format!("store ({}) full before a run", self.medium_of(strike.kind))
            }
            Kind::LoseLedgerBefore => {
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
        Some(Struck {
            kind: strike.kind,
            victim,
            is_kill: false,
            device: None,
        })
    }

    fn run_refused(&mut self, how: &str, statuses: &[i32]) {
        let outcome = self.fleet.gleaner(["run"]);
        self.evidence.log(how, &outcome);
        if !outcome.code().is_some_and(|code| statuses.contains(&code)) {
            self.complaints.push(format!("{how}: {}", outcome.told()));
        }
    }

    fn complain_of_files_under_the_mount_point(&mut self) {
        let found = recording::regular_files(&self.fleet.store());
        let folders = recording::folders_below(&self.fleet.store());
        if !found.is_empty() || !folders.is_empty() {
            self.complaints.push(format!(
                "written under the mount point of the store: {found:?} {folders:?}"
            ));
        }
    }

    /// Runs gleaner, and starts it again if it ends before all faults are injected.
    fn run_under(&mut self, strikes: &[Strike], struck: &mut Vec<Struck>) -> Vec<Outcome> {
        let fleet = Arc::clone(&self.fleet);
        let start = || fleet.call(["run", "-v"]).within(MAX_RUN_TIME).start();
        let mut outcomes = Vec::new();
        let mut running = start();
        for strike in strikes {
            if running.has_ended() {
                outcomes.push(std::mem::replace(&mut running, start()).wait());
            }
            struck.extend(self.strike(strike, &mut running));
        }
        outcomes.push(running.wait());
        for outcome in &outcomes {
            self.evidence.log("a run", outcome);
        }
        outcomes
    }

    /// Repairs everything.
    fn heal(&mut self) -> Vec<Breach> {
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
        let found = breaches(Promise::EndsInOrder, self.fleet.ssh_left());
        if self.store_disk.as_ref().is_some_and(Disk::is_away) {
            self.complain_of_files_under_the_mount_point();
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
            disk.bring_back();
            // Files that are visible now stay visible, whatever happens to the disk later.
            rustix::fs::syncfs(fs::File::open(self.fleet.store()).expect("the store"))
                .expect("flushing the store");
        }
        found
    }

    /// If each fault affected only one device, the ready files of the other devices must be in the store.
    fn held_up(&self, tokens: &[PathBuf], struck: &[Struck]) -> Vec<Breach> {
        let harmed: Option<BTreeSet<usize>> = struck.iter().map(|struck| struck.device).collect();
        let Some(harmed) = harmed else { return Vec::new() };
        // A sweep may need a second survey of a lesser device first.
        let is_owed = |number: &usize| self.fleet.device(*number).is_ordinary() && !harmed.contains(number);
        let ready: Vec<(usize, PathBuf)> = (1..)
            .zip(tokens.iter().cloned())
            .filter(|(number, _)| is_owed(number))
            .collect();
        self.witness.not_served(&self.fleet, &ready)
    }
}

struct SetOnDrop<'flag>(&'flag AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
