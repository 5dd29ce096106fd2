//! The client: many requests under way at once over one stream.
//!
//! [`Client`] is a handle to two tasks (and to a third until the server has told its limits). The writer sends whatever has been queued since its last write in one
//! go; the reader cuts what comes into packets and hands each reply to whoever waits for that id. Neither
//! ever waits for a consumer: what a consumer has not taken yet is bounded by the [`Budget`] of its
//! downloads, and nothing else is. Every future may be dropped at any time: the request stays known until its
//! reply has come, the reply is then thrown away, and a handle that nobody waits for any more is closed.

mod budget;
mod connection;
mod download;
mod error;
mod greeting;
mod listing;
mod operations;
mod pending;
mod streams;

pub use budget::{Budget, Piece, PieceSink};
pub use connection::Traffic;
pub use download::Outcome;
pub use error::{ConnectionError, Error, Operation, ProtocolError};
pub use listing::Entry;
pub use pending::RemoteHandle;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::time::Instant;

use crate::codec::{Extension, Limits, Request, Response, names};
use connection::Connection;
use pending::{Expected, Held};

/// What a READ may ask for where the server does not tell: every server in use answers that much (draft,
/// section 3).
const DEFAULT_READ_LENGTH: u32 = 32 * 1024;
/// Never more than OpenSSH's own `SFTP_MAX_READ_LENGTH`, whatever a server tells.
const MAX_READ_LENGTH: u32 = 255 * 1024;
/// Never less, whatever a server tells or does: each request costs memory of ours until it is answered, and a budget of bytes is no
/// bound for requests of a byte each. A server that has less to give answers short.
const MIN_READ_LENGTH: u32 = 4096;
/// What a DATA packet has beside its data, generously.
const DATA_OVERHEAD: u64 = 1024;
/// Handles open at once where the server does not tell.
const DEFAULT_OPEN_HANDLES: usize = 100;
/// Handles open at once, whatever a server tells: beyond that nothing is won.
const MAX_OPEN_HANDLES: u64 = 1024;

/// A connection to an SFTP server. Clones share it; when the last is dropped the connection ends, and
/// requests that have not been written yet are not sent.
#[derive(Clone, Debug)]
pub struct Client {
    lifeline: Arc<Lifeline>,
}

#[derive(Debug)]
struct Lifeline {
    connection: Arc<Connection>,
    extensions: Vec<(Bytes, Bytes)>,
    bounds: Bounds,
    /// READDIRs that may be under way.
    readdirs: Arc<Semaphore>,
}

/// What the server may be asked for.
#[derive(Clone, Debug)]
struct Bounds {
    read_length: Arc<SetOnce<u32>>,
    /// Handles that may be opened: none before the server has told its limits, or has none to tell.
    slots: Arc<Semaphore>,
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.connection.fail(ConnectionError::Ended);
    }
}

impl Client {
    /// Greets the server and asks for its limits, then returns with the connection's tasks running on the
    /// current tokio runtime.
    ///
    /// Waits for the server's greeting without bound, and not for its limits: that would be one more round trip before anything can be asked
    /// for. Nothing is opened before they are known. Dropping the future drops both halves of the stream.
    pub async fn connect<R, W>(mut reader: R, mut writer: W) -> Result<Self, Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let mut received = BytesMut::with_capacity(streams::BUFFER_LENGTH);
        let greeting = greeting::exchange(&mut reader, &mut writer, &mut received);
        let greeting = greeting
            .await
            .map_err(|error| Error::Connection(Arc::new(error)))?;
        let connection = Connection::new(greeting.received_bytes, greeting.sent_bytes);
        tokio::spawn(streams::receive(connection.clone(), reader, received));
        tokio::spawn(streams::send(connection.clone(), writer));
        let lifeline = Arc::new(Lifeline {
            connection,
            extensions: greeting.extensions,
            bounds: Bounds::unknown(),
            readdirs: Arc::new(Semaphore::new(listing::MAX_UNDER_WAY)),
        });
        let bounds = lifeline.bounds.clone();
        match lifeline.supports(names::LIMITS) {
            true => drop(tokio::spawn(bounds.learn(lifeline.connection.clone()))),
            false => bounds.are(&Limits::default()),
        }
        Ok(Self { lifeline })
    }

    /// Whether the server announced this extension (see [`names`]), in whichever version.
    pub fn supports(&self, extension: &str) -> bool {
        self.lifeline.supports(extension)
    }

    /// The most that one READ asks for, in bytes. Waits until the server has told it.
    pub async fn read_length(&self) -> u32 {
        *self.lifeline.bounds.read_length.wait().await
    }

    /// Since when the server has been silent while it owes a reply; `None` while it owes none.
    ///
    /// The count begins anew with each byte that comes, so that a caller may take a long silence for a
    /// stalled server, whatever the sizes asked for.
    pub fn owed_since(&self) -> Option<Instant> {
        self.lifeline.connection.owed_since()
    }

    /// How many replies the server has given. A caller may take one that owes some and gives none for silent, even where single bytes
    /// come.
    pub fn answers(&self) -> u64 {
        self.lifeline.connection.answers()
    }

    /// The bytes that have come and gone since the stream began.
    pub fn traffic(&self) -> Traffic {
        self.lifeline.connection.traffic()
    }

    /// Why the connection is at an end, if it is.
    pub fn failure(&self) -> Option<Arc<ConnectionError>> {
        self.lifeline.connection.failure()
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.lifeline.connection
    }

    /// Waits until another handle may be open.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.lifeline.bounds.slots.clone().acquire_owned().await.ok()
    }
}

