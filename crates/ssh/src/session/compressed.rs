//! The compressed connection of a session: a second one, opened where it brings files sooner. A session that
//! is known to compress from the start compresses its own connection, and opens no second one.
//!
//! It is a session of its own, with its own processes, guard and watch, and is asked only for the bytes of
//! files. If it fails, the first connection continues: what the second one did not deliver is read over the
//! first.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::device::{DeviceFailure, Session as _};
use engine::recourse::error_chain;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::SshSession;
use crate::compression::{Choice, CompressionAdvisor, Link};

/// Opens the compressed connection.
pub(crate) trait Reconnect: Send + Sync {
    /// A session with the same device over a connection that compresses.
    fn compressed(&self) -> Pin<Box<dyn Future<Output = Result<SshSession, DeviceFailure>> + Send>>;
}

/// The compressed connection, if there is one.
#[derive(Clone)]
pub(super) struct CompressedConnection {
    /// None where the session's own connection compresses.
    reconnect: Option<Arc<dyn Reconnect>>,
    state: Arc<Mutex<ConnectionState>>,
}

#[derive(Default)]
struct ConnectionState {
    advisor: CompressionAdvisor,
    session: Option<Arc<SshSession>>,
    opening: Option<JoinHandle<()>>,
    /// The session's own connection compresses, and has only one channel.
    needs_second_channel: bool,
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        if let Some(opening) = self.opening.take() {
            opening.abort();
        }
    }
}

impl fmt::Debug for CompressedConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CompressedConnection")
            .finish_non_exhaustive()
    }
}

/// A read in progress over one of the two connections. Ends when dropped.
pub(super) struct ActiveRead {
    connection: Option<CompressedConnection>,
    link: Link,
    /// The number of decisions when it began.
    decisions: usize,
    /// The compressed connection, if the read uses it.
    pub(super) session: Option<Arc<SshSession>>,
}

impl ActiveRead {
    /// A read in a session that never compresses, or always.
    pub(super) fn over_one_link() -> Self {
        Self {
            connection: None,
            link: Link::Plain,
            decisions: 0,
            session: None,
        }
    }

    /// Counts bytes of a file.
    pub(super) fn note_bytes(&self, bytes: &[u8]) {
        if let Some(connection) = &self.connection {
            connection.state().advisor.note_bytes(self.link, bytes);
        }
    }

    /// Whether to continue over the same connection. A read moves once the other connection has proved
    /// better.
    pub(super) fn continues(&self) -> bool {
        let Some(connection) = &self.connection else {
            return true;
        };
        let (better, _) = connection.choose(Instant::now());
        better == self.link || connection.state().advisor.decisions() == self.decisions
    }

    /// The compressed connection has failed: no further read uses it.
    pub(super) fn mark_failed(&self) {
        if let Some(connection) = &self.connection {
            connection.state().advisor.mark_failed();
        }
    }
}

impl Drop for ActiveRead {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.state().advisor.end(self.link, Instant::now());
        }
    }
}

impl SshSession {
    /// Lets the session open a compressed connection where that brings files sooner.
    pub(crate) fn with_compressed_connection(mut self, reconnect: Arc<dyn Reconnect>) -> Self {
        self.compressed_connection = Some(CompressedConnection::new(
            Some(reconnect),
            CompressionAdvisor::default(),
        ));
        self
    }

    /// Notes that the session's own connection compresses, because that has paid before.
    pub(crate) fn with_own_compression(mut self) -> Self {
        let connection = CompressedConnection::new(None, CompressionAdvisor::of_compressed());
        connection.state().needs_second_channel = true;
        self.compressed_connection = Some(connection);
        self
    }

