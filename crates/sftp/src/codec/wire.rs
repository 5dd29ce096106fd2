//! Encodes and decodes the primitive types of the wire: big-endian integers and counted strings.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The draft's limit for a handle (section 6.2).
pub const MAX_HANDLE_LENGTH: usize = 256;

/// Why bytes are not a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length field is zero: the packet has no type.
    #[error("packet of length zero")]
    Empty,
    /// The length field is above the limit. No byte of the packet is awaited.
    #[error("packet length {length} is above the limit of {limit}")]
    TooLong {
        /// The length field.
        length: u32,
        /// The limit.
        limit: u32,
    },
    /// The packet ends inside a field.
    #[error("packet ends within its {field}")]
    Short {
        /// The field's name.
        field: &'static str,
    },
    /// Bytes are left after the last field.
    #[error("{bytes} bytes left over at the end of the packet")]
    Trailing {
        /// How many bytes.
        bytes: usize,
    },
    /// A packet type unknown in this direction.
    #[error("unknown packet type {kind}")]
    UnknownType {
        /// The type byte.
        kind: u8,
    },
    /// A count of more elements than fit into the packet.
    #[error("{field} of {count} is more than the packet can hold")]
    Count {
        /// The field's name.
        field: &'static str,
        /// The count.
        count: u32,
    },
    /// Attribute flags that version 3 does not define. The fields after them cannot be decoded.
    #[error("unknown attribute flags {flags:#010x}")]
    AttributeFlags {
        /// All flags of the field.
        flags: u32,
    },
    /// A handle above [`MAX_HANDLE_LENGTH`].
    #[error("handle of {length} bytes is above the limit of {MAX_HANDLE_LENGTH}")]
    LongHandle {
        /// Its length in bytes.
        length: usize,
    },
}

/// The remaining bytes of a packet being decoded.
#[derive(Debug)]
pub(super) struct Cursor(Bytes);

impl Cursor {
    pub(super) fn new(packet: Bytes) -> Self {
        Self(packet)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed::Short { field })
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed::Short { field })
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed::Short { field })
    }

    /// A counted string as a slice of the packet, which keeps the whole buffer alive.
    pub(super) fn slice(&mut self, field: &'static str) -> Result<Bytes, Malformed> {
        let length = self.u32(field)? as usize;
        if length > self.0.len() {
            return Err(Malformed::Short { field });
        }
        Ok(self.0.split_to(length))
    }

    /// A counted string, copied.
    pub(super) fn name(&mut self, field: &'static str) -> Result<Bytes, Malformed> {
        Ok(Bytes::copy_from_slice(&self.slice(field)?))
    }

    pub(super) fn handle(&mut self) -> Result<Bytes, Malformed> {
        let handle = self.slice("handle")?;
        if handle.len() > MAX_HANDLE_LENGTH {
            return Err(Malformed::LongHandle { length: handle.len() });
        }
        Ok(Bytes::copy_from_slice(&handle))
    }

    /// A count of elements of at least `min_length` bytes each, checked against the remaining bytes.
    pub(super) fn count(&mut self, field: &'static str, min_length: usize) -> Result<usize, Malformed> {
        let count = self.u32(field)?;
        if count as usize > self.0.len() / min_length {
            return Err(Malformed::Count { field, count });
        }
        Ok(count as usize)
    }

    /// All remaining bytes.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(super) fn finish(&self) -> Result<(), Malformed> {
        match self.0.len() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }
}

/// Encodes a counted string. Strings come from packets or callers' paths, far below 4 GiB.
pub(super) fn put_string(buffer: &mut BytesMut, string: &[u8]) {
    buffer.put_u32(u32::try_from(string.len()).unwrap_or(u32::MAX));
    buffer.put_slice(string);
}

/// Encodes a packet: its length, then the bytes that `body` writes.
pub(super) fn put_packet(buffer: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_u32(0);
    body(buffer);
    let length = u32::try_from(buffer.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(field) = buffer.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
