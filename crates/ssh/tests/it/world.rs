//! A jump host and devices on loopback: real sshds of this machine, in one temporary folder.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::ports::device::{
    ConnectHints, DeviceFailure, Devices, Entry, ListingEnd, Openness, Session as _, SurveyItem,
};
use model::{DeviceName, RelativePath, SourcePath};
use ssh::{SshDevices, SshOptions, SshSession, Target};
use tempfile::TempDir;
use testbed::processes::{self, Process};
use testbed::{Client, Host, KeyPair, Session, Settings, Sshd};
use tokio::sync::mpsc;

/// The time within which an awaited event must happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

fn key(name: &str) -> KeyPair {
    KeyPair::kept_in(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys"), name)
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) client: Client,
    servers: HashMap<String, Sshd>,
}

impl World {
    /// A jump host, and no device yet.
    pub(crate) fn new() -> Self {
        Self::with_jump("")
    }

    /// A jump host with further lines in its configuration.
    pub(crate) fn with_jump(lines: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir_in("/tmp").unwrap(),
            connect_timeout: SOON,
            stall_timeout: Duration::from_secs(20),
            bandwidth: None,
            client: Client::new(key("client")),
            servers: HashMap::new(),
        };
        world.device("jump", lines)
    }

    /// A device behind the jump host, with further lines in its sshd's configuration.
    pub(crate) fn device(mut self, name: &str, lines: &str) -> Self {
        let sshd = Sshd::start(Settings {
            folder: self.path(name),
            session: Session::Gnu,
            lines: lines.to_owned(),
            runner: Vec::new(),
            host_key: key("host"),
            client_key: key("client"),
        });
        self = self.device_at(name, sshd.port());
        self.servers.insert(name.to_owned(), sshd);
        self
    }

    /// A device on whose port another program listens, or none.
    pub(crate) fn device_at(mut self, name: &str, port: u16) -> Self {
        self.client.hosts.push(Host {
            alias: name.to_owned(),
            address: "127.0.0.1",
            port,
            key: Some(key("host")),
        });
        self
    }

    /// Puts lines ahead of the user's configuration.
    pub(crate) fn configure(mut self, lines: &str) -> Self {
        self.client.lines.insert_str(0, lines);
        self
    }

    /// Forgets the host key of a server. With `swapped`, another one is known in its place.
    pub(crate) fn forget_key_of(&mut self, name: &str, swapped: bool) {
        let mut hosts = self.client.hosts.iter_mut();
        let host = hosts.find(|host| host.alias == name).unwrap();
        host.key = swapped.then(|| key("other-host"));
    }

    /// Makes the key known by the name of a device, as `HostKeyAlias` requires.
    pub(crate) fn known_name(&mut self, name: &str) {
        self.client.known = format!("{name} {}", key("host").public());
    }

    /// The server of a device, or that of `jump`.
    pub(crate) fn server(&self, name: &str) -> &Sshd {
        &self.servers[name]
    }

    /// How often a server has accepted a login.
    pub(crate) fn logins(&self, name: &str) -> usize {
        self.server(name).log().matches("Accepted publickey").count()
    }

    /// All ssh processes of this world's clients: each names our private configuration.
    pub(crate) fn ssh_processes(&self) -> Vec<Process> {
        let mut found = processes::mentioning(self.folder.path());
        found.retain(|process| process.program == "ssh");
        found
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder in the role of a device's recordings.
    pub(crate) fn source(&self, name: &str) -> (PathBuf, SourcePath) {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        let source = SourcePath::new(path.as_os_str().as_bytes()).unwrap();
        (path, source)
    }

    pub(crate) fn options(&self) -> SshOptions {
        SshOptions {
            config: Some(self.client.write(self.folder.path())),
            connect_timeout: self.connect_timeout,
            runtime_dir: Some(self.folder.path().to_owned()),
            ..SshOptions::default()
        }
    }

    pub(crate) fn target(&self, name: &str) -> Target {
        Target {
            stall_timeout: self.stall_timeout,
            bandwidth: self.bandwidth,
            ..Target::alias(DeviceName::new(name).unwrap())
        }
    }

    pub(crate) fn fleet(&self, names: &[&str]) -> SshDevices {
        let targets = names.iter().map(|name| self.target(name)).collect();
        SshDevices::new(&self.options(), targets).unwrap()
    }

    pub(crate) async fn connect(
        &self,
        name: &str,
        sources: &[SourcePath],
    ) -> Result<Connection, DeviceFailure> {
        self.connect_knowing(name, sources, None).await
    }

    /// Connects, with what an earlier session has found out about compression.
    pub(crate) async fn connect_knowing(
        &self,
        name: &str,
        sources: &[SourcePath],
        compression_paid: Option<bool>,
    ) -> Result<Connection, DeviceFailure> {
        let fleet = self.fleet(&[name]);
        let hints = ConnectHints {
            compression_paid,
            ..ConnectHints::default()
        };
        let session = fleet
            .connect(&DeviceName::new(name).unwrap(), sources, hints)
            .await?;
        Ok(Connection {
            session,
            _fleet: fleet,
        })
    }
}

