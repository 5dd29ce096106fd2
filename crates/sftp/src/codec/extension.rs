//! The extended requests of OpenSSH and their replies.

use bytes::{BufMut, Bytes, BytesMut};

use super::Malformed;
use super::wire::{Cursor, put_string};

/// Names of extensions, as a server announces them in VERSION.
pub mod names {
    /// Rename that replaces the target, as rename(2) does.
    pub const POSIX_RENAME: &str = "posix-rename@openssh.com";
    /// The server's limits.
    pub const LIMITS: &str = "limits@openssh.com";
    /// Room on a file system, by path.
    pub const STATVFS: &str = "statvfs@openssh.com";
    /// Flush of an open file.
    pub const FSYNC: &str = "fsync@openssh.com";
    /// A second name for a file.
    pub const HARDLINK: &str = "hardlink@openssh.com";
}

/// An extended request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are the arguments of the requests that the variants name"
)]
pub enum Extension {
    /// rename(2): atomic, and replaces `target`. The reply is STATUS.
    PosixRename { source: Bytes, target: Bytes },
    /// The reply is [`Limits`].
    Limits,
    /// The reply is [`FileSystem`].
    Statvfs { path: Bytes },
    /// fsync(2). The reply is STATUS.
    Fsync { handle: Bytes },
    /// link(2). The reply is STATUS.
    Hardlink { source: Bytes, target: Bytes },
    /// Any other.
    Other { name: Bytes, data: Bytes },
}

impl Extension {
    pub(super) fn put(&self, buffer: &mut BytesMut) {
        match self {
            Self::PosixRename { source, target } => put_named(buffer, names::POSIX_RENAME, &[source, target]),
            Self::Limits => put_named(buffer, names::LIMITS, &[]),
            Self::Statvfs { path } => put_named(buffer, names::STATVFS, &[path]),
            Self::Fsync { handle } => put_named(buffer, names::FSYNC, &[handle]),
            Self::Hardlink { source, target } => put_named(buffer, names::HARDLINK, &[source, target]),
            Self::Other { name, data } => {
                put_string(buffer, name);
                buffer.put_slice(data);
            }
        }
    }

    pub(super) fn take(cursor: &mut Cursor) -> Result<Self, Malformed> {
        let name = cursor.name("extension name")?;
        let is = |known: &str| name == known.as_bytes();
        Ok(if is(names::POSIX_RENAME) {
            Self::PosixRename {
                source: cursor.name("source path")?,
                target: cursor.name("target path")?,
            }
        } else if is(names::LIMITS) {
            Self::Limits
        } else if is(names::STATVFS) {
            Self::Statvfs {
                path: cursor.name("path")?,
            }
        } else if is(names::FSYNC) {
            Self::Fsync {
                handle: cursor.handle()?,
            }
        } else if is(names::HARDLINK) {
            Self::Hardlink {
                source: cursor.name("source path")?,
                target: cursor.name("target path")?,
            }
        } else {
            Self::Other {
                name,
                data: cursor.rest(),
            }
        })
    }
}

fn put_named(buffer: &mut BytesMut, name: &str, arguments: &[&Bytes]) {
    put_string(buffer, name.as_bytes());
    for argument in arguments {
        put_string(buffer, argument);
    }
}

/// The reply to [`Extension::Limits`]; zero means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole packet.
    pub packet_length: u64,
    /// Bytes in the reply to one READ.
    pub read_length: u64,
    /// Bytes that one WRITE may carry.
    pub write_length: u64,
    /// Files and directories open at once.
    pub open_handles: u64,
}

impl Limits {
    /// Decodes the data of an `EXTENDED_REPLY`.
    pub fn decode(data: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(data);
        let limits = Self {
            packet_length: cursor.u64("packet length")?,
            read_length: cursor.u64("read length")?,
            write_length: cursor.u64("write length")?,
            open_handles: cursor.u64("open handles")?,
        };
        cursor.finish()?;
        Ok(limits)
    }

    /// Encodes the data of an `EXTENDED_REPLY`.
    pub fn encode(&self) -> Bytes {
        let fields = [
            self.packet_length,
            self.read_length,
            self.write_length,
            self.open_handles,
        ];
        fields.iter().flat_map(|field| field.to_be_bytes()).collect()
    }
}

/// The reply to [`Extension::Statvfs`]: the fields of statvfs(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Preferred block size, bytes.
    pub block_size: u64,
    /// The unit of the three block counts, bytes.
    pub fragment_size: u64,
    /// Total blocks.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for an ordinary user.
    pub blocks_available: u64,
    /// Total inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Free inodes for an ordinary user.
    pub files_available: u64,
    /// Id of the file system.
    pub identity: u64,
    /// Bit 0: read-only. Bit 1: no set-user-id.
    pub flags: u64,
    /// Longest name, bytes.
    pub name_length: u64,
}

impl FileSystem {
    /// Total bytes. Saturates, because the server sets the fields.
    pub fn total_bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.fragment_size)
    }

    /// Bytes that an ordinary user may still write. Saturates, because the server sets the fields.
    pub fn available_bytes(&self) -> u64 {
        self.blocks_available.saturating_mul(self.fragment_size)
    }

    /// Decodes the data of an `EXTENDED_REPLY`.
    pub fn decode(data: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(data);
        let file_system = Self {
            block_size: cursor.u64("block size")?,
            fragment_size: cursor.u64("fragment size")?,
            blocks: cursor.u64("blocks")?,
            blocks_free: cursor.u64("free blocks")?,
            blocks_available: cursor.u64("available blocks")?,
            files: cursor.u64("files")?,
            files_free: cursor.u64("free files")?,
            files_available: cursor.u64("available files")?,
            identity: cursor.u64("identity")?,
            flags: cursor.u64("flags")?,
            name_length: cursor.u64("name length")?,
        };
        cursor.finish()?;
        Ok(file_system)
    }

    /// Encodes the data of an `EXTENDED_REPLY`.
    pub fn encode(&self) -> Bytes {
        let fields = [
            self.block_size,
            self.fragment_size,
            self.blocks,
            self.blocks_free,
            self.blocks_available,
            self.files,
            self.files_free,
            self.files_available,
            self.identity,
            self.flags,
            self.name_length,
        ];
        fields.iter().flat_map(|field| field.to_be_bytes()).collect()
    }
}
