//! Whether the ledger is on a disk of this machine. `SQLite` shares memory between processes and locks files,
//! which works over few networks and not on every FUSE mount.

use std::fs;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// Kinds of file systems, as the kernel names them, whose files other machines have too.
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

/// What is to be said of the place of a ledger; nothing where it is a good one, or cannot be told.
pub(crate) fn warning(ledger: &Path) -> Option<String> {
    let kind = kind_of_mount(ledger)?;
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

/// The kind of the file system that a path is on, or will be once it is made.
fn kind_of_mount(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let found = path
        .ancestors()
        .find_map(|path| statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok())?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return None;
    }
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    kind_in(&String::from_utf8_lossy(&mounts), found.stx_mnt_id)
}

/// Each line begins with the number of a mount; after a lone hyphen stands its kind
/// (`proc_pid_mountinfo(5)`).
fn kind_in(mounts: &str, id: u64) -> Option<String> {
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
    fn the_kind_of_a_mount_stands_after_its_hyphen() {
        let mounts = "36 35 98:0 /a /mnt rw,noatime master:1 - ext4 /dev/sda1 rw\n\
                      7 36 0:44 / /mnt/x rw shared:2 - nfs4 server:/x rw\n";
        assert_eq!(kind_in(mounts, 36).as_deref(), Some("ext4"));
        assert_eq!(kind_in(mounts, 3), None);
        assert_eq!(kind_in(mounts, 7).as_deref(), Some("nfs4"));
    }
}