impl Lifeline {
    fn supports(&self, extension: &str) -> bool {
        self.extensions
            .iter()
            .any(|(name, _)| name == extension.as_bytes())
    }
}

impl Bounds {
    fn unknown() -> Self {
        Self {
            read_length: Arc::default(),
            slots: Arc::new(Semaphore::new(0)),
        }
    }

    /// Asks the server for its limits, and lets handles be opened when it has answered.
    async fn learn(self, connection: Arc<Connection>) {
        let request = Request::Extended(Extension::Limits);
        let reply = connection
            .request(&request, Expected::Extended, Held::Nothing)
            .await;
        let limits = match reply {
            Ok(Response::ExtendedReply(data)) => Limits::decode(data).map_err(|malformed| {
                connection.fail(ProtocolError::from(malformed).into());
            }),
            // A server that announces the extension and then refuses it has told nothing.
            Ok(_) | Err(error::Failure::Status(_)) => Ok(Limits::default()),
            // The connection has failed; so does whoever waits to open something.
            Err(_) => Err(()),
        };
        self.are(&limits.unwrap_or_default());
    }

    fn are(&self, limits: &Limits) {
        // Told once.
        self.read_length.set(read_length(limits)).ok();
        self.slots.add_permits(open_handles(limits));
    }
}

fn open_handles(limits: &Limits) -> usize {
    match limits.open_handles {
        0 => DEFAULT_OPEN_HANDLES,
        told => usize::try_from(told.min(MAX_OPEN_HANDLES)).unwrap_or(1),
    }
}

fn read_length(limits: &Limits) -> u32 {
    let told = match limits.read_length {
        0 => DEFAULT_READ_LENGTH,
        told => u32::try_from(told).unwrap_or(u32::MAX),
    };
    let fits = match limits.packet_length {
        0 => u32::MAX,
        length => u32::try_from(length.saturating_sub(DATA_OVERHEAD)).unwrap_or(u32::MAX),
    };
    told.min(fits).clamp(MIN_READ_LENGTH, MAX_READ_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_never_asks_for_more_than_the_server_told_but_for_a_page_at_least() {
        let asked = |packet_length, read_length| {
            super::read_length(&Limits {
                packet_length,
                read_length,
                ..Limits::default()
            })
        };
        assert_eq!(asked(0, 0), 32 * 1024);
        assert_eq!(asked(256 * 1024, 255 * 1024), 255 * 1024);
        assert_eq!(asked(34_000, 0), 32 * 1024);
        assert_eq!(asked(34_000, 64 * 1024), 34_000 - 1024);
        assert_eq!(asked(u64::MAX, u64::MAX), 255 * 1024);
    }

    #[test]
    fn a_server_that_takes_a_byte_at_a_time_is_not_asked_a_million_times() {
        for (packet_length, read_length) in [(10, 10), (0, 1), (1024, 0), (1025, 1)] {
            let limits = Limits {
                packet_length,
                read_length,
                ..Limits::default()
            };
            assert_eq!(super::read_length(&limits), MIN_READ_LENGTH);
        }
    }
}
