//! A fleet of one honest device and many hostile ones, and what must hold in every case.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sim::{Service, UserKey};
use tokio::runtime::Runtime;

use super::lying_device::{Case, ExpectedEnd, LyingDevice, TimeLimit};
use crate::context::{Fleet, SETTLE};
use crate::outcome::Outcome;
use crate::recording::{self, Digest};
use testbed::Session;

/// More memory than gleaner ever needs, whatever a device sends.
const MAX_MEMORY: u64 = 200 << 20;

/// What a busy machine may add to the duration of a pass. A time limit that ends a pass after minutes is
/// broken.
const GRACE: Duration = Duration::from_secs(40);

/// The longest time limit that is not a matter of a day, in multiples of `stall_timeout`.
const MAX_STALL_TIMEOUTS: u32 = 15;

#[derive(Debug)]
pub(crate) struct HostileFleet {
    pub(crate) fleet: Fleet,
    stall_timeout: Duration,
    lying_devices: Vec<LyingDevice>,
    /// The servers end with the runtime.
    _runtime: Runtime,
}

/// The route to the hostile devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Direct,
    ThroughJump,
}

impl HostileFleet {
    /// An honest device called `device1`, and after it one device for each case.
    pub(crate) fn of(cases: Vec<Case>, route: Route) -> Self {
        let fleet = Fleet::of(&[Session::Gnu]);
        // The honest device must not fail because this machine is busy, whatever the others need.
        fleet.set("device1.stall_timeout", "30s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let user = UserKey::create(&fleet.path(KEY)).expect("a key");
        let lying_devices = (2..).zip(cases);
        let start = |(number, case)| runtime.block_on(LyingDevice::start(&fleet, &user, number, case));
        let lying_devices: Vec<_> = lying_devices.map(start).collect();
        let hostile = Self {
            fleet,
            stall_timeout: Duration::ZERO,
            lying_devices,
            _runtime: runtime,
        };
        hostile.write_ssh_config(route);
        let canary = hostile.fleet.path("canary");
        fs::create_dir(&canary).expect("making a folder");
        fs::write(canary.join("bird"), "sings").expect("writing");
        hostile.with_stall_timeout(Duration::from_secs(2))
    }

    /// Sets how long the hostile devices may be silent.
    pub(crate) fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self.set(
            "defaults.stall_timeout",
            format!("{}ms", stall_timeout.as_millis()),
        )
    }

    /// Sets a key of the configuration.
    pub(crate) fn set(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.fleet.set(key, value);
        self
    }

    /// Surveys the devices honestly where a second survey is needed, then makes them hostile, and sweeps
    /// once.
    ///
    /// Asserts that the sweep ends, the honest device is emptied, memory stays bounded, the store is true,
    /// and no file is outside of it. No device loses a file, no process is left, and each pass ends as
    /// expected.
    #[track_caller]
    pub(crate) fn sweeps_safely(&self, status: i32) -> Outcome {
        self.survey_once();
        for lying in self
            .lying_devices
            .iter()
            .filter(|lying| !lying.is_hostile_from_start())
        {
            lying.turn_hostile();
        }
        self.fleet
            .device(1)
            .record_many("day", 20, 2_000)
            .record("film", recording::content("film", 1 << 20));
        let before = self.files_outside();
        self.fleet.wait_until_settled();
        let outcome = self
            .fleet
            .call(["run", "--json"])
            .within(Duration::from_mins(3))
            .run();
        eprintln!(
            "{} profiles: {:.1?}, {} MiB",
            self.lying_devices.len(),
            outcome.took,
            outcome.peak_memory >> 20
        );
        self.fleet.assert_no_ssh_left();
        self.assert_expected_ends(&outcome);
        let outcome = outcome.exits(status);
        assert!(
            outcome.peak_memory < MAX_MEMORY,
            "{} MiB of memory\n{}",
            outcome.peak_memory >> 20,
            outcome.transcript()
        );
        self.fleet.assert_all_gathered();
        self.assert_everything_in_its_place();
        self.assert_lying_devices_lost_nothing();
        assert_eq!(self.files_outside(), before, "something is outside the store");
        outcome
    }

    /// Sweeps until only this file is left, twice in a row, on the first hostile device. Panics after this
    /// number of sweeps.
    #[track_caller]
    pub(crate) fn leaves_only(&self, name: &str, sweeps: usize) -> Outcome {
        let folder = &self.lying_devices.first().expect("a hostile device").folder;
        let mut was_only_one_left = false;
        for _ in 0..=sweeps {
            // On a device without a shell, a renamed file needs two more surveys.
            thread::sleep(SETTLE + Duration::from_millis(200));
            let outcome = self.fleet.gleaner(["run"]);
            self.assert_lying_devices_lost_nothing();
            let left = recording::regular_files(folder);
            let is_only_one_left = left.len() == 1 && left.iter().all(|file| file.ends_with(name));
            if is_only_one_left && was_only_one_left {
                return outcome.exits(1);
            }
            was_only_one_left = is_only_one_left;
        }
        panic!("left: {:?}", recording::regular_files(folder));
    }

    /// Devices without a shell are surveyed twice before any of their files is gathered. The first survey is
    /// of an honest device.
    fn survey_once(&self) {
        let without_shell = |lying: &&LyingDevice| lying.case.profile.service == Service::SftpOnly;
        let names = self.lying_devices.iter().filter(without_shell);
        let names: Vec<_> = names.flat_map(|lying| ["--device", &lying.name]).collect();
        if !names.is_empty() {
            self.fleet.gleaner(["run"].into_iter().chain(names)).exits(0);
            thread::sleep(SETTLE + Duration::from_millis(200));
        }
    }

