//! Errors: of one request, or of the connection and therefore of every request.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::codec::{Malformed, Status, StatusCode};
use crate::escape::Escaped;

/// Bytes of a server's message that are kept.
const MAX_MESSAGE_LENGTH: usize = 256;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server refused the request. The connection stays open.
    #[error("{operation} {}: {code}{}", Escaped(path), Message(*code, message))]
    Status {
        /// The requested operation.
        operation: Operation,
        /// Its path; empty for requests without one.
        path: Vec<u8>,
        /// The server's reason.
        code: StatusCode,
        /// The server's message, cut after 256 bytes.
        message: Vec<u8>,
    },
    /// The connection has ended, for this request and for every other.
    #[error("sftp connection ended")]
    Connection(#[source] Arc<ConnectionError>),
    /// The receiver of chunks or entries was dropped before all of them arrived.
    #[error("{operation} {}: the receiver of the result was dropped", Escaped(path))]
    ConsumerGone {
        /// The operation in progress.
        operation: Operation,
        /// Its path.
        path: Vec<u8>,
    },
}

impl Error {
    /// The status code; `None` if the server did not reply with one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Connection(_) | Self::ConsumerGone { .. } => None,
        }
    }
}

/// Shows the server's message if it says more than the code.
struct Message<'a>(StatusCode, &'a [u8]);

impl fmt::Display for Message<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, message) = self;
        if message.is_empty() || message.eq_ignore_ascii_case(code.to_string().as_bytes()) {
            return Ok(());
        }
        write!(formatter, " ({})", Escaped(message))
    }
}

/// The operation requested of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named after the requests")]
pub enum Operation {
    Open,
    Close,
    Read,
    Lstat,
    Stat,
    Fstat,
    List,
    Remove,
    Mkdir,
    Rmdir,
    Realpath,
    PosixRename,
    Statvfs,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Read => "read",
            Self::Lstat => "lstat",
            Self::Stat => "stat",
            Self::Fstat => "fstat",
            Self::List => "list",
            Self::Remove => "remove",
            Self::Mkdir => "mkdir",
            Self::Rmdir => "rmdir",
            Self::Realpath => "realpath",
            Self::PosixRename => "posix-rename",
            Self::Statvfs => "statvfs",
        })
    }
}

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The first bytes are no SFTP packet. Most often a start-up file of the login shell prints text, or the
    /// server has no SFTP subsystem and says so.
    #[error(
        "the server does not speak SFTP, its first bytes are '{}'",
        Escaped(first_bytes)
    )]
    NotSftp {
        /// The first bytes received, at most 256.
        first_bytes: Vec<u8>,
    },
    /// The server speaks another version.
    #[error("the server speaks SFTP version {version}, not 3")]
    Version {
        /// The version in its greeting.
        version: u32,
    },
    /// The server closed the stream.
    #[error("the server closed the connection")]
    Closed,
    /// Reading the stream failed.
    #[error("read from the server")]
    Read(#[source] io::Error),
    /// Writing the stream failed.
    #[error("write to the server")]
    Write(#[source] io::Error),
    /// The server violated the protocol. Its later packets cannot be trusted.
    #[error("the server broke the SFTP protocol")]
    Protocol(#[from] ProtocolError),
    /// The last [`crate::Client`] of this connection was dropped.
    #[error("the client ended the connection")]
    Ended,
}

/// How a server violated the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A packet that cannot be decoded.
    #[error("malformed packet")]
    Malformed(#[from] Malformed),
    /// A second VERSION.
    #[error("unexpected VERSION packet")]
    UnexpectedVersion,
    /// A reply to a request that was never made, or that has a reply already.
    #[error("reply to request {id}, which is not outstanding")]
    UnknownId {
        /// The id of the reply.
        id: u32,
    },
    /// A reply of a type that does not fit the request.
    #[error("{reply} in reply to a request for {expected}")]
    WrongReply {
        /// The expected type.
        expected: &'static str,
        /// The received type.
        reply: &'static str,
    },
    /// More data than requested.
    #[error("{received} bytes of data in reply to a read of {requested}")]
    LongData {
        /// The length of the request.
        requested: u32,
        /// The length of the reply.
        received: usize,
    },
    /// Data of length zero: neither data nor the end of the file.
    #[error("empty data in reply to a read")]
    EmptyData,
    /// More names in one reply than any honest server sends.
    #[error("{count} names in one reply")]
    ManyNames {
        /// The number of names.
        count: usize,
    },
    /// A NAME reply with a number of names other than the requested one.
    #[error("{count} names in reply to a request for one")]
    NameCount {
        /// The number of names.
        count: usize,
    },
}

/// An error without its operation.
#[derive(Debug)]
pub(super) enum Failure {
    Status(Status),
    Connection(Arc<ConnectionError>),
    ConsumerGone,
}

impl Failure {
    pub(super) fn into_error(self, operation: Operation, path: &[u8]) -> Error {
        let path = path.to_vec();
        match self {
            Self::Status(Status { code, message, .. }) => {
                let message = message.get(..MAX_MESSAGE_LENGTH).unwrap_or(&message).to_vec();
                Error::Status {
                    operation,
                    path,
                    code,
                    message,
                }
            }
            Self::Connection(error) => Error::Connection(error),
            Self::ConsumerGone => Error::ConsumerGone { operation, path },
        }
    }
}

impl From<Arc<ConnectionError>> for Failure {
    fn from(error: Arc<ConnectionError>) -> Self {
        Self::Connection(error)
    }
}
