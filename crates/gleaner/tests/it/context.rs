//! A fleet for one test: a jump host, devices behind it, a store, a configuration, and gleaner to run there.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use tempfile::TempDir;
use testbed::processes::{self, Process};
use testbed::{Client, Host, Session, Sshd, Tap, wait_until};
use toml::{Table, Value};

use crate::device::{self, Device};
use crate::outcome::{Call, Outcome, PATH, Running};
use crate::recording::Manifest;

/// `settle` and `settle_blind` in the configurations of the tests.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Fleet {
    devices: Vec<Device>,
    pub(crate) jump: Sshd,
    pub(crate) manifest: Arc<Manifest>,
    config: Mutex<Table>,
    root: TempDir,
}

impl Fleet {
    /// This number of ordinary devices, called `device1` and so on, and an initialised store.
    pub(crate) fn new(devices: usize) -> Self {
        Self::of(&vec![Session::Gnu; devices])
    }

    /// A device for each session, called `device1` and so on, and an initialised store.
    pub(crate) fn of(sessions: &[Session]) -> Self {
        let fleet = Self::without_store(sessions);
        fleet.init_store();
        fleet
    }

    /// Like `of`, but with an empty folder in place of the store.
    pub(crate) fn without_store(sessions: &[Session]) -> Self {
        // Short, because the paths of control sockets are limited to 108 bytes.
        let root = tempfile::Builder::new()
            .prefix("gl-")
            .tempdir()
            .expect("a temporary folder");
        // Devices that log in as the user `nobody` must reach their cards.
        fs::set_permissions(root.path(), PermissionsExt::from_mode(0o711)).expect("opening the folder");
        for folder in ["home", "tmp", "run", "bin", "store", "ledger"] {
            fs::create_dir(root.path().join(folder)).expect("making folders");
        }
        let manifest = Arc::new(Manifest::default());
        let jump = device::serve(root.path(), "jump", Session::Gnu, String::new());
        let devices = (1..).zip(sessions).map(|(number, session)| {
            Device::start(root.path(), &format!("device{number}"), *session, &manifest)
        });
        let devices = devices.collect();
        let fleet = Self {
            devices,
            jump,
            manifest,
            config: Mutex::default(),
            root,
        };
        fleet.write_ssh_config();
        fleet.write_first_config();
        fleet
    }

    /// The device with this number, counted from 1.
    pub(crate) fn device(&self, number: usize) -> &Device {
        &self.devices[number - 1]
    }

    pub(crate) fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The servers of the devices and the jump host.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Sshd> {
        self.devices
            .iter()
            .map(|device| &device.server)
            .chain([&self.jump])
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.path("ledger/ledger.db")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn init_store(&self) {
        self.gleaner(["store", "init", "--local"]).exits(0);
    }

    /// Sets a key, such as `store.layout`, `defaults.settle` or `device1.release`.
    pub(crate) fn set(&self, key: &str, value: impl Into<Value>) -> &Self {
        let (section, name) = key.split_once('.').expect("section.key");
        let mut config = self.config.lock().expect("lock");
        section_of(&mut config, section).insert(name.to_owned(), value.into());
        fs::write(self.path("gleaner.toml"), config.to_string()).expect("writing the configuration");
        self
    }

    /// The configuration with another value for one key.
    pub(crate) fn config_with(&self, key: &str, value: impl Into<Value>) -> String {
        let (section, name) = key.split_once('.').expect("section.key");
        let mut config = self.config.lock().expect("lock").clone();
        section_of(&mut config, section).insert(name.to_owned(), value.into());
        config.to_string()
    }

    /// The configuration as text.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.path("gleaner.toml")).expect("reading the configuration")
    }

    /// Writes a second configuration, as of another collector: the same devices and store, another ledger.
    pub(crate) fn second_collector(&self) -> PathBuf {
        let file = self.path("second.toml");
        let mut config = self.config.lock().expect("lock").clone();
        let ledger = self
            .path("ledger/second.db")
            .to_str()
            .expect("a plain path")
            .to_owned();
        section_of(&mut config, "ledger").insert("path".to_owned(), ledger.into());
        fs::write(&file, config.to_string()).expect("writing the configuration");
        file
    }

    /// Puts a link that can fail in front of a device. `device.tap()` returns it.
    pub(crate) fn tap(&self, number: usize) -> &Self {
        let device = self.device(number);
        *device.tap() = Some(Tap::to(device.server.port()));
        self.write_ssh_config();
        self
    }

    /// A call of gleaner with this fleet's configuration.
    pub(crate) fn call<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Call {
        let call = Call::new(self.root(), Path::new(env!("CARGO_BIN_EXE_gleaner")));
        // Guards inherit only PATH: the folder in it identifies them.
        call.env("GLEANER_CONFIG", self.path("gleaner.toml"))
            .env("PATH", format!("{}:{PATH}", self.path("bin").display()))
            .arguments(arguments)
    }

    /// Runs gleaner to its end.
    pub(crate) fn gleaner<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Outcome {
        self.call(arguments).run()
    }

    /// Starts gleaner.
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Running {
        self.call(arguments).start()
    }

    /// Runs `gleaner run` once all recorded files count as settled.
    pub(crate) fn sweep(&self) -> Outcome {
        self.wait_until_settled();
        self.gleaner(["run"])
    }

