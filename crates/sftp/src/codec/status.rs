//! STATUS: the result of a request.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::Malformed;
use super::wire::{Cursor, put_string};

/// The body of a STATUS reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The result.
    pub code: StatusCode,
    /// The server's message. Must be escaped where shown.
    pub message: Bytes,
    /// The language of the message (RFC 1766).
    pub language: Bytes,
}

/// The codes of version 3. Other numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// The request succeeded.
    Ok,
    /// Nothing left to read in a file or directory.
    Eof,
    /// The file or directory does not exist.
    NoSuchFile,
    /// The server's user lacks permission.
    PermissionDenied,
    /// Any failure for which version 3 has no code: a full disk, an existing target, a directory that is not
    /// empty.
    Failure,
    /// The server could not decode the request.
    BadMessage,
    /// For use within a client; no server should send it.
    NoConnection,
    /// For use within a client; no server should send it.
    ConnectionLost,
    /// The server does not support this operation.
    OpUnsupported,
    /// A code that version 3 does not define.
    Other(u32),
}

impl StatusCode {
    /// The number on the wire.
    pub fn number(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Eof => 1,
            Self::NoSuchFile => 2,
            Self::PermissionDenied => 3,
            Self::Failure => 4,
            Self::BadMessage => 5,
            Self::NoConnection => 6,
            Self::ConnectionLost => 7,
            Self::OpUnsupported => 8,
            Self::Other(number) => number,
        }
    }
}

impl From<u32> for StatusCode {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::OpUnsupported,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ok => "success",
            Self::Eof => "end of file",
            Self::NoSuchFile => "no such file",
            Self::PermissionDenied => "permission denied",
            Self::Failure => "failure",
            Self::BadMessage => "bad message",
            Self::NoConnection => "no connection",
            Self::ConnectionLost => "connection lost",
            Self::OpUnsupported => "operation unsupported",
            Self::Other(number) => return write!(formatter, "status {number}"),
        })
    }
}

impl Status {
    /// A status with a message and no language.
    pub fn new(code: StatusCode, message: impl Into<Bytes>) -> Self {
        Self {
            code,
            message: message.into(),
            language: Bytes::new(),
        }
    }

    pub(super) fn put(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.code.number());
        put_string(buffer, &self.message);
        put_string(buffer, &self.language);
    }

    /// Servers built for an older version of the draft omit message and language.
    pub(super) fn take(cursor: &mut Cursor) -> Result<Self, Malformed> {
        let code = StatusCode::from(cursor.u32("status code")?);
        if cursor.is_empty() {
            return Ok(Self::new(code, Bytes::new()));
        }
        Ok(Self {
            code,
            message: cursor.name("status message")?,
            language: cursor.name("status language")?,
        })
    }
}
