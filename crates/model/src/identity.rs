//! Which file it is, as far as a device can tell.

use crate::Timestamp;

/// What tells one version of a file on a device from every other.
///
/// A device with a GNU shell gives all five parts. A device that speaks only SFTP gives size and whole-second mtime;
/// the other parts are `None` there. Two identities of one device are comparable only where both have the same
/// parts; [`PartialEq`] compares what is there, and an absent part equals only an absent part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The number of the device's file system (`st_dev`), where known. May change with a reboot.
    pub device_number: Option<u64>,
    /// The inode number, where known. File systems use it again after a file is gone.
    pub inode: Option<u64>,
    /// The size in bytes.
    pub size: u64,
    /// When the content was last modified, as far as programs tell the truth (anyone may set it).
    pub modified: Timestamp,
    /// When content or attributes last changed (`st_ctime`), where known. Nobody can set it; a rename sets it too.
    pub changed: Option<Timestamp>,
}

impl Identity {
    /// Whether `later` is this very file, unwritten, with at most a rename in between.
    ///
    /// Ctime is left out: the rename that withdraws a file sets it.
    pub fn is_renamed(&self, later: &Self) -> bool {
        self.device_number == later.device_number
            && self.inode == later.inode
            && self.size == later.size
            && self.modified == later.modified
    }

    /// Whether every part is known, so that equality proves that nobody wrote in between.
    pub fn is_complete(&self) -> bool {
        self.device_number.is_some() && self.inode.is_some() && self.changed.is_some()
    }
}
