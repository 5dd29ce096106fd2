//! The servers of a measurement: a jump host and devices, which are real OpenSSH servers.
//!
//! The devices' servers listen on loopback. Over a link of packets that is the loopback of the far side.

mod server;

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use testbed::{Client, Host, Port, Sshd};

use super::contents::each_chunk;
use super::enclosure::Enclosure;
use super::groups::Group;
use super::link::{FAR_ADDRESS, Link, Network, Passed, Route};
use super::work::{Fate, Work};
use crate::command::output;
use server::{Devices, Keys};

/// A fleet behind a jump host. Dropping it ends the servers, then unmounts the disk.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) folder: PathBuf,
    pub(super) work: Work,
    link: Link,
    side: Side,
    route: Route,
    pub(super) keys: Keys,
    jump: Sshd,
    devices: Devices,
    /// The port of each device.
    ports: Vec<u16>,
    /// The ports of devices that refuse connections.
    _refusing: Vec<Port>,
    /// For tools that do not use OpenSSH: the port where they may open a tunnel to the device.
    pub(super) tunnel: Port,
    more_files: usize,
    /// The control groups of the servers.
    pub(super) groups: Option<ServerGroups>,
    /// Dropped last, because servers have files open on it.
    disk: Disk,
}

/// The control groups of both kinds of servers.
#[derive(Debug)]
pub(super) struct ServerGroups {
    pub(super) jump: Group,
    pub(super) devices: Group,
}

impl ServerGroups {
    fn create(enclosure: &Enclosure, work: &Work) -> Result<Option<Self>> {
        let Some(groups) = &enclosure.groups else {
            return Ok(None);
        };
        let devices = match work.device_percent_of_core {
            Some(percent) => Group::limited(groups, "devices", percent)?,
            None => Group::create(groups, "devices")?,
        };
        let jump = Group::create(groups, "jump")?;
        Ok(Some(Self { jump, devices }))
    }
}

/// The side on which the servers are: the far side of the network, or that of the tools.
#[derive(Debug)]
struct Side(Option<Arc<Network>>);

impl Side {
    /// The words that run a server here, in its control group.
    fn runner(&self, group: Option<&Group>) -> Vec<OsString> {
        let enter = self.0.as_ref().map(|network| network.runner());
        let group = group.map(Group::runner);
        [group, enter].into_iter().flatten().flatten().collect()
    }

    /// The lines of the jump host's configuration.
    fn jump_lines(&self) -> String {
        let listen = |_| format!("ListenAddress {FAR_ADDRESS}\n");
        self.0.as_ref().map(listen).unwrap_or_default()
    }

    /// Opens a port on loopback.
    fn listen(&self) -> Result<TcpListener> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a port for devices");
        match &self.0 {
            Some(network) => network.on_far_side(listen),
            None => listen(),
        }
    }
}

impl Lab {
    /// Without a network, the link is one of streams.
    pub(super) fn open(
        enclosure: &Enclosure,
        network: Option<&Arc<Network>>,
        work: &Work,
        link: &Link,
    ) -> Result<Self> {
        let folder = enclosure.folder.clone();
        let disk = Disk::open(enclosure, work)?;
        make_folder(&folder.join("home"))?;
        let side = Side(network.filter(|_| link.character.is_some()).cloned());
        let groups = ServerGroups::create(enclosure, work)?;
        let keys = Keys::in_folder(&folder.join("keys"));
        let runner = side.runner(groups.as_ref().map(|groups| &groups.jump));
        let lines = side.jump_lines();
        let settings = server::settings(&folder.join("jump"), &keys.jump, &keys, &lines, runner);
        let jump = Sshd::start(settings);
        let mut runner = side.runner(groups.as_ref().map(|groups| &groups.devices));
        runner.extend(server::runner_without(&work.device_lacks));
        let settings = server::settings(&folder.join("device"), &keys.device, &keys, "", runner);
        let devices = Devices::start(settings, work.devices_apart && enclosure.root, &side)?;
        let mut refusing = Vec::new();
        let mut ports = Vec::new();
        for fate in work.fates() {
            ports.push(match fate {
                Fate::Live => devices.port(),
                Fate::Silent => silent_port(&side)?,
                Fate::Refusing => {
                    let port = Port::free();
                    let number = port.number();
                    refusing.push(port);
                    number
                }
            });
        }
        let mut lab = Self {
            folder,
            work: work.clone(),
            link: link.clone(),
            route: link.set_up(jump.port(), side.0.as_ref())?,
            side,
            keys,
            jump,
            devices,
            ports,
            _refusing: refusing,
            tunnel: Port::free(),
            more_files: 0,
            groups,
            disk,
        };
        lab.set_up_link()?;
        Ok(lab)
    }

    /// Sets up a new link, on which outages come at the same times for every tool.
    pub(super) fn set_up_link(&mut self) -> Result<()> {
        self.route = self.link.set_up(self.jump.port(), self.side.0.as_ref())?;
        self.client("").write(&self.folder);
        let shared = format!(
            "  ControlMaster auto\n  ControlPath {}/jump.socket\n",
            self.folder.display()
        );
        make_folder(&self.folder.join("shared"))?;
        self.client(&format!("Host jump\n{shared}"))
            .write(&self.folder.join("shared"));
        Ok(())
    }