    /// Sweeps until no file is left on any device; lesser devices need a second survey. The last sweep must
    /// exit with status 0.
    #[track_caller]
    pub(crate) fn sweep_until_emptied(&self) -> Outcome {
        let mut sweeps = 0;
        loop {
            let outcome = self.sweep();
            sweeps += 1;
            if self.devices.iter().all(Device::is_empty) {
                return outcome.exits(0);
            }
            assert!(
                sweeps < 4,
                "not emptied after {sweeps} sweeps\n{}\n{}",
                self.left_files(),
                outcome.transcript()
            );
            thread::sleep(SETTLE);
        }
    }

    /// Waits until every file on every device has been untouched for longer than `settle`.
    pub(crate) fn wait_until_settled(&self) {
        let newest = self.devices.iter().filter_map(Device::last_touched).max();
        let settled = newest.map(|time| time + SETTLE + Duration::from_millis(200));
        if let Some(wait) = settled.and_then(|time| time.duration_since(SystemTime::now()).ok()) {
            thread::sleep(wait.min(SETTLE * 2));
        }
    }

    /// Asserts that within 5 s no process is left of a gleaner that has ended: no ssh, no guard.
    #[track_caller]
    pub(crate) fn assert_no_ssh_left(&self) {
        let left = self.ssh_left();
        assert!(left.is_empty(), "after 5 s there is still:\n{}", left.join("\n"));
    }

    /// The processes that are left, after 5 s, of a gleaner that has ended.
    pub(crate) fn ssh_left(&self) -> Vec<String> {
        wait_until(Duration::from_secs(5), || self.own_processes().is_empty());
        self.own_processes().iter().map(Process::shown).collect()
    }

    /// Puts a shell script before the program of that name, for the children of gleaner.
    pub(crate) fn put_first_in_path(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writing a script");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("making it a program");
    }

    /// Asserts that at this moment no guard is left of a gleaner that has ended.
    #[track_caller]
    pub(crate) fn assert_no_guard_left(&self) {
        let mut guards = self.own_processes();
        guards.retain(|process| !process.program.starts_with("ssh"));
        let left: Vec<_> = guards.iter().map(Process::shown).collect();
        assert!(left.is_empty(), "there is still:\n{}", left.join("\n"));
    }

    /// The files left on the devices, for a failing assertion.
    pub(crate) fn left_files(&self) -> String {
        let mut text = String::new();
        for device in &self.devices {
            for path in device.paths().iter().take(20) {
                writeln!(text, "{}: {}", device.name, crate::recording::shown(path))
                    .expect("writing to a string");
            }
        }
        text
    }

    /// Processes that belong to this fleet and are not its servers.
    fn own_processes(&self) -> Vec<Process> {
        let servers = self.servers().flat_map(Sshd::processes);
        let servers: Vec<u32> = servers.map(|process| process.id).collect();
        let mut found = processes::mentioning(self.root());
        // The processes of a session on a device outlive its server only for a moment.
        found.retain(|process| !servers.contains(&process.id) && !process.environment_has("SSH_CONNECTION="));
        found
    }

    fn write_ssh_config(&self) {
        let mut client = Client::new(device::key("client"));
        let host = |alias: &str, address, port, server: &Sshd| Host {
            alias: alias.to_owned(),
            address,
            port,
            key: Some(server.host_key().clone()),
        };
        client
            .hosts
            .push(host("jump", "127.0.0.1", self.jump.port(), &self.jump));
        for device in &self.devices {
            client
                .hosts
                .push(host(&device.name, "localhost", device.port(), &device.server));
        }
        client.write(self.root());
    }

    fn write_first_config(&self) {
        let plain = |path: PathBuf| path.to_str().expect("a plain path").to_owned();
        self.set("store.path", plain(self.store()));
        self.set("store.min_free", "1 MiB");
        self.set("ledger.path", plain(self.ledger()));
        self.set("ssh.config", plain(self.path("ssh_config")));
        self.set("defaults.settle", "1s");
        self.set("defaults.settle_blind", "1s");
        for device in &self.devices {
            self.set(&format!("{}.source", device.name), device.source.as_str());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if thread::panicking() {
            for server in self.servers() {
                eprintln!("--- {}", server.log_tail());
            }
        }
        for process in self.own_processes() {
            process.signal(Signal::KILL);
        }
        if thread::panicking() && std::env::var_os("GLEANER_IT_KEEP").is_some() {
            eprintln!("kept: {}", self.root().display());
            self.root.disable_cleanup(true);
        }
    }
}

/// Returns the table of a section. `deviceN` means the `[[device]]` of that name.
fn section_of<'config>(config: &'config mut Table, section: &str) -> &'config mut Table {
    if !section.starts_with("device") {
        let table = config
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        return table.as_table_mut().expect("a table");
    }
    let devices = config.entry("device").or_insert_with(|| Value::Array(Vec::new()));
    let devices = devices.as_array_mut().expect("an array");
    let named = |device: &Value| device.get("name").and_then(Value::as_str) == Some(section);
    let position = devices.iter().position(named).unwrap_or_else(|| {
        devices.push(Value::Table(
            [("name".to_owned(), section.into())].into_iter().collect(),
        ));
        devices.len() - 1
    });
    devices[position].as_table_mut().expect("a table")
}
