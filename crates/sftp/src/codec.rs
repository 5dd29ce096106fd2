//! Encodes and decodes the packets of SFTP version 3 in both directions.
//!
//! Decoding any bytes returns a packet or a [`Malformed`]. It never panics and never takes more memory than a
//! small multiple of the packet. A packet with trailing bytes is malformed. File contents
//! ([`Response::Data`], [`Request::Write`]) are slices of the read buffer. Names and handles are copied, so
//! that keeping a name does not keep the buffer.

mod attributes;
mod extension;
mod frame;
mod request;
mod response;
mod status;
mod wire;

pub use attributes::{Attributes, FileTimes, OwnerIds};
pub use extension::{Extension, FileSystem, Limits, names};
pub use frame::{MAX_PACKET_LENGTH, missing_bytes, take_frame};
pub use request::{ClientPacket, OpenFlags, Request};
pub use response::{Name, Response, ServerPacket};
pub use status::{Status, StatusCode};
pub use wire::{MAX_HANDLE_LENGTH, Malformed};

use bytes::{Bytes, BytesMut};
use wire::{Cursor, put_string};

/// The protocol version of this codec.
pub const VERSION: u32 = 3;

/// The body of INIT and VERSION: the sender's version and extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol version.
    pub version: u32,
    /// Pairs of name and data. For OpenSSH's extensions the data is a version number in decimal.
    pub extensions: Vec<(Bytes, Bytes)>,
}

impl Hello {
    fn put(&self, buffer: &mut BytesMut) {
        bytes::BufMut::put_u32(buffer, self.version);
        for (name, data) in &self.extensions {
            put_string(buffer, name);
            put_string(buffer, data);
        }
    }

    fn take(cursor: &mut Cursor) -> Result<Self, Malformed> {
        let version = cursor.u32("version")?;
        let mut extensions = Vec::new();
        while !cursor.is_empty() {
            extensions.push((cursor.name("extension name")?, cursor.name("extension data")?));
        }
        Ok(Self { version, extensions })
    }
}
