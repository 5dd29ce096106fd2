//! The state that callers, reader and writer share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::error::{ConnectionError, Failure, ProtocolError};
use super::pending::{Answer, Expected, Held, Pending, Reply, refuse_status};
use crate::codec::{Request, Response, ServerPacket};

/// Bytes moved since the stream began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the server.
    pub received: u64,
    /// To the server.
    pub sent: u64,
}

#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    /// Wakes the writer: there is something to send, or all is over.
    pub(super) outbox_filled: Notify,
    /// Ends the writer in the middle of a write.
    pub(super) writer_stop: Notify,
    /// Ends the reader in the middle of a read.
    pub(super) reader_stop: Notify,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

#[derive(Debug)]
struct State {
    next_id: u32,
    pending: HashMap<u32, Pending>,
    /// Encoded requests that the writer has not taken yet.
    outbox: BytesMut,
    /// Replies taken.
    answers: u64,
    /// The last byte received, or the beginning of the debt where that is later.
    quiet_since: Instant,
    failure: Option<Arc<ConnectionError>>,
}

impl Connection {
    pub(super) fn new(received: u64, sent: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                next_id: 0,
                pending: HashMap::new(),
                outbox: BytesMut::new(),
                answers: 0,
                quiet_since: Instant::now(),
                failure: None,
            }),
            outbox_filled: Notify::new(),
            writer_stop: Notify::new(),
            reader_stop: Notify::new(),
            received: AtomicU64::new(received),
            sent: AtomicU64::new(sent),
        })
    }

    /// Sends a request that is answered with one response, and waits for it; a status other than success is a
    /// failure.
    pub(super) async fn request(
        &self,
        request: &Request,
        expected: Expected,
        held: Held,
    ) -> Result<Response, Failure> {
        match settled(self.start(request, expected, held)).await? {
            Reply::Response(response) | Reply::Read(response, _) => refuse_status(response),
            // Only a request that holds a slot is answered with a handle, and `open` sends those.
            Reply::Opened(_) => Err(self.broken(expected.wrong("HANDLE"))),
        }
    }

    /// Queues a request; its answer comes by the receiver. Dropping the receiver leaves the request as it is.
    pub(super) fn start(
        &self,
        request: &Request,
        expected: Expected,
        held: Held,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.submit(
            request,
            Pending {
                expected,
                held,
                reply,
            },
        );
        answer
    }

    pub(super) fn submit(&self, request: &Request, pending: Pending) {
        let mut state = self.state();
        if let Some(failure) = state.failure.clone() {
            drop(state);
            pending.reply.send(Err(failure)).ok();
            return;
        }
        if state.pending.is_empty() {
            state.quiet_since = Instant::now();
        }
        let was_empty = state.outbox.is_empty();
        let id = state.unused_id();
        request.encode(id, &mut state.outbox);
        state.pending.insert(id, pending);
        drop(state);
        if was_empty {
            self.outbox_filled.notify_one();
        }
    }

    /// Gives one packet of the server to whoever waits for it.
    pub(super) fn answer(self: &Arc<Self>, frame: Bytes) -> Result<(), ProtocolError> {
        let ServerPacket::Response { id, response } = ServerPacket::decode(frame)? else {
            return Err(ProtocolError::UnexpectedVersion);
        };
        let pending = {
            let mut state = self.state();
            state.answers += 1;
            state.pending.remove(&id)
        };
        let pending = pending.ok_or(ProtocolError::UnknownId { id })?;
        if let Err(error) = pending.expected.check(&response) {
            // Put back, so that the failure of the connection reaches this waiter too.
            self.state().pending.insert(id, pending);
            return Err(error);
        }
        pending.settle(response, self);
        Ok(())
    }

    /// Ends the connection: whoever waits, and whoever asks later, gets the cause. The first cause stays, and
    /// is returned.
    pub(super) fn fail(&self, error: ConnectionError) -> Arc<ConnectionError> {
        let mut state = self.state();
        if let Some(failure) = state.failure.clone() {
            return failure;
        }
        let failure = Arc::new(error);
        state.failure = Some(failure.clone());
        state.outbox = BytesMut::new();
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        self.outbox_filled.notify_one();
        self.writer_stop.notify_one();
        self.reader_stop.notify_one();
        for (_, waiting) in pending {
            waiting.reply.send(Err(failure.clone())).ok();
        }
        failure
    }

    pub(super) fn broken(&self, error: ProtocolError) -> Failure {
        Failure::Connection(self.fail(error.into()))
    }

    /// Swaps the queued requests against an empty buffer, `taken`. False when the connection is at an end.
    pub(super) fn take_outbox(&self, taken: &mut BytesMut) -> bool {
        let mut state = self.state();
        std::mem::swap(&mut state.outbox, taken);
        state.failure.is_none()
    }

    pub(super) fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.state().quiet_since = Instant::now();
    }

    pub(super) fn owed_since(&self) -> Option<Instant> {
        let state = self.state();
        (!state.pending.is_empty()).then_some(state.quiet_since)
    }

    pub(super) fn answers(&self) -> u64 {
        self.state().answers
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }

    pub(super) fn failure(&self) -> Option<Arc<ConnectionError>> {
        self.state().failure.clone()
    }

    /// Nothing under this lock can panic half-way through a change, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn unused_id(&mut self) -> u32 {
        loop {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            if !self.pending.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Waits for an answer.
pub(super) async fn settled(
    answer: impl Future<Output = Result<Answer, oneshot::error::RecvError>>,
) -> Result<Reply, Failure> {
    match answer.await {
        Ok(answer) => answer.map_err(Failure::Connection),
        // A pending request is always answered or failed; were it lost, the connection would be of no use.
        Err(_) => Err(Failure::Connection(Arc::new(ConnectionError::Ended))),
    }
}