    /// The ssh configuration that every tool reads, after `lines`.
    fn client(&self, lines: &str) -> Client {
        const LINES: &str =
            "Host *\n  StrictHostKeyChecking yes\n  BatchMode yes\n  ConnectTimeout 10\n  LogLevel ERROR\n";
        let (address, port) = self.route.near_end();
        let jump = Host {
            alias: "jump".to_owned(),
            address,
            port,
            key: Some(self.keys.jump.clone()),
        };
        let device = |(number, port): (usize, &u16)| Host {
            alias: device_name(number),
            address: "127.0.0.1",
            port: *port,
            key: None,
        };
        let known_at = |port| self.keys.device.known_at("127.0.0.1", port);
        Client {
            lines: format!("{lines}{LINES}"),
            hosts: std::iter::once(jump)
                .chain((1..).zip(&self.ports).map(device))
                .collect(),
            known: known_at(self.devices.port()) + &known_at(self.tunnel.number()),
            identity: self.keys.client.clone(),
        }
    }

    pub(super) fn device_port(&self) -> u16 {
        self.devices.port()
    }

    pub(super) fn passed(&self) -> Option<Passed> {
        self.route.passed()
    }

    pub(super) fn sources(&self) -> PathBuf {
        self.disk.folder.join("sources")
    }

    pub(super) fn source(&self, device: usize) -> PathBuf {
        self.sources().join(device_name(device))
    }

    /// The folder that the tools gather files into. gleaner's ledger is beside it, on the same disk.
    pub(super) fn store(&self) -> PathBuf {
        self.disk.folder.join("store")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.disk.folder.join("ledger/ledger.db")
    }

    pub(super) fn devices(&self) -> usize {
        self.ports.len()
    }

    /// Restores the state before the first run.
    pub(super) fn lay_out(&self) -> Result<()> {
        for folder in [self.sources(), self.store(), self.disk.folder.join("ledger")] {
            clear(&folder)?;
            make_folder(&folder)?;
        }
        self.record()
    }

    /// Makes the devices record their files, and flushes them so that nothing is written during a run.
    pub(super) fn record(&self) -> Result<()> {
        for device in self.work.live_devices() {
            let source = self.source(device);
            make_folder(&source)?;
            let mut folder = PathBuf::new();
            for file in self.work.files(device) {
                let path = source.join(&file.path);
                if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
                    folder = parent.to_owned();
                    make_folder(&folder)?;
                }
                let mut writing =
                    fs::File::create(&path).with_context(|| format!("make {}", path.display()))?;
                each_chunk(file.seed, file.size, self.work.shape, |chunk| {
                    Ok(std::io::Write::write_all(&mut writing, chunk)?)
                })?;
            }
        }
        flush(&self.disk.folder)
    }

    /// Makes the second device record `count` small files beside the existing ones.
    pub(super) fn record_more(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.more_files += 1;
            let file = self.source(2).join(format!("new{:06}.np", self.more_files));
            fs::write(&file, self.more_files.to_string())
                .with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }
}

pub(super) fn device_name(number: usize) -> String {
    format!("dev{number}")
}

/// Removes a folder and its contents, if it exists.
pub(super) fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Flushes a file system, so that the next run does not pay for earlier writes.
fn flush(folder: &Path) -> Result<()> {
    output(Command::new("sync").arg("--file-system").arg(folder)).map(drop)
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

/// A port that accepts connections and never answers, as long as this program runs.
fn silent_port(side: &Side) -> Result<u16> {
    let listener = side.listen()?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming());
    });
    Ok(port)
}

/// The disk of the sources and the store. For root it is a new file system, so that the age of the machine's
/// disk has no effect. Otherwise it is a folder.
#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    image: Option<PathBuf>,
}

impl Disk {
    fn open(enclosure: &Enclosure, work: &Work) -> Result<Self> {
        let folder = enclosure.folder.join("disk");
        make_folder(&folder)?;
        if !enclosure.root {
            return Ok(Self { folder, image: None });
        }
        let image = enclosure.folder.join("disk.image");
        let disk = Self {
            folder,
            image: Some(image.clone()),
        };
        fs::File::create(&image)?.set_len(work.disk_gibibytes() << 30)?;
        // Tables that ext4 makes later, in the background, would slow down the tool that runs then.
        output(
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N"])
                .arg(work.disk_files().to_string())
                .arg(&image),
        )?;
        output(
            Command::new("mount")
                .args(["-o", "loop"])
                .args([&image, &disk.folder]),
        )?;
        flush(&disk.folder)?;
        Ok(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Some(image) = &self.image else {
            drop(clear(&self.folder));
            return;
        };
        // Fails if the mount itself failed. A server in another namespace may hold it for a moment: a lazy
        // unmount frees it then.
        drop(
            Command::new("umount")
                .arg("--lazy")
                .arg(&self.folder)
                .stderr(Stdio::null())
                .status(),
        );
        drop(fs::remove_file(image));
    }
}
