//! A jump host and devices on loopback: real sshds of this very machine, one temporary folder for everything.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use engine::ports::device::{DeviceFailure, Devices, Entry, Listed, Session, SurveyItem};
use model::{DeviceName, RelativePath, SourcePath};
use ssh::{SshDevices, SshOptions, SshSession, Target};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Key pairs, made once for all runs: making them takes longer than all else.
struct Keys {
    host: PathBuf,
    other_host: PathBuf,
    user: PathBuf,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
        if !folder.exists() {
            let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            for name in ["host", "other-host", "user"] {
                let mut command = Command::new("ssh-keygen");
                command
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(made.path().join(name));
                assert!(command.status().unwrap().success());
            }
            // Another test process may have been quicker.
            fs::rename(made.path(), &folder).ok();
        }
        Keys {
            host: folder.join("host"),
            other_host: folder.join("other-host"),
            user: folder.join("user"),
        }
    })
}

/// Where the sftp server is, for commands that are forced upon a login.
pub(crate) const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) bandwidth: Option<u64>,
    jump: Sshd,
    devices: HashMap<String, Sshd>,
    hosts: String,
    known: String,
}

pub(crate) struct Sshd {
    process: Child,
    pub(crate) port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl World {
    /// A jump host, and no device yet.
    pub(crate) fn new() -> Self {
        Self::with_jump("")
    }

    /// A jump host with further lines in its configuration.
    pub(crate) fn with_jump(configuration: &str) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let jump = start_sshd(folder.path(), "jump", configuration, &keys().host);
        let mut world = Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            bandwidth: None,
            devices: HashMap::new(),
            hosts: String::new(),
            known: String::new(),
            jump,
            folder,
        };
        let port = world.jump.port;
        world.host("jump", port, false);
        world.known_host("127.0.0.1", port, &keys().host);
        world
    }

    /// A device behind the jump host, with further lines in its sshd's configuration.
    pub(crate) fn device(mut self, name: &str, configuration: &str) -> Self {
        let sshd = start_sshd(self.folder.path(), name, configuration, &keys().host);
        self.host(name, sshd.port, true);
        self.known_host("127.0.0.1", sshd.port, &keys().host);
        self.devices.insert(name.to_owned(), sshd);
        self
    }

    /// A device on whose port something else listens, or nothing.
    pub(crate) fn device_at(mut self, name: &str, port: u16) -> Self {
        self.host(name, port, true);
        self.known_host("127.0.0.1", port, &keys().host);
        self
    }

    /// An entry in the user's configuration.
    pub(crate) fn host(&mut self, name: &str, port: u16, through_jump: bool) {
        let jump = if through_jump { "ProxyJump jump" } else { "" };
        write!(
            self.hosts,
            "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  {jump}\n"
        )
        .unwrap();
    }

    pub(crate) fn configure(mut self, lines: &str) -> Self {
        self.hosts.insert_str(0, lines);
        self
    }

    pub(crate) fn known_host(&mut self, host: &str, port: u16, key: &Path) {
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        writeln!(self.known, "[{host}]:{port} {public}").unwrap();
    }

    /// Forgets the host keys of a device; with `swapped`, another one is known in their place.
    pub(crate) fn forget_key_of(&mut self, name: &str, swapped: bool) {
        let port = if name == "jump" {
            self.jump.port
        } else {
            self.devices[name].port
        };
        let place = format!("[127.0.0.1]:{port} ");
        self.known = self
            .known
            .lines()
            .filter(|line| !line.starts_with(&place))
            .fold(String::new(), |known, line| known + line + "\n");
        if swapped {
            self.known_host("127.0.0.1", port, &keys().other_host);
        }
    }

    /// Makes a key known by the name of a device, as `HostKeyAlias` has it.
    pub(crate) fn known_name(&mut self, name: &str) {
        let public = fs::read_to_string(keys().host.with_extension("pub")).unwrap();
        writeln!(self.known, "{name} {public}").unwrap();
    }

    pub(crate) fn port(&self, name: &str) -> u16 {
        self.devices[name].port
    }

    pub(crate) fn device_process(&self, name: &str) -> u32 {
        self.devices[name].process.id()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder that stands for what a device records.
    pub(crate) fn source(&self, name: &str) -> (PathBuf, SourcePath) {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        let source = SourcePath::new(path.as_os_str().as_bytes()).unwrap();
        (path, source)
    }

    pub(crate) fn write_configuration(&self) -> PathBuf {
        let known_hosts = self.path("known_hosts");
        fs::write(&known_hosts, &self.known).unwrap();
        let path = self.path("ssh_config");
        let text = format!(
            "{}Host *\n  UserKnownHostsFile {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
            self.hosts,
            known_hosts.display(),
            keys().user.display()
        );
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn options(&self) -> SshOptions {
        SshOptions {
            config: Some(self.write_configuration()),
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

    /// Connects, and says what an earlier session has found out about compression.
    pub(crate) async fn connect_knowing(
        &self,
        name: &str,
        sources: &[SourcePath],
        compression_paid: Option<bool>,
    ) -> Result<Connection, DeviceFailure> {
        let fleet = self.fleet(&[name]);
        let session = fleet
            .connect(&DeviceName::new(name).unwrap(), sources, compression_paid)
            .await?;
        Ok(Connection {
            session,
            _fleet: fleet,
        })
    }
}

/// A session with what must outlive it.
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

fn start_sshd(folder: &Path, name: &str, configuration: &str, host_key: &Path) -> Sshd {
    fs::create_dir_all("/run/sshd").ok();
    let authorized = folder.join("authorized_keys");
    fs::copy(keys().user.with_extension("pub"), &authorized).unwrap();
    for _ in 0..5 {
        let port = free_port();
        let path = folder.join(format!("{name}.sshd_config"));
        // The first value counts: a test's own lines stand first.
        let text = format!(
            "{configuration}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nPidFile none\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 100\nSubsystem sftp {SFTP_SERVER}\n",
            host_key.display(),
            authorized.display(),
        );
        fs::write(&path, text).unwrap();
        let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut sshd = Sshd { process, port };
        let listens = eventually(|| {
            sshd.process.try_wait().unwrap().is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if listens && sshd.process.try_wait().unwrap().is_none() {
            return sshd;
        }
    }
    panic!(
        "sshd does not start: {}",
        fs::read_to_string(folder.join(format!("{name}.log"))).unwrap()
    );
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits for a condition for at most ten seconds.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// An executable shell script; returns its path.
pub(crate) fn script(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub(crate) fn relative(path: impl AsRef<OsStr>) -> RelativePath {
    RelativePath::new(path.as_ref().as_bytes()).unwrap()
}

/// Everything that a survey says.
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
    assert_eq!(result?, Listed::Whole);
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
