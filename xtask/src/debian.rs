//! The programs that the checks need beside a Rust toolchain, and how they are installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// A program that the checks start, its Debian package, and the reason why it is needed.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: [Need; 20] = [
    Need {
        program: "cc",
        package: "build-essential",
        why: "SQLite and the cryptography of the simulated devices",
    },
    Need {
        program: "c++",
        package: "build-essential",
        why: "libFuzzer",
    },
    Need {
        program: "dpkg-shlibdeps",
        package: "dpkg-dev",
        why: "the libraries that the Debian package depends on",
    },
    Need {
        program: "git",
        package: "git",
        why: "the checks of the work tree",
    },
    Need {
        program: "ssh",
        package: "openssh-client",
        why: "gleaner reaches every device through it",
    },
    Need {
        program: "sshd",
        package: "openssh-server",
        why: "the jump host and the devices of the integration tests",
    },
    Need {
        program: "/usr/lib/openssh/sftp-server",
        package: "openssh-sftp-server",
        why: "the same",
    },
    Need {
        program: "busybox",
        package: "busybox-static",
        why: "devices that have no GNU tools",
    },
    Need {
        program: "openssl",
        package: "openssl",
        why: "the quick digest on a device",
    },
    Need {
        program: "rsync",
        package: "rsync",
        why: "comparisons with the scripts that gleaner replaces",
    },
    Need {
        program: "man",
        package: "man-db",
        why: "the man pages must render",
    },
    Need {
        program: "groff",
        package: "groff-base",
        why: "the same",
    },
    Need {
        program: "systemd-analyze",
        package: "systemd",
        why: "the units must verify",
    },
    Need {
        program: "strace",
        package: "strace",
        why: "the flushes of a sweep are counted from outside",
    },
    Need {
        program: "mkfs.ext4",
        package: "e2fsprogs",
        why: "small file systems that fill up",
    },
    Need {
        program: "/usr/bin/python3",
        package: "python3",
        why: "recorders that hide their open files",
    },
    Need {
        program: "bindfs",
        package: "bindfs",
        why: "a store that refuses some names",
    },
    Need {
        program: "mergerfs",
        package: "mergerfs",
        why: "a store that is a union of several disks",
    },
    Need {
        program: "sshfs",
        package: "sshfs",
        why: "a store without hard links and without renames that refuse to replace",
    },
    Need {
        program: "valgrind",
        package: "valgrind",
        why: "counting the instructions of the hot paths",
    },
];

/// Programs that only measurements need, such as the tools that gleaner is compared with.
const PEERS: [Need; 5] = [
    Need {
        program: "ip",
        package: "iproute2",
        why: "the network between the two sides of an emulated link",
    },
    Need {
        program: "zstd",
        package: "zstd",
        why: "compresses on a device",
    },
    Need {
        program: "sqlite3",
        package: "sqlite3",
        why: "fills a ledger with millions of rows",
    },
    Need {
        program: "rclone",
        package: "rclone",
        why: "a tool that gleaner is compared with",
    },
    Need {
        program: "lftp",
        package: "lftp",
        why: "the same",
    },
];

/// Installs the missing programs from Debian's archive if permitted. Otherwise prints the command to type.
///
/// No SSH service has to run, and the policy of an installed one stays as it is. Every test starts its own on
/// its own port.
pub(crate) fn install_what_is_missing() -> Result<String> {
    let missing: Vec<_> = NEEDS.iter().filter(|need| !is_there(need.program)).collect();
    if missing.is_empty() {
        return Ok("nothing to install".to_owned());
    }
    install(&missing)?;
    Ok(format!("{} programs installed", missing.len()))
}

/// The same for one program.
pub(crate) fn install_if_missing(program: &str) -> Result<()> {
    match NEEDS.iter().chain(&PEERS).find(|need| need.program == program) {
        Some(need) if !is_there(program) => install(&[need]),
        _ => Ok(()),
    }
}

/// Installs what every measurement needs, and those of `peers` that can be installed. Prints and skips the
/// others.
pub(crate) fn install_for_measuring(peers: &[&str]) -> Result<()> {
    for program in [
        "ssh",
        "sshd",
        "/usr/lib/openssh/sftp-server",
        "mkfs.ext4",
        "openssl",
        "zstd",
    ] {
        install_if_missing(program)?;
    }
    let missing = |need: &&Need| peers.contains(&need.program) && !is_there(need.program);
    for need in NEEDS.iter().chain(&PEERS).filter(missing) {
        if let Err(error) = install(&[need]) {
            println!("continues without {}: {error:#}", need.program);
        }
    }
    Ok(())
}

fn install(missing: &[&Need]) -> Result<()> {
    for need in missing {
        println!(
            "missing: {} (Debian package {}): {}",
            need.program, need.package, need.why
        );
    }
    let mut packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    packages.dedup();
    let Some(prefix) = prefix_for_root() else {
        bail!(
            "no permission to install them; type: sudo apt-get update && sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    };
    apt_get(prefix, &["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(prefix, &[&install[..], packages.as_slice()].concat())?;
    match missing.iter().find(|need| !is_there(need.program)) {
        None => Ok(()),
        Some(need) => bail!(
            "the package {} is installed, but {} is still missing",
            need.package,
            need.program
        ),
    }
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        Path::new(program).exists()
    } else {
        command::find(program).is_some()
    }
}

/// The words before a command that run it as root without a password prompt. `None` if that is impossible.
fn prefix_for_root() -> Option<&'static [&'static str]> {
    command::find("apt-get")?;
    let quietly = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let user = Command::new("id").arg("-u").output().ok()?;
    if user.stdout.trim_ascii() == b"0" {
        Some(&["env"])
    } else if quietly(Command::new("sudo").args(["-n", "true"])) {
        Some(&["sudo", "-n", "env"])
    } else {
        None
    }
}

fn apt_get(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let mut words = prefix
        .iter()
        .chain(&["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
        .chain(arguments);
    let mut command = Command::new(words.next().copied().unwrap_or("env"));
    command::run(command.args(words))
}
