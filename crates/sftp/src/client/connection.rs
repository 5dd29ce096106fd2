//! The state that callers, reader task and writer task share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::error::{ConnectionError, Failure, ProtocolError};
use super::pending::{CloseHandle, Expected, Pending, Reply, ReplyResult, Reservation, refuse_status};
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
    state: Mutex<ConnectionState>,
    /// Wakes the writer: the outbox has requests, or the connection has ended.
    pub(super) outbox_filled: Notify,
    /// Stops the writer, even during a write.
    pub(super) writer_stop: Notify,
    /// Stops the reader, even during a read.
    pub(super) reader_stop: Notify,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

#[derive(Debug)]
struct ConnectionState {
    next_id: u32,
    pending: HashMap<u32, Pending>,
    /// Encoded requests that the writer has not taken.
    outbox: BytesMut,
    /// Replies received.
    reply_count: u64,
    /// When the last byte arrived, or when the first pending request was queued if that is later.
    silent_since: Instant,
    failure: Option<Arc<ConnectionError>>,
}

impl Connection {
    pub(super) fn new(received: u64, sent: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ConnectionState {
                next_id: 0,
                pending: HashMap::new(),
                outbox: BytesMut::new(),
                reply_count: 0,
                silent_since: Instant::now(),
                failure: None,
            }),
            outbox_filled: Notify::new(),
            writer_stop: Notify::new(),
            reader_stop: Notify::new(),
            received: AtomicU64::new(received),
            sent: AtomicU64::new(sent),
        })
    }

    /// Sends a request and waits for its response. A status other than success is a failure.
    pub(super) async fn request(
        &self,
        request: &Request,
        expected: Expected,
        reservation: Reservation,
    ) -> Result<Response, Failure> {
        match await_reply(self.start(request, expected, reservation)).await? {
            Reply::Response(response) | Reply::Read(response, _) => refuse_status(response),
            // Only a request that reserves a slot returns a handle, and only `open` sends those.
            Reply::Opened(_) => Err(self.fail_protocol(expected.wrong_reply("HANDLE"))),
        }
    }

    /// Queues a request; its reply arrives on the receiver. Dropping the receiver does not cancel the
    /// request.
    pub(super) fn start(
        &self,
        request: &Request,
        expected: Expected,
        reservation: Reservation,
    ) -> oneshot::Receiver<ReplyResult> {
        let (reply, receiver) = oneshot::channel();
        self.submit(
            request,
            Pending {
                expected,
                reservation,
                reply,
            },
        );
        receiver
    }

    fn submit(&self, request: &Request, pending: Pending) {
        let mut state = self.state();
        if let Some(failure) = state.failure.clone() {
            drop(state);
            pending.reply.send(Err(failure)).ok();
            return;
        }
        if state.pending.is_empty() {
            state.silent_since = Instant::now();
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

    /// Passes one packet of the server to the request that it replies to.
    pub(super) fn dispatch(self: &Arc<Self>, frame: Bytes) -> Result<(), ProtocolError> {
        let ServerPacket::Response { id, response } = ServerPacket::decode(frame)? else {
            return Err(ProtocolError::UnexpectedVersion);
        };
        let pending = {
            let mut state = self.state();
            state.reply_count += 1;
            state.pending.remove(&id)
        };
        let pending = pending.ok_or(ProtocolError::UnknownId { id })?;
        if let Err(error) = pending.expected.check(&response) {
            // Put back, so that the failure of the connection reaches this caller too.
            self.state().pending.insert(id, pending);
            return Err(error);
        }
        pending.resolve(response, self);
        Ok(())
    }

    /// Ends the connection: every pending and every later request fails with the cause. Keeps and returns the
    /// first cause.
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
        for (_, request) in pending {
            request.reply.send(Err(failure.clone())).ok();
        }
        failure
    }

    pub(super) fn fail_protocol(&self, error: ProtocolError) -> Failure {
        Failure::Connection(self.fail(error.into()))
    }

    /// Swaps the queued requests with `taken`, an empty buffer. False if the connection has ended.
    pub(super) fn take_outbox(&self, taken: &mut BytesMut) -> bool {
        let mut state = self.state();
        std::mem::swap(&mut state.outbox, taken);
        state.failure.is_none()
    }

    pub(super) fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.state().silent_since = Instant::now();
    }

    pub(super) fn pending_since(&self) -> Option<Instant> {
        let state = self.state();
        (!state.pending.is_empty()).then_some(state.silent_since)
    }

    pub(super) fn reply_count(&self) -> u64 {
        self.state().reply_count
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

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock()
    }
}

impl CloseHandle for Connection {
    fn close(&self, handle: Bytes, slot: Option<OwnedSemaphorePermit>) -> oneshot::Receiver<ReplyResult> {
        let request = Request::Close { handle };
        self.start(&request, Expected::Status, Reservation::Slot(slot))
    }
}

impl ConnectionState {
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

/// Waits for a reply.
pub(super) async fn await_reply(
    reply: impl Future<Output = Result<ReplyResult, oneshot::error::RecvError>>,
) -> Result<Reply, Failure> {
    match reply.await {
        Ok(reply) => reply.map_err(Failure::Connection),
        // Every pending request gets a reply or a failure. If one were lost, the connection would be
        // unusable.
        Err(_) => Err(Failure::Connection(Arc::new(ConnectionError::Ended))),
    }
}
