//! Packets of a client.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{Cursor, put_packet, put_string};
use super::{Attributes, Extension, Hello, Malformed};

const INIT: u8 = 1;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
const EXTENDED: u8 = 200;

/// A packet from client to server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientPacket {
    /// The first packet, which has no id.
    Init(Hello),
    /// Any later packet.
    Request {
        /// Chosen by the client and repeated in the reply.
        id: u32,
        /// The request.
        request: Request,
    },
}

impl ClientPacket {
    /// Appends the packet, with its length field.
    pub fn encode(&self, buffer: &mut BytesMut) {
        match self {
            Self::Init(hello) => put_packet(buffer, |buffer| {
                buffer.put_u8(INIT);
                hello.put(buffer);
            }),
            Self::Request { id, request } => request.encode(*id, buffer),
        }
    }

    /// Decodes a packet returned by [`super::take_frame`].
    pub fn decode(frame: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(frame);
        let packet = match cursor.u8("packet type")? {
            INIT => Self::Init(Hello::take(&mut cursor)?),
            kind => {
                let id = cursor.u32("request id")?;
                Self::Request {
                    id,
                    request: Request::take(kind, &mut cursor)?,
                }
            }
        };
        cursor.finish()?;
        Ok(packet)
    }
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are the arguments of the requests that the variants name"
)]
pub enum Request {
    /// The reply is HANDLE.
    Open {
        path: Bytes,
        flags: OpenFlags,
        attributes: Attributes,
    },
    /// The reply is STATUS. The handle is closed whatever the status.
    Close { handle: Bytes },
    /// The reply is DATA of at most `length` bytes, or STATUS. Fewer bytes do not mean the end.
    Read { handle: Bytes, offset: u64, length: u32 },
    /// The reply is STATUS.
    Write { handle: Bytes, offset: u64, data: Bytes },
    /// The reply is ATTRS. Does not follow a symbolic link.
    Lstat { path: Bytes },
    /// The reply is ATTRS.
    Fstat { handle: Bytes },
    /// The reply is STATUS.
    Setstat { path: Bytes, attributes: Attributes },
    /// The reply is STATUS.
    Fsetstat { handle: Bytes, attributes: Attributes },
    /// The reply is HANDLE.
    Opendir { path: Bytes },
    /// The reply is NAME, or STATUS (EOF) after the last name.
    Readdir { handle: Bytes },
    /// The reply is STATUS.
    Remove { path: Bytes },
    /// The reply is STATUS.
    Mkdir { path: Bytes, attributes: Attributes },
    /// The reply is STATUS.
    Rmdir { path: Bytes },
    /// The reply is NAME with one name.
    Realpath { path: Bytes },
    /// The reply is ATTRS. Follows symbolic links.
    Stat { path: Bytes },
    /// The reply is STATUS. OpenSSH implements it by link and unlink and refuses an existing target.
    Rename { source: Bytes, target: Bytes },
    /// The reply is NAME with one name.
    Readlink { path: Bytes },
    /// The reply is STATUS. In the order of OpenSSH, which differs from the draft's: the link's text comes
    /// first.
    Symlink { target: Bytes, link: Bytes },
    /// The reply is `EXTENDED_REPLY` or STATUS.
    Extended(Extension),
}