    /// Opens a second channel for files, if the device grants one.
    fn open_second_channel(&self) -> impl Future<Output = ()> + Send + 'static {
        let factory = self.channel_factory();
        let (channels, session_end) = (self.channels.clone(), self.failures.session_end.clone());
        async move {
            let Some(factory) = factory else { return };
            match session_end.unless_ended(factory.sftp_channel()).await {
                Ok(Ok(channel)) => channels.add(channel),
                Ok(Err(error)) => {
                    tracing::debug!(error = error_chain(&error), "no second channel for files");
                }
                // The connection has ended: its readers receive the failure.
                Err(_) => {}
            }
        }
    }

    /// Begins to read bytes of files.
    pub(super) fn reading(&self) -> ActiveRead {
        let Some(connection) = &self.compressed_connection else {
            return ActiveRead::over_one_link();
        };
        connection.open_second_channel_once(|| self.open_second_channel());
        connection.read()
    }

    pub(super) fn has_compression_paid(&self) -> Option<bool> {
        let connection = self.compressed_connection.as_ref()?;
        connection.state().advisor.has_paid(Instant::now())
    }
}

impl CompressedConnection {
    fn new(reconnect: Option<Arc<dyn Reconnect>>, advisor: CompressionAdvisor) -> Self {
        let state = Arc::<Mutex<ConnectionState>>::default();
        lock(&state).advisor = advisor;
        Self { reconnect, state }
    }

    /// Begins to open the second channel of a session whose own connection compresses.
    fn open_second_channel_once<F: Future<Output = ()> + Send + 'static>(
        &self,
        open_second_channel: impl FnOnce() -> F,
    ) {
        let mut state = self.state();
        if std::mem::take(&mut state.needs_second_channel) {
            state.opening = Some(tokio::spawn(open_second_channel()));
        }
    }

    /// Chooses the connection for the next read. Begins to open the compressed one when it is time.
    pub(super) fn read(&self) -> ActiveRead {
        let now = Instant::now();
        let (link, session) = self.choose(now);
        let decisions = {
            let mut state = self.state();
            state.advisor.begin(link, now);
            state.advisor.decisions()
        };
        ActiveRead {
            connection: Some(self.clone()),
            link,
            decisions,
            session,
        }
    }

    /// The connection to use now. If it is the compressed one, its session.
    fn choose(&self, now: Instant) -> (Link, Option<Arc<SshSession>>) {
        let mut state = self.state();
        let session = match state.advisor.choose(now) {
            Choice::Plain => None,
            Choice::OpenSecond => {
                state.opening = self.open();
                None
            }
            Choice::Compressed => state.session.clone(),
        };
        tracing::trace!("{:?}", state.advisor);
        match session {
            Some(session) => (Link::Compressed, Some(session)),
            None => (Link::Plain, None),
        }
    }

    /// Bytes received over the compressed connection.
    pub(super) fn received(&self) -> u64 {
        let session = self.state().session.clone();
        session.map_or(0, |session| session.bytes_received())
    }

    /// Ends the compressed connection in order, if there is one.
    pub(super) async fn close(self) {
        let (opening, session) = {
            let mut state = self.state();
            (state.opening.take(), state.session.take())
        };
        if let Some(opening) = opening {
            opening.abort();
        }
        if let Some(session) = session.and_then(Arc::into_inner) {
            session.end().await;
        }
    }

    /// The task ends with the session, and drops a connection that is still being opened.
    fn open(&self) -> Option<JoinHandle<()>> {
        let connecting = self.reconnect.as_ref()?.compressed();
        let state = Arc::downgrade(&self.state);
        Some(tokio::spawn(async move {
            let made = connecting.await.map(Arc::new);
            let Some(state) = state.upgrade() else { return };
            {
                let mut state = lock(&state);
                state.advisor.opened(made.is_ok(), Instant::now());
                state.session = made.as_ref().ok().cloned();
            }
            match made {
                Ok(session) => session.open_second_channel().await,
                Err(failure) => tracing::debug!(%failure, "no compressed connection"),
            }
        }))
    }

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<ConnectionState>) -> MutexGuard<'_, ConnectionState> {
    state.lock()
}
