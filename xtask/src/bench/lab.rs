//! The place of the measurement: a jump host and devices, which are real OpenSSH servers on loopback.

mod server;

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use super::contents::each_chunk;
use super::enclosure::Enclosure;
use super::link::{Link, Route};
use super::meter::Group;
use super::relay::Passed;
use super::work::{Fate, Work};
use crate::command::output;
use server::{Server, free_port};

/// A fleet behind a jump host. Dropping it ends the servers, then takes the disk down.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) folder: PathBuf,
    pub(super) work: Work,
    link: Link,
    route: Route,
    pub(super) device_port: u16,
    /// For a client that is no OpenSSH: where a tool may open a tunnel to the device.
    pub(super) tunnel_port: u16,
    jump_port: u16,
    ports: Vec<u16>,
    servers: Vec<Server>,
    more_files: usize,
    /// The control group of the servers.
    pub(super) group: Option<Group>,
    /// Last: servers have files open on it.
    disk: Disk,
}

impl Lab {
    pub(super) fn open(enclosure: &Enclosure, work: &Work, link: &Link) -> Result<Self> {
        let folder = enclosure.folder.clone();
        let disk = Disk::open(enclosure, work)?;
        make_folder(&folder.join("keys"))?;
        make_folder(&folder.join("home"))?;
        let group = enclosure
            .group
            .as_ref()
            .map(|parent| Group::create(parent, "servers"))
            .transpose()?;
        make_key(&folder.join("keys/client"))?;
        let mut servers = Vec::new();
        for name in ["jump", "device"] {
            make_key(&folder.join("keys").join(name))?;
            let is_apart = name == "device" && work.devices_apart && enclosure.root;
            servers.push(if is_apart {
                Server::start_apart(&folder, name, group.as_ref())?
            } else {
                Server::start(&folder, name, group.as_ref(), enclosure.root)?
            });
        }
        let port_of = |name: &str| {
            let server = servers.iter().find(|server| server.name == name);
            server.map(|server| server.port).context("a server is missing")
        };
        let (jump_port, device_port) = (port_of("jump")?, port_of("device")?);
        let ports = work
            .fates()
            .into_iter()
            .map(|fate| match fate {
                Fate::Live => Ok(device_port),
                Fate::Refusing => free_port(),
                Fate::Silent => silent_port(),
            })
            .collect::<Result<_>>()?;
        let route = link.set_up(jump_port)?;
        let mut lab = Self {
            folder,
            work: work.clone(),
            link: link.clone(),
            route,
            device_port,
            tunnel_port: free_port()?,
            jump_port,
            ports,
            servers,
            more_files: 0,
            group,
            disk,
        };
        lab.set_up_link()?;
        Ok(lab)
    }

    /// A fresh link, on which outages come at the same times for every tool.
    pub(super) fn set_up_link(&mut self) -> Result<()> {
        self.route = self.link.set_up(self.jump_port)?;
        self.write_ssh_config("ssh_config", "")?;
        let shared = format!(
            "  ControlMaster auto\n  ControlPath {}/jump\n",
            self.folder.display()
        );
        self.write_ssh_config("ssh_config_shared", &shared)
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

    /// Where the tools bring the files. The ledger of gleaner is beside it, on the same disk.
    pub(super) fn store(&self) -> PathBuf {
        self.disk.folder.join("store")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.disk.folder.join("ledger/ledger.db")
    }

    pub(super) fn devices(&self) -> usize {
        self.ports.len()
    }

    /// Puts everything where it was before anybody gathered.
    pub(super) fn lay_out(&self) -> Result<()> {
        for folder in [self.sources(), self.store(), self.disk.folder.join("ledger")] {
            clear(&folder)?;
            make_folder(&folder)?;
        }
        self.record()
    }

    /// Has the devices record their files, and lets nothing of that be written later.
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

    /// Has the second device record as many small files as are asked for, beside what is there.
    pub(super) fn record_more(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.more_files += 1;
            let file = self.source(2).join(format!("new{:06}.np", self.more_files));
            fs::write(&file, self.more_files.to_string())
                .with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }

    /// What every tool reads, with `of_jump` added to what is said of the jump host.
    fn write_ssh_config(&self, name: &str, of_jump: &str) -> Result<()> {
        let folder = self.folder.display();
        let (host, port) = self.route.near_end();
        let mut text =
            format!("Host jump\n  HostName {host}\n  Port {port}\n  HostKeyAlias jump\n{of_jump}\n");
        for (number, port) in (1..).zip(&self.ports) {
            writeln!(
                text,
                "Host {}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias device\n  ProxyJump jump\n",
                device_name(number)
            )?;
        }
        writeln!(
            text,
            "Host *\n  IdentityFile {folder}/keys/client\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/keys/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  ConnectTimeout 10\n  LogLevel ERROR"
        )?;
        fs::write(self.folder.join(name), text)?;
        let mut known = String::new();
        for server in &self.servers {
            let key = fs::read_to_string(self.folder.join(format!("keys/{}.pub", server.name)))?;
            write!(known, "{} {key}", server.name)?;
            if server.name == "device" {
                write!(known, "[127.0.0.1]:{} {key}", self.tunnel_port)?;
            }
        }
        fs::write(self.folder.join("keys/known_hosts"), known)?;
        Ok(())
    }
}

pub(super) fn device_name(number: usize) -> String {
    format!("dev{number}")
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Has everything that was written to a file system on its disk, so that the next to be measured does not pay
/// for it.
fn flush(folder: &Path) -> Result<()> {
    output(Command::new("sync").arg("--file-system").arg(folder)).map(drop)
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

fn make_key(file: &Path) -> Result<()> {
    for old in [file.to_owned(), file.with_extension("pub")] {
        if old.exists() {
            fs::remove_file(old)?;
        }
    }
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"])
        .arg(file);
    output(command.stdin(Stdio::null())).map(drop)
}

/// A port that takes connections and says nothing, as long as this program runs.
fn silent_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a silent port")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming());
    });
    Ok(port)
}

/// Where the sources and the store are. A fresh file system for root, so that the age of the machine's disk
/// does not count; otherwise a folder.
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
        // Tables that are made later, in the background, would count for the tool that runs then.
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
        // Not mounted if that is what failed. A server of another namespace may hold it for a moment:
        // detached, it goes.
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
