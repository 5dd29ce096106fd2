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

use super::suspect::{Case, Fate, Suspect, Watch};
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
const LONG: u32 = 15;

#[derive(Debug)]
pub(crate) struct Siege {
    pub(crate) fleet: Fleet,
    stall_timeout: Duration,
    suspects: Vec<Suspect>,
    /// The servers end with the runtime.
    _runtime: Runtime,
}

/// The route to the hostile devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    ThroughJump,
}

impl Siege {
    /// An honest device called `device1`, and after it one device for each case.
    pub(crate) fn of(cases: Vec<Case>, way: Way) -> Self {
        let fleet = Fleet::of(&[Session::Gnu]);
        // The honest device must not fail because this machine is busy, whatever the others need.
        fleet.set("device1.stall_timeout", "30s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let user = UserKey::create(&fleet.path(KEY)).expect("a key");
        let suspects = (2..).zip(cases);
        let start = |(number, case)| runtime.block_on(Suspect::start(&fleet, &user, number, case));
        let suspects: Vec<_> = suspects.map(start).collect();
        let siege = Self {
            fleet,
            stall_timeout: Duration::ZERO,
            suspects,
            _runtime: runtime,
        };
        siege.make_known(way);
        let canary = siege.fleet.path("canary");
        fs::create_dir(&canary).expect("making a folder");
        fs::write(canary.join("bird"), "sings").expect("writing");
        siege.with_stall_timeout(Duration::from_secs(2))
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
    pub(crate) fn holds(&self, status: i32) -> Outcome {
        self.look_once();
        for suspect in self
            .suspects
            .iter()
            .filter(|suspect| !suspect.lies_from_the_first())
        {
            suspect.misbehave();
        }
        self.fleet
            .device(1)
            .record_many("day", 20, 2_000)
            .record("film", recording::content("film", 1 << 20));
        let before = self.surroundings();
        self.fleet.wait_until_settled();
        let outcome = self
            .fleet
            .call(["run", "--json"])
            .within(Duration::from_mins(3))
            .run();
        eprintln!(
            "{} lies: {:.1?}, {} MiB",
            self.suspects.len(),
            outcome.took,
            outcome.peak_memory >> 20
        );
        self.fleet.assert_no_ssh_left();
        self.assert_fates(&outcome);
        let outcome = outcome.exits(status);
        assert!(
            outcome.peak_memory < MAX_MEMORY,
            "{} MiB of memory\n{}",
            outcome.peak_memory >> 20,
            outcome.told()
        );
        self.fleet.assert_all_gathered();
        self.assert_everything_in_its_place();
        self.assert_suspects_lost_nothing();
        assert_eq!(self.surroundings(), before, "something is outside the store");
        outcome
    }

    /// Sweeps until only this file is left, twice in a row, on the first hostile device. Panics after this
    /// number of sweeps.
    #[track_caller]
    pub(crate) fn leaves_only(&self, name: &str, sweeps: usize) -> Outcome {
        let folder = &self.suspects.first().expect("a device that lies").folder;
        let mut was_only_one_left = false;
        for _ in 0..=sweeps {
            // On a device without a shell, a renamed file needs two more surveys.
            thread::sleep(SETTLE + Duration::from_millis(200));
            let outcome = self.fleet.gleaner(["run"]);
            self.assert_suspects_lost_nothing();
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
    fn look_once(&self) {
        let without_shell = |suspect: &&Suspect| suspect.case.character.service == Service::SftpOnly;
        let names = self.suspects.iter().filter(without_shell);
        let names: Vec<_> = names.flat_map(|suspect| ["--device", &suspect.name]).collect();
        if !names.is_empty() {
            self.fleet.gleaner(["run"].into_iter().chain(names)).exits(0);
            thread::sleep(SETTLE + Duration::from_millis(200));
        }
    }

    /// All files in the fleet's folder that gleaner must not touch.
    fn surroundings(&self) -> BTreeMap<PathBuf, Digest> {
        let ours = ["store", "ledger", "run", "tmp", "jump", "device1", "suspects"];
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
    fn assert_fates(&self, outcome: &Outcome) {
        let status = self.fleet.gleaner(["status", "--json"]).exits(0).json();
        let events = outcome.json_lines();
        let mut wrong = String::new();
        for suspect in &self.suspects {
            let found = status["devices"].as_array().into_iter().flatten();
            let found = found.into_iter().find(|device| device["name"] == *suspect.name);
            let told = found.map_or(&Value::Null, |device| &device["last_outcome"]);
            let ended = |event: &&Value| event["event"] == "pass-ended" && event["device"] == *suspect.name;
            let ended = events.iter().find(ended).unwrap_or(&Value::Null);
            let is_in_time = ended["seconds"]
                .as_f64()
                .is_some_and(|seconds| seconds < self.deadline(suspect.case.fate).as_secs_f64());
            let as_it_must = suspect.ends_as_it_must(told, found)
                && ended["outcome"]["class"] == told["class"]
                && is_in_time;
            if !as_it_must || std::env::var_os("GLEANER_IT_SHOW_LIES").is_some() {
                writeln!(
                    wrong,
                    "{} ({}) after {} s: {told}, {} files left{}",
                    suspect.name,
                    suspect.case.lie,
                    ended["seconds"],
                    recording::regular_files(&suspect.folder).len(),
                    match as_it_must {
                        true => String::new(),
                        false => format!(
                            ", but {:?} within {:?} was to be",
                            suspect.case.fate,
                            self.deadline(suspect.case.fate)
                        ),
                    }
                )
                .expect("writing to a string");
            }
        }
        eprintln!("{wrong}");
        assert!(!wrong.contains("was to be"), "\n{wrong}\n{}", outcome.told());
    }

    /// The maximum duration of a pass with this expected end.
    fn deadline(&self, fate: Fate) -> Duration {
        match fate {
            Fate::Stalls(Watch::Silence) => self.stall_timeout * 2 + GRACE,
            _ => self.stall_timeout * LONG + GRACE,
        }
    }

    /// Each file in the store is in the folder of the device that it came from, and no file is elsewhere.
    #[track_caller]
    fn assert_everything_in_its_place(&self) {
        for (path, digest) in self.fleet.store_files() {
            let is_from = |suspect: &&Suspect| suspect.recorded.contains(&digest);
            let device = self.suspects.iter().find(is_from);
            let folder = device.map_or("device1", |suspect| &suspect.name);
            assert!(path.starts_with(folder), "{} came from {folder}", path.display());
        }
    }

    /// No file leaves even a hostile device unless it is whole in the store.
    #[track_caller]
    fn assert_suspects_lost_nothing(&self) {
        let stored: BTreeSet<Digest> = self.fleet.store_files().into_values().collect();
        for suspect in &self.suspects {
            let there: BTreeSet<Digest> = recording::files_below(&suspect.folder).into_values().collect();
            for digest in &suspect.recorded {
                let kept = there.contains(digest) || stored.contains(digest);
                assert!(kept, "{} ({}) lost {digest}", suspect.name, suspect.case.lie);
            }
        }
    }

    /// Adds the hostile devices to the configuration of ssh.
    fn make_known(&self, way: Way) {
        let file = |name: &str| fs::read_to_string(self.fleet.path(name)).expect("a file of ssh's");
        let (mut config, mut known) = (String::new(), file("known_hosts"));
        for suspect in &self.suspects {
            let (name, port) = (&suspect.name, suspect.device.port());
            let key = self.fleet.path(KEY);
            writeln!(
                config,
                "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {}",
                key.display()
            )
            .expect("writing");
            if way == Way::ThroughJump {
                config.push_str("  ProxyJump jump\n");
            }
            let host_key = suspect.device.host_key();
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
const KEY: &str = "suspects-key";
