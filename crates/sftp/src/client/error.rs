//! What can go wrong: one request, or the connection and with it every request.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::codec::{Malformed, Status, StatusCode};
use crate::escape::Escaped;

/// Bytes of a server's message that are kept.
const MAX_MESSAGE_LENGTH: usize = 256;

/// Why an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server refused; the connection goes on.
    #[error("{operation} {}: {code}{}", Escaped(path), Message(*code, message))]
    Status {
        /// What was asked.
        operation: Operation,
        /// Of what; empty for requests without a path.
        path: Vec<u8>,
        /// The server's reason.
        code: StatusCode,
        /// The server's words, cut after 256 bytes.
        message: Vec<u8>,
    },
    /// The connection is at an end, for this request and for every other.
    #[error("sftp connection ended")]
    Connection(#[source] Arc<ConnectionError>),
    /// The receiver of pieces or entries was dropped before all of them had come.
    #[error("{operation} {}: nobody takes the result any more", Escaped(path))]
    ConsumerGone {
        /// What was under way.
        operation: Operation,
        /// Of what.
        path: Vec<u8>,
    },
}

impl Error {
    /// The status code, where the server answered with one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Connection(_) | Self::ConsumerGone { .. } => None,
        }
    }
}

/// Shows the server's words where they say more than the code does.
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

/// What was asked of the server.
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

/// Why a connection is at an end.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// What came first is no SFTP packet. Most often a start-up file of the login's shell prints text, or the
    /// server has no SFTP subsystem and says so.
    #[error(
        "the server does not speak SFTP, its first bytes are '{}'",
        Escaped(first_bytes)
    )]
    NotSftp {
        /// As many of the first bytes as had come, at most 256.
        first_bytes: Vec<u8>,
    },
    /// The server speaks another version.
    #[error("the server speaks SFTP version {version}, not 3")]
    Version {
        /// The version it named.
        version: u32,
    },
    /// The server ended the stream.
    #[error("the server closed the connection")]
    Closed,
    /// The stream could not be read.
    #[error("read from the server")]
    Read(#[source] io::Error),
    /// The stream could not be written.
    #[error("write to the server")]
    Write(#[source] io::Error),
    /// The server broke the protocol; whatever it says from then on cannot be trusted.
    #[error("the server broke the SFTP protocol")]
    Protocol(#[from] ProtocolError),
    /// The last [`crate::Client`] of this connection was dropped.
    #[error("the connection was given up on this side")]
    Ended,
}

/// How a server broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A packet that cannot be decoded.
    #[error("malformed packet")]
    Malformed(#[from] Malformed),
    /// A second VERSION.
    #[error("unexpected VERSION packet")]
    UnexpectedVersion,
    /// A reply to a request that was never made, or was answered before.
    #[error("reply to request {id}, which is not outstanding")]
    UnknownId {
        /// The id of the reply.
        id: u32,
    },
    /// A reply of a type that cannot answer the request.
    #[error("{reply} in reply to a request for {expected}")]
    WrongReply {
        /// What was asked for.
        expected: &'static str,
        /// The type that came.
        reply: &'static str,
    },
    /// More data than was asked for.
    #[error("{received} bytes of data in reply to a read of {asked}")]
    LongData {
        /// The length of the request.
        asked: u32,
        /// The length of the reply.
        received: usize,
    },
    /// Data of length zero, which is neither data nor the end of the file.
    #[error("empty data in reply to a read")]
    EmptyData,
    /// More names in one reply than any honest server sends.
    #[error("{count} names in one reply")]
    ManyNames {
        /// How many came.
        count: usize,
    },
    /// A NAME reply of any number but one, where one name was asked for.
    #[error("{count} names in reply to a request for one")]
    NameCount {
        /// How many came.
        count: usize,
    },
}

/// An error that does not know yet which operation it befell.
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
