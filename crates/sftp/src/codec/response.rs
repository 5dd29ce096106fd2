//! Packets of a server.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{Cursor, put_packet, put_string};
use super::{Attributes, Hello, Malformed, Status};

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// Two strings of four bytes at least, and the attribute flags.
const MIN_NAME_LENGTH: usize = 12;

/// A packet from server to client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerPacket {
    /// The first packet, which has no id.
    Version(Hello),
    /// Any later packet.
    Response {
        /// The id of the request.
        id: u32,
        /// The response.
        response: Response,
    },
}

impl ServerPacket {
    /// The type byte of [`ServerPacket::Version`].
    pub(crate) const VERSION_TYPE: u8 = VERSION;

    /// Appends the packet, with its length field.
    pub fn encode(&self, buffer: &mut BytesMut) {
        match self {
            Self::Version(hello) => put_packet(buffer, |buffer| {
                buffer.put_u8(VERSION);
                hello.put(buffer);
            }),
            Self::Response { id, response } => response.encode(*id, buffer),
        }
    }

    /// Decodes a packet returned by [`super::take_frame`].
    pub fn decode(frame: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(frame);
        let packet = match cursor.u8("packet type")? {
            VERSION => Self::Version(Hello::take(&mut cursor)?),
            kind => {
                let id = cursor.u32("request id")?;
                Self::Response {
                    id,
                    response: Response::take(kind, &mut cursor)?,
                }
            }
        };
        cursor.finish()?;
        Ok(packet)
    }
}

/// A response of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The result of a request.
    Status(Status),
    /// An open file or directory.
    Handle(Bytes),
    /// Contents of a file.
    Data(Bytes),
    /// Names: of a directory, or one.
    Name(Vec<Name>),
    /// Attributes of a file.
    Attributes(Attributes),
    /// The reply to an extended request. Its form depends on the request: see [`super::Limits`] and
    /// [`super::FileSystem`].
    ExtendedReply(Bytes),
}

/// One name of a NAME reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name: within a directory, or a whole path for REALPATH and READLINK.
    pub name: Bytes,
    /// A line as `ls -l` prints it; a slice of the packet.
    pub long_name: Bytes,
    /// Attributes of the file, as by lstat.
    pub attributes: Attributes,
}

impl Response {
    /// Appends the response as a packet, with its length field.
    pub fn encode(&self, id: u32, buffer: &mut BytesMut) {
        put_packet(buffer, |buffer| {
            buffer.put_u8(self.kind());
            buffer.put_u32(id);
            match self {
                Self::Status(status) => status.put(buffer),
                Self::Handle(bytes) | Self::Data(bytes) => put_string(buffer, bytes),
                Self::Name(names) => {
                    buffer.put_u32(u32::try_from(names.len()).unwrap_or(u32::MAX));
                    for name in names {
                        put_string(buffer, &name.name);
                        put_string(buffer, &name.long_name);
                        name.attributes.put(buffer);
                    }
                }
                Self::Attributes(attributes) => attributes.put(buffer),
                Self::ExtendedReply(data) => buffer.put_slice(data),
            }
        });
    }

    /// The packet type's name in the draft.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Status(_) => "STATUS",
            Self::Handle(_) => "HANDLE",
            Self::Data(_) => "DATA",
            Self::Name(_) => "NAME",
            Self::Attributes(_) => "ATTRS",
            Self::ExtendedReply(_) => "EXTENDED_REPLY",
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => STATUS,
            Self::Handle(_) => HANDLE,
            Self::Data(_) => DATA,
            Self::Name(_) => NAME,
            Self::Attributes(_) => ATTRS,
            Self::ExtendedReply(_) => EXTENDED_REPLY,
        }
    }

    fn take(kind: u8, cursor: &mut Cursor) -> Result<Self, Malformed> {
        Ok(match kind {
            STATUS => Self::Status(Status::take(cursor)?),
            HANDLE => Self::Handle(cursor.handle()?),
            DATA => Self::Data(cursor.slice("data")?),
            NAME => {
                let count = cursor.count("count of names", MIN_NAME_LENGTH)?;
                let mut names = Vec::with_capacity(count);
                for _ in 0..count {
                    let (name, long_name) = (cursor.name("name")?, cursor.slice("long name")?);
                    names.push(Name {
                        name,
                        long_name,
                        attributes: Attributes::take(cursor)?,
                    });
                }
                Self::Name(names)
            }
            ATTRS => Self::Attributes(Attributes::take(cursor)?),
            EXTENDED_REPLY => Self::ExtendedReply(cursor.rest()),
            kind => return Err(Malformed::UnknownType { kind }),
        })
    }
}
