//! The second connection of a session: one that compresses, made where that brings files sooner. A session for which it is known beforehand that it will
//! compresses its own connection, and makes no second one.
//!
//! It is a session of its own, with its own processes, guard and watch, and is asked for the bytes of files only. Whatever becomes of it,
//! the first connection goes on: what the second one did not deliver is read over the first.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::device::{DeviceFailure, Session as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::SshSession;
use crate::compression::{Choice, Judge, Over};
use crate::lane::Lanes;
use crate::verdict::text_of;

/// Makes the second connection.
pub(crate) trait Reconnect: Send + Sync {
    /// A session with the same device over a connection that compresses.
    fn compressed(&self) -> Pin<Box<dyn Future<Output = Result<SshSession, DeviceFailure>> + Send>>;
}

/// The second connection, if there is to be one.
#[derive(Clone)]
pub(super) struct Second {
    /// None where the session's own connection compresses.
    reconnect: Option<Arc<dyn Reconnect>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    judge: Judge,
    session: Option<Arc<SshSession>>,
    opening: Option<JoinHandle<()>>,
    /// The session's own connection compresses, and has one channel only.
    is_narrow: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(opening) = self.opening.take() {
            opening.abort();
        }
    }
}

impl fmt::Debug for Second {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Second").finish_non_exhaustive()
    }
}

/// A read under way over one of the two connections. Ends when dropped.
pub(super) struct Reading {
    second: Option<Second>,
    over: Over,
    /// How often the judgement had changed when it began.
    judgements: usize,
    /// The second connection, where it is the one.
    pub(super) session: Option<Arc<SshSession>>,
}

impl Reading {
    /// A read in a session that never compresses, or always.
    pub(super) fn undivided() -> Self {
        Self {
            second: None,
            over: Over::Plain,
            judgements: 0,
            session: None,
        }
    }

    /// Notes bytes of a file.
    pub(super) fn came(&self, bytes: &[u8]) {
        if let Some(second) = &self.second {
            second.state().judge.came(self.over, bytes);
        }
    }

    /// Whether to go on over the same connection. What was begun over one is not ended over it when the other has turned out to be better.
    pub(super) fn goes_on(&self) -> bool {
        let Some(second) = &self.second else { return true };
        let (better, _) = second.choose(Instant::now());
        better == self.over || second.state().judge.judgements() == self.judgements
    }

    /// The second connection has failed: there will be no further read over it.
    pub(super) fn broke(&self) {
        if let Some(second) = &self.second {
            second.state().judge.broke();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(second) = &self.second {
            second.state().judge.end(self.over, Instant::now());
        }
    }
}

impl SshSession {
    /// Lets the session have a second connection, which compresses, where that brings files sooner.
    pub(crate) fn with_second(mut self, reconnect: Arc<dyn Reconnect>) -> Self {
        self.second = Some(Second::new(Some(reconnect), Judge::default()));
        self
    }

    /// Notes that the session's own connection compresses, because that has paid before.
    pub(crate) fn with_compression(mut self) -> Self {
        let second = Second::new(None, Judge::of_compressed());
        second.state().is_narrow = true;
        self.second = Some(second);
        self
    }

    /// Has files read over a further channel, too, if the device grants one.
    fn widening(&self) -> impl Future<Output = ()> + Send + 'static {
        let opener = self.lanes.as_ref().map(Lanes::opener);
        let (channels, verdict) = (self.channels.clone(), self.verdict.clone());
        async move {
            let Some(opener) = opener else { return };
            match verdict.unless_ended(opener.sftp_channel()).await {
                Ok(Ok(channel)) => channels.widen(channel),
                Ok(Err(error)) => tracing::debug!(error = text_of(&error), "no further channel for files"),
                // The connection has ended: whoever reads over it is told.
                Err(_) => {}
            }
        }
    }

    /// Begins to read bytes of files.
    pub(super) fn reading(&self) -> Reading {
        let Some(second) = &self.second else {
            return Reading::undivided();
        };
        second.widen_once(|| self.widening());
        second.read()
    }

    pub(super) fn has_compression_paid(&self) -> Option<bool> {
        let second = self.second.as_ref()?;
        second.state().judge.has_paid(Instant::now())
    }
}

impl Second {
    fn new(reconnect: Option<Arc<dyn Reconnect>>, judge: Judge) -> Self {
        let state = Arc::<Mutex<State>>::default();
        lock(&state).judge = judge;
        Self { reconnect, state }
    }

    /// Begins to open the further channel of a session whose own connection compresses.
    fn widen_once<F: Future<Output = ()> + Send + 'static>(&self, widening: impl FnOnce() -> F) {
        let mut state = self.state();
        if std::mem::take(&mut state.is_narrow) {
            state.opening = Some(tokio::spawn(widening()));
        }
    }

    /// Decides over which connection to read next; begins to make the second one where it is time to.
    pub(super) fn read(&self) -> Reading {
        let now = Instant::now();
        let (over, session) = self.choose(now);
        let judgements = {
            let mut state = self.state();
            state.judge.begin(over, now);
            state.judge.judgements()
        };
        Reading {
            second: Some(self.clone()),
            over,
            judgements,
            session,
        }
    }

    /// The connection that bytes should come over now. Where it is the second, its session.
    fn choose(&self, now: Instant) -> (Over, Option<Arc<SshSession>>) {
        let mut state = self.state();
        let session = match state.judge.choose(now) {
            Choice::Plain => None,
            Choice::OpenSecond => {
                state.opening = self.open();
                None
            }
            Choice::Compressed => state.session.clone(),
        };
        tracing::trace!("{:?}", state.judge);
        match session {
            Some(session) => (Over::Compressed, Some(session)),
            None => (Over::Plain, None),
        }
    }

    /// Bytes that have come over the second connection.
    pub(super) fn received(&self) -> u64 {
        let session = self.state().session.clone();
        session.map_or(0, |session| session.bytes_received())
    }

    /// Ends the second connection in order, if there is one.
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

    /// The task ends with the session: a connection that is being made is dropped with it.
    fn open(&self) -> Option<JoinHandle<()>> {
        let connecting = self.reconnect.as_ref()?.compressed();
        let state = Arc::downgrade(&self.state);
        Some(tokio::spawn(async move {
            let made = connecting.await.map(Arc::new);
            let Some(state) = state.upgrade() else { return };
            {
                let mut state = lock(&state);
                state.judge.opened(made.is_ok(), Instant::now());
                state.session = made.as_ref().ok().cloned();
            }
            match made {
                Ok(session) => session.widening().await,
                Err(failure) => tracing::debug!(%failure, "no second connection"),
            }
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}
