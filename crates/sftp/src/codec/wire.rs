//! Reading and writing the primitive types of the wire: big-endian integers and counted strings.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The draft's limit for a handle (section 6.2).
pub const MAX_HANDLE_LENGTH: usize = 256;

/// Why bytes are not a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length field says zero: not even a type.
    #[error("packet of length zero")]
    Empty,
    /// The length field is beyond what any packet may have; nothing of the packet is waited for.
    #[error("packet length {length} is above the limit of {limit}")]
    TooLong {
        /// The length field.
        length: u32,
        /// The most that is taken.
        limit: u32,
    },
    /// The packet ends inside a field.
    #[error("packet ends within its {field}")]
    Short {
        /// The field.
        field: &'static str,
    },
    /// Bytes are left after the last field.
    #[error("{bytes} bytes left over at the end of the packet")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A type that this direction does not have.
    #[error("unknown packet type {kind}")]
    UnknownType {
        /// The type byte.
        kind: u8,
    },
    /// A count of more elements than the packet has bytes for.
    #[error("{field} of {count} is more than the packet can hold")]
    Count {
        /// The field.
        field: &'static str,
        /// The count.
        count: u32,
    },
    /// Attribute flags that version 3 does not have; what follows them cannot be read.
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

/// What is left of a packet being decoded.
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

    /// A counted string as a slice of the packet: it keeps the whole buffer alive.
    pub(super) fn slice(&mut self, field: &'static str) -> Result<Bytes, Malformed> {
        let length = self.u32(field)? as usize;
        if length > self.0.len() {
            return Err(Malformed::Short { field });
        }
        Ok(self.0.split_to(length))
    }

    /// A counted string in memory of its own.
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

    /// A count of elements of at least `least` bytes each, checked against the bytes there are.
    pub(super) fn count(&mut self, field: &'static str, min_length: usize) -> Result<usize, Malformed> {
        let count = self.u32(field)?;
        if count as usize > self.0.len() / min_length {
            return Err(Malformed::Count { field, count });
        }
        Ok(count as usize)
    }

    /// All that is left.
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

/// Writes a counted string. Strings here come from packets or from callers' paths, far below 4 GiB.
pub(super) fn put_string(buffer: &mut BytesMut, string: &[u8]) {
    buffer.put_u32(u32::try_from(string.len()).unwrap_or(u32::MAX));
    buffer.put_slice(string);
}

/// Writes a packet: its length, then what `body` writes.
pub(super) fn put_packet(buffer: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_u32(0);
    body(buffer);
    let length = u32::try_from(buffer.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(field) = buffer.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
