//! Reading the status of files and folders.

use std::io;
use std::os::fd::OwnedFd;

use model::Timestamp;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};

use super::open::retried;
use crate::disk::{EntryKind, NodeIdentity, Status};

pub(super) fn status(
    at: &OwnedFd,
    name: impl rustix::path::Arg + Copy,
    flags: AtFlags,
) -> io::Result<Status> {
    let fields = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let found = retried(|| rustix::fs::statx(at, name, flags, fields))?;
    Ok(Status {
        kind: kind(FileType::from_raw_mode(found.stx_mode.into())),
        identity: NodeIdentity {
            device_number: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            born: born(&found),
        },
        mount: match found.stx_mask & StatxFlags::MNT_ID.bits() {
            0 => 0,
            _ => found.stx_mnt_id,
        },
        size: found.stx_size,
        modified: timestamp(found.stx_mtime),
        changed: timestamp(found.stx_ctime),
    })
}

/// Whether both descriptors refer to the same file: a name may have been given to another file meanwhile.
pub(super) fn is_same_node(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |file| status(file, c"", AtFlags::EMPTY_PATH).map(|status| status.identity);
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

fn born(found: &Statx) -> Option<Timestamp> {
    let known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then(|| timestamp(found.stx_btime))
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp::from_seconds(time.tv_sec).plus(std::time::Duration::from_nanos(time.tv_nsec.into()))
}

pub(super) fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Folder,
        FileType::Symlink => EntryKind::Link,
        FileType::Unknown => EntryKind::Unknown,
        _ => EntryKind::Special,
    }
}
