//! Checks whether the ledger is on a local disk. `SQLite` shares memory between processes and locks files,
//! which works on few network file systems and not on every FUSE mount.

use std::fs;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// Types of file systems, as the kernel names them, that other machines can access too.
const NETWORK: [&str; 17] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "vboxsf",
];

/// A warning about the location of a ledger. `None` if it is good or unknown.
pub(crate) fn warning(ledger: &Path) -> Option<String> {
    let kind = mount_type(ledger)?;
    let problem = if NETWORK.contains(&kind.as_str()) {
        "a network mount"
    } else if kind.starts_with("fuse.") || kind == "fuse" {
        "a FUSE mount"
    } else {
        return None;
    };
    Some(format!(
        "it is on {problem} ({kind}), where SQLite's locks and shared memory may fail: set `ledger.path` to a local disk"
    ))
}

/// The type of the file system of a path, which need not exist yet.
fn mount_type(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let found = path
        .ancestors()
        .find_map(|path| statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok())?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return None;
    }
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    parse_mount_type(&String::from_utf8_lossy(&mounts), found.stx_mnt_id)
}

/// Each line starts with the id of a mount; the type follows a lone hyphen (`proc_pid_mountinfo(5)`).
fn parse_mount_type(mounts: &str, id: u64) -> Option<String> {
    let line = mounts
        .lines()
        .find(|line| line.split(' ').next().and_then(|first| first.parse().ok()) == Some(id))?;
    let kind = line.split(" - ").nth(1)?.split(' ').next()?;
    Some(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_mount_follows_the_hyphen() {
        let mounts = "36 35 98:0 /a /mnt rw,noatime master:1 - ext4 /dev/sda1 rw\n\
                      7 36 0:44 / /mnt/x rw shared:2 - nfs4 server:/x rw\n";
        assert_eq!(parse_mount_type(mounts, 36).as_deref(), Some("ext4"));
        assert_eq!(parse_mount_type(mounts, 3), None);
        assert_eq!(parse_mount_type(mounts, 7).as_deref(), Some("nfs4"));
    }
}