    /// All files in the fleet's folder that gleaner must not touch.
    fn files_outside(&self) -> BTreeMap<PathBuf, Digest> {
        let ours = ["store", "ledger", "run", "tmp", "jump", "device1", "lying"];
        assert!(!Path::new(PLANTED).exists(), "{PLANTED} was planted");
        let root = self.fleet.root();
        let mut found = BTreeMap::new();
        // gleaner's own files are not even read: one of them has 7 GB.
        for path in recording::regular_files(root) {
            let below = path.strip_prefix(root).expect("below the folder");
            if ours.iter().any(|folder| below.starts_with(folder)) {
                continue;
            }
            // ssh's own files come and go.
            if let Ok(content) = fs::read(&path) {
                found.insert(below.to_owned(), recording::digest(&content));
            }
        }
        found
    }

    #[track_caller]
    fn assert_expected_ends(&self, outcome: &Outcome) {
        let status = self.fleet.gleaner(["status", "--json"]).exits(0).json();
        let events = outcome.json_lines();
        let mut wrong = String::new();
        for lying in &self.lying_devices {
            let found = status["devices"].as_array().into_iter().flatten();
            let found = found.into_iter().find(|device| device["name"] == *lying.name);
            let last_outcome = found.map_or(&Value::Null, |device| &device["last_outcome"]);
            let ended = |event: &&Value| event["event"] == "pass-ended" && event["device"] == *lying.name;
            let ended = events.iter().find(ended).unwrap_or(&Value::Null);
            let is_in_time = ended["seconds"]
                .as_f64()
                .is_some_and(|seconds| seconds < self.deadline(lying.case.expected).as_secs_f64());
            let is_as_expected = lying.ends_as_expected(last_outcome, found)
                && ended["outcome"]["class"] == last_outcome["class"]
                && is_in_time;
            if !is_as_expected || std::env::var_os("GLEANER_IT_SHOW_LIES").is_some() {
                writeln!(
                    wrong,
                    "{} ({}) after {} s: {last_outcome}, {} files left{}",
                    lying.name,
                    lying.case.label,
                    ended["seconds"],
                    recording::regular_files(&lying.folder).len(),
                    if is_as_expected {
                        String::new()
                    } else {
                        format!(
                            ", but expected {:?} within {:?}",
                            lying.case.expected,
                            self.deadline(lying.case.expected)
                        )
                    }
                )
                .expect("writing to a string");
            }
        }
        eprintln!("{wrong}");
        assert!(
            !wrong.contains("but expected"),
            "\n{wrong}\n{}",
            outcome.transcript()
        );
    }

    /// The maximum duration of a pass with this expected end.
    fn deadline(&self, expected: ExpectedEnd) -> Duration {
        match expected {
            ExpectedEnd::Stalls(TimeLimit::Silence) => self.stall_timeout * 2 + GRACE,
            _ => self.stall_timeout * MAX_STALL_TIMEOUTS + GRACE,
        }
    }

    /// Each file in the store is in the folder of the device that it came from, and no file is elsewhere.
    #[track_caller]
    fn assert_everything_in_its_place(&self) {
        for (path, digest) in self.fleet.store_files() {
            let is_from = |lying: &&LyingDevice| lying.recorded.contains(&digest);
            let device = self.lying_devices.iter().find(is_from);
            let folder = device.map_or("device1", |lying| &lying.name);
            assert!(path.starts_with(folder), "{} came from {folder}", path.display());
        }
    }

    /// No file leaves even a hostile device unless it is whole in the store.
    #[track_caller]
    fn assert_lying_devices_lost_nothing(&self) {
        let stored: BTreeSet<Digest> = self.fleet.store_files().into_values().collect();
        for lying in &self.lying_devices {
            let there: BTreeSet<Digest> = recording::files_below(&lying.folder).into_values().collect();
            for digest in &lying.recorded {
                let kept = there.contains(digest) || stored.contains(digest);
                assert!(kept, "{} ({}) lost {digest}", lying.name, lying.case.label);
            }
        }
    }

    /// Adds the hostile devices to the configuration of ssh.
    fn write_ssh_config(&self, route: Route) {
        let file = |name: &str| fs::read_to_string(self.fleet.path(name)).expect("a file of ssh's");
        let (mut config, mut known) = (String::new(), file("known_hosts"));
        for lying in &self.lying_devices {
            let (name, port) = (&lying.name, lying.device.port());
            let key = self.fleet.path(KEY);
            writeln!(
                config,
                "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {}",
                key.display()
            )
            .expect("writing");
            if route == Route::ThroughJump {
                config.push_str("  ProxyJump jump\n");
            }
            let host_key = lying.device.host_key();
            writeln!(known, "{}", host_key.known_hosts_line("127.0.0.1", port)).expect("writing");
        }
        config.push_str(&file("ssh_config"));
        fs::write(self.fleet.path("ssh_config"), config).expect("writing ssh_config");
        fs::write(self.fleet.path("known_hosts"), known).expect("writing known_hosts");
    }
}

/// An absolute name that a hostile device lists.
pub(crate) const PLANTED: &str = "/gleaner-planted";

/// The key that logs in to the hostile devices.
const KEY: &str = "lying-key";
