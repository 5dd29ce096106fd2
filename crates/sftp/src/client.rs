//! The client: many requests in flight over one stream.
//!
//! [`Client`] is a handle to two tasks, and to a third until the server has sent its limits. The writer sends
//! all requests queued since its last write in one write. The reader cuts the stream into packets and passes
//! each reply to the request with that id. Neither task waits for a consumer: undelivered data is bounded by
//! the [`Budget`] of its downloads alone. Every future may be dropped at any time: its request stays pending
//! until the reply arrives, the reply is discarded, and a handle in that reply is closed.

mod budget;
mod connection;
mod download;
mod error;
mod greeting;
mod limits;
mod listing;
mod operations;
mod pending;
mod streams;

pub use budget::{Budget, ChunkSink, FileChunk};
pub use connection::Traffic;
pub use download::DownloadOutcome;
pub use error::{ConnectionError, Error, Operation, ProtocolError};
pub use listing::Entry;
pub use pending::RemoteHandle;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::codec::{Limits, names};
use connection::Connection;
use limits::LearnedLimits;

/// A connection to an SFTP server. Clones share it. Dropping the last clone ends the connection; requests not
/// yet written are not sent.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<ClientInner>,
}

#[derive(Debug)]
struct ClientInner {
    connection: Arc<Connection>,
    extensions: Vec<(Bytes, Bytes)>,
    limits: LearnedLimits,
    /// READDIRs that may still be sent.
    readdirs: Arc<Semaphore>,
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        self.connection.fail(ConnectionError::Ended);
    }
}

impl Client {
    /// Exchanges greetings with the server and requests its limits. Returns with the connection's tasks
    /// running on the current tokio runtime.
    ///
    /// Waits for the greeting without a time limit. Does not wait for the limits, which would cost one more
    /// round trip before the first request; handles are opened only once the limits are known. Dropping the
    /// future drops both halves of the stream.
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
        let inner = Arc::new(ClientInner {
            connection,
            extensions: greeting.extensions,
            limits: LearnedLimits::unknown(),
            readdirs: Arc::new(Semaphore::new(listing::MAX_READDIRS)),
        });
        let limits = inner.limits.clone();
        if inner.supports(names::LIMITS) {
            drop(tokio::spawn(limits.query(inner.connection.clone())));
        } else {
            limits.set(&Limits::default());
        }
        Ok(Self { inner })
    }

    /// Whether the server announced this extension (see [`names`]), in any version.
    pub fn supports(&self, extension: &str) -> bool {
        self.inner.supports(extension)
    }

    /// The most bytes that one READ requests. Waits until the server's limits are known.
    pub async fn read_length(&self) -> u32 {
        self.inner.limits.read_length().await
    }

    /// Since when the server has been silent while replies are pending; `None` if none is pending.
    ///
    /// Each received byte restarts the count, so a long silence means a stalled server, whatever sizes were
    /// requested.
    pub fn pending_since(&self) -> Option<Instant> {
        self.inner.connection.pending_since()
    }

    /// How many replies the server has sent. If replies are pending and this count does not grow, the caller
    /// may treat the server as stalled, even while single bytes arrive.
    pub fn reply_count(&self) -> u64 {
        self.inner.connection.reply_count()
    }

    /// Bytes received and sent since the stream began.
    pub fn traffic(&self) -> Traffic {
        self.inner.connection.traffic()
    }

    /// Why the connection has ended; `None` while it is open.
    pub fn failure(&self) -> Option<Arc<ConnectionError>> {
        self.inner.connection.failure()
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.inner.connection
    }

    /// Waits until another handle may be opened.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.inner.limits.slot().await
    }
}

impl ClientInner {
    fn supports(&self, extension: &str) -> bool {
        self.extensions
            .iter()
            .any(|(name, _)| name == extension.as_bytes())
    }
}