impl Request {
    /// Appends the request as a packet, with its length field.
    pub fn encode(&self, id: u32, buffer: &mut BytesMut) {
        put_packet(buffer, |buffer| {
            buffer.put_u8(self.kind());
            buffer.put_u32(id);
            self.put_arguments(buffer);
        });
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => OPEN,
            Self::Close { .. } => CLOSE,
            Self::Read { .. } => READ,
            Self::Write { .. } => WRITE,
            Self::Lstat { .. } => LSTAT,
            Self::Fstat { .. } => FSTAT,
            Self::Setstat { .. } => SETSTAT,
            Self::Fsetstat { .. } => FSETSTAT,
            Self::Opendir { .. } => OPENDIR,
            Self::Readdir { .. } => READDIR,
            Self::Remove { .. } => REMOVE,
            Self::Mkdir { .. } => MKDIR,
            Self::Rmdir { .. } => RMDIR,
            Self::Realpath { .. } => REALPATH,
            Self::Stat { .. } => STAT,
            Self::Rename { .. } => RENAME,
            Self::Readlink { .. } => READLINK,
            Self::Symlink { .. } => SYMLINK,
            Self::Extended(_) => EXTENDED,
        }
    }

    fn put_arguments(&self, buffer: &mut BytesMut) {
        match self {
            Self::Open {
                path,
                flags,
                attributes,
            } => {
                put_string(buffer, path);
                buffer.put_u32(flags.0);
                attributes.put(buffer);
            }
            Self::Close { handle } | Self::Fstat { handle } | Self::Readdir { handle } => {
                put_string(buffer, handle);
            }
            Self::Read {
                handle,
                offset,
                length,
            } => {
                put_string(buffer, handle);
                buffer.put_u64(*offset);
                buffer.put_u32(*length);
            }
            Self::Write { handle, offset, data } => {
                put_string(buffer, handle);
                buffer.put_u64(*offset);
                put_string(buffer, data);
            }
            Self::Lstat { path }
            | Self::Opendir { path }
            | Self::Remove { path }
            | Self::Rmdir { path }
            | Self::Realpath { path }
            | Self::Stat { path }
            | Self::Readlink { path } => put_string(buffer, path),
            Self::Setstat {
                path: object,
                attributes,
            }
            | Self::Fsetstat {
                handle: object,
                attributes,
            }
            | Self::Mkdir {
                path: object,
                attributes,
            } => {
                put_string(buffer, object);
                attributes.put(buffer);
            }
            Self::Rename {
                source: first,
                target: second,
            }
            | Self::Symlink {
                target: first,
                link: second,
            } => {
                put_string(buffer, first);
                put_string(buffer, second);
            }
            Self::Extended(extension) => extension.put(buffer),
        }
    }

    fn take(kind: u8, cursor: &mut Cursor) -> Result<Self, Malformed> {
        Ok(match kind {
            OPEN => Self::Open {
                path: cursor.name("path")?,
                flags: OpenFlags(cursor.u32("open flags")?),
                attributes: Attributes::take(cursor)?,
            },
            CLOSE => Self::Close {
                handle: cursor.handle()?,
            },
            READ => Self::Read {
                handle: cursor.handle()?,
                offset: cursor.u64("offset")?,
                length: cursor.u32("length")?,
            },
            WRITE => Self::Write {
                handle: cursor.handle()?,
                offset: cursor.u64("offset")?,
                data: cursor.slice("data")?,
            },
            LSTAT => Self::Lstat {
                path: cursor.name("path")?,
            },
            FSTAT => Self::Fstat {
                handle: cursor.handle()?,
            },
            SETSTAT => Self::Setstat {
                path: cursor.name("path")?,
                attributes: Attributes::take(cursor)?,
            },
            FSETSTAT => Self::Fsetstat {
                handle: cursor.handle()?,
                attributes: Attributes::take(cursor)?,
            },
            OPENDIR => Self::Opendir {
                path: cursor.name("path")?,
            },
            READDIR => Self::Readdir {
                handle: cursor.handle()?,
            },
            REMOVE => Self::Remove {
                path: cursor.name("path")?,
            },
            MKDIR => Self::Mkdir {
                path: cursor.name("path")?,
                attributes: Attributes::take(cursor)?,
            },
            RMDIR => Self::Rmdir {
                path: cursor.name("path")?,
            },
            REALPATH => Self::Realpath {
                path: cursor.name("path")?,
            },
            STAT => Self::Stat {
                path: cursor.name("path")?,
            },
            RENAME => Self::Rename {
                source: cursor.name("source path")?,
                target: cursor.name("target path")?,
            },
            READLINK => Self::Readlink {
                path: cursor.name("path")?,
            },
            SYMLINK => Self::Symlink {
                target: cursor.name("target path")?,
                link: cursor.name("link path")?,
            },
            EXTENDED => Self::Extended(Extension::take(cursor)?),
            kind => return Err(Malformed::UnknownType { kind }),
        })
    }
}

/// How a file is opened: the `pflags` of the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// For reading.
    pub const READ: Self = Self(0x01);
    /// For writing.
    pub const WRITE: Self = Self(0x02);
    /// Writes append to the end.
    pub const APPEND: Self = Self(0x04);
    /// Create the file if it is missing.
    pub const CREATE: Self = Self(0x08);
    /// Truncate the file; with [`Self::CREATE`].
    pub const TRUNCATE: Self = Self(0x10);
    /// Fail if the file exists; with [`Self::CREATE`].
    pub const EXCLUSIVE: Self = Self(0x20);

    /// The union of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
