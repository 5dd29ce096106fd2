//! The identity of a file, as far as its device reports it.

use crate::Timestamp;

/// Distinguishes one version of a file on a device from every other.
///
/// A device with a GNU shell reports all five parts. A device with only SFTP reports size and whole-second
/// mtime; its other parts are `None`. Two identities of one device are comparable only if both have the same
/// parts: for [`PartialEq`], a missing part equals only a missing part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The number of the file system (`st_dev`), if known. May change with a reboot.
    pub device_number: Option<u64>,
    /// The inode number, if known. File systems reuse the number of a removed file.
    pub inode: Option<u64>,
    /// The size in bytes.
    pub size: u64,
    /// When the content was last modified (mtime). Not trustworthy: any program may set it.
    pub modified: Timestamp,
    /// When content or attributes last changed (`st_ctime`), if known. No program can set it directly; a
    /// rename sets it, too.
    pub changed: Option<Timestamp>,
}

impl Identity {
    /// Whether `later` is the same unwritten file after at most a rename.
    ///
    /// Ignores ctime, because the rename that withdraws a file sets it.
    pub fn is_renamed(&self, later: &Self) -> bool {
        self.device_number == later.device_number
            && self.inode == later.inode
            && self.size == later.size
            && self.modified == later.modified
    }

    /// Whether every part is known, so that equality proves that no process wrote in between.
    pub fn is_complete(&self) -> bool {
        self.device_number.is_some() && self.inode.is_some() && self.changed.is_some()
    }
}
