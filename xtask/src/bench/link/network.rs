//! Two network namespaces with a link of packets between them, for root.
//!
//! The near side is the namespace of this program and of the tools, which the enclosure has made. The far
//! side is for the servers. Its name is a file that is mounted below the folder of the measurement, so that
//! it ends with the measurement. Nothing leads out of either.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Passed;
use super::character::Character;
use super::packets::Packets;
use crate::command::output;

/// Addresses that RFC 2544 reserves for benchmarks.
pub(in crate::bench) const FAR_ADDRESS: &str = "198.18.0.2";
const NEAR: End = End {
    own: "198.18.0.1",
    other: FAR_ADDRESS,
};
const FAR: End = End {
    own: NEAR.other,
    other: NEAR.own,
};

/// The addresses of one end of the link.
#[derive(Debug, Clone, Copy)]
struct End {
    own: &'static str,
    other: &'static str,
}

/// The same name on both sides.
const DEVICE: &str = "link0";

/// Both sides and the link. They end with this program.
#[derive(Debug)]
pub(in crate::bench) struct Network {
    far: PathBuf,
    packets: Packets,
}

impl Network {
    /// Makes the far side. `folder` is where its name is mounted.
    pub(in crate::bench) fn open(folder: &Path) -> Result<Self> {
        let far = folder.join("far");
        File::create(&far).with_context(|| format!("make {}", far.display()))?;
        let mut name = OsString::from("--net=");
        name.push(&far);
        output(Command::new("unshare").arg(name).arg("true"))?;
        let near_end = open_end(NEAR)?;
        let far_end = inside(&far, || {
            output(Command::new("ip").args(["link", "set", "lo", "up"]))?;
            open_end(FAR)
        })?;
        Ok(Self {
            far,
            packets: Packets::between(near_end, far_end),
        })
    }

    /// The words that run the command after them on the far side.
    pub(in crate::bench) fn runner(&self) -> Vec<OsString> {
        let mut name = OsString::from("--net=");
        name.push(&self.far);
        vec!["nsenter".into(), name]
    }

    /// Does something in a thread on the far side, such as opening a port.
    pub(in crate::bench) fn on_far_side<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        inside(&self.far, work)
    }

    /// Whether this kernel can give a link the character: it may have to load a module.
    pub(in crate::bench) fn can_have(character: Character) -> bool {
        set_congestion_control(NEAR, character).is_ok()
    }

    /// Makes the link new, with this character.
    pub(super) fn set_up(&self, character: Character) -> Result<()> {
        set_congestion_control(NEAR, character)?;
        self.on_far_side(|| set_congestion_control(FAR, character))?;
        self.packets.set_up(character);
        Ok(())
    }

    pub(super) fn passed(&self) -> Passed {
        self.packets.passed()
    }
}

/// Does something in a thread in another network namespace.
fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let namespace = File::open(namespace).with_context(|| format!("open {}", namespace.display()))?;
    let enter_and_work = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("enter a network namespace")?;
        work()
    };
    thread::scope(|scope| scope.spawn(enter_and_work).join())
        .map_err(|_| anyhow!("a thread in another network namespace panicked"))?
}

/// For the connections that use the link from now on, at the end in this thread's namespace. A route may have
/// a control that the kernel does not permit as the default of a namespace.
fn set_congestion_control(end: End, character: Character) -> Result<()> {
    let control = character.congestion_control.name();
    let route = [
        "route", "replace", end.other, "dev", DEVICE, "src", end.own, "congctl",
    ];
    output(Command::new("ip").args(route).arg(control)).map(drop)
}

fn set(key: &str, value: &str) -> Result<()> {
    let file = Path::new("/proc/sys/net").join(key);
    fs::write(&file, value).with_context(|| format!("write {value} to {}", file.display()))
}

/// Makes one end of the link, in the namespace of this thread.
fn open_end(end: End) -> Result<File> {
    // Otherwise what one tool learns about the link would speed up the next.
    set("ipv4/tcp_no_metrics_save", "1")?;
    // A kernel without IPv6 does not have this file; with IPv6, its announcements would count as traffic.
    drop(set("ipv6/conf/default/disable_ipv6", "1"));
    let device = open_tun()?;
    let ip = |words: &[&str]| output(Command::new("ip").args(words));
    ip(&["address", "add", end.own, "peer", end.other, "dev", DEVICE])?;
    // A queue that never fills: only the link's own drops packets.
    ip(&["link", "set", DEVICE, "txqueuelen", "20000", "mtu", "1500", "up"])?;
    Ok(device)
}

/// The kernel's `struct ifreq`, as far as TUNSETIFF reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Makes a TUN device. What is written to the file arrives at the device, and what the device sends is read
/// from the file. It ends when the file is closed.
#[allow(
    unsafe_code,
    reason = "no crate of this project has a safe call for this request"
)]
fn open_tun() -> Result<File> {
    /// `_IOW('T', 202, int)`.
    const TUNSETIFF: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<i32>(b'T', 202);
    /// Whole packets of IP, without a header of the driver.
    const IFF_TUN_AND_NO_PI: u16 = 0x1001;
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let file = file.context("open /dev/net/tun")?;
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: IFF_TUN_AND_NO_PI,
        rest: [0; 22],
    };
    for (place, byte) in request.name.iter_mut().zip(DEVICE.bytes()) {
        *place = byte;
    }
    // SAFETY: TUNSETIFF reads a `struct ifreq`, whose size and layout `InterfaceRequest` has. It keeps no
    // pointer to it, and the name has less than 16 bytes, so that a zero ends it.
    unsafe { rustix::ioctl::ioctl(&file, rustix::ioctl::Updater::<TUNSETIFF, _>::new(&mut request)) }
        .context("make a TUN device")?;
    Ok(file)
}