/// A session, with what must outlive it.
pub(crate) struct Connection {
    pub(crate) session: SshSession,
    _fleet: SshDevices,
}

impl std::ops::Deref for Connection {
    type Target = SshSession;

    fn deref(&self) -> &SshSession {
        &self.session
    }
}

/// Writes an executable shell script; returns its path.
pub(crate) fn script(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A device that finds this shell script in place of the tool.
pub(crate) fn with_tool(tool: &str, text: &str) -> World {
    with_tools(&[(tool, text)])
}

/// A device that finds each of these shell scripts in place of the tool.
pub(crate) fn with_tools(scripts: &[(&str, &str)]) -> World {
    let world = World::new();
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    for (tool, text) in scripts {
        fs::rename(script(&world, tool, text), tools.join(tool)).unwrap();
    }
    let path = format!("PATH={}:$PATH\nexport PATH", tools.display());
    let wrapper = script(
        &world,
        "wrapper",
        &format!("{path}\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\""),
    );
    world.device("hive", &format!("ForceCommand {}", wrapper.display()))
}

pub(crate) fn relative(path: impl AsRef<OsStr>) -> RelativePath {
    RelativePath::new(path.as_ref().as_bytes()).unwrap()
}

/// All items of a survey.
pub(crate) async fn survey(
    session: &SshSession,
    source: &SourcePath,
) -> Result<Vec<SurveyItem>, DeviceFailure> {
    let (sender, mut receiver) = mpsc::channel(2);
    let collect = async {
        let mut items = Vec::new();
        while let Some(batch) = receiver.recv().await {
            items.extend(batch);
        }
        items
    };
    let (result, items) = tokio::join!(session.survey(source, sender), collect);
    assert_eq!(result?, ListingEnd::Whole);
    Ok(items)
}

/// The entries of a survey by their names.
pub(crate) async fn entries(session: &SshSession, source: &SourcePath) -> HashMap<Vec<u8>, Entry> {
    let items = survey(session, source).await.unwrap();
    let entries = items.into_iter().map(|item| match item {
        SurveyItem::Entry(entry) => (entry.path.as_bytes().to_vec(), entry),
        other => panic!("{other:?}"),
    });
    entries.collect()
}

/// What an inspection says about one file.
pub(crate) async fn openness(session: &SshSession, source: &SourcePath, name: &str) -> Openness {
    let inspected = session.inspect(source, &[relative(name)]).await.unwrap();
    inspected[0].as_ref().unwrap().openness
}

/// Asserts what an inspection soon says about a file that no process writes to any more. A process that this
/// one has just started may have it open for a moment.
pub(crate) async fn soon(session: &SshSession, source: &SourcePath, name: &str, expected: Openness) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while openness(session, source, name).await != expected && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(openness(session, source, name).await, expected, "{name}");
}
