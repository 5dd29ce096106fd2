//! A request from its sending until its reply.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::{ConnectionError, Failure, ProtocolError};
use crate::codec::{Response, StatusCode};

/// Names in one reply at most. OpenSSH sends a hundred; a server that fills its packets with names and `ls`
/// lines of ordinary length sends three thousand. Each name costs more memory than it has bytes on the wire.
const MAX_NAMES: usize = 8192;

/// A request whose reply has not arrived.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) expected: Expected,
    pub(super) reservation: Reservation,
    /// The receiver may have been dropped; the server still sends the reply.
    pub(super) reply: oneshot::Sender<ReplyResult>,
}

/// What a request occupies until its reply arrives.
#[derive(Debug)]
pub(super) enum Reservation {
    Nothing,
    /// One of the handles that may be open.
    Slot(Option<OwnedSemaphorePermit>),
    /// Bytes of a budget.
    Credit(OwnedSemaphorePermit),
}

pub(super) type ReplyResult = Result<Reply, Arc<ConnectionError>>;

#[derive(Debug)]
pub(super) enum Reply {
    Response(Response),
    Opened(RemoteHandle),
    /// The data, or a status in its place, with the credit of the request.
    Read(Response, OwnedSemaphorePermit),
}

/// The type of reply that a request calls for. The server may reply with STATUS to any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Status,
    Handle,
    Data { at_most: u32 },
    Names,
    Attributes,
    Extended,
}

impl Expected {
    /// Whether this response is a valid reply to the request.
    pub(super) fn check(self, response: &Response) -> Result<(), ProtocolError> {
        match (self, response) {
            (Self::Data { at_most }, Response::Data(data)) => match data.len() {
                0 => Err(ProtocolError::EmptyData),
                received if received > at_most as usize => Err(ProtocolError::LongData {
                    requested: at_most,
                    received,
                }),
                _ => Ok(()),
            },
            (Self::Names, Response::Name(names)) if names.len() > MAX_NAMES => {
                Err(ProtocolError::ManyNames { count: names.len() })
            }
            (Self::Status, Response::Status(_))
            | (Self::Handle, Response::Handle(_))
            | (Self::Names, Response::Name(_))
            | (Self::Attributes, Response::Attributes(_))
            | (Self::Extended, Response::ExtendedReply(_)) => Ok(()),
            (_, Response::Status(status)) if status.code != StatusCode::Ok => Ok(()),
            (_, Response::Status(_)) => Err(self.wrong_reply("STATUS of success")),
            (_, other) => Err(self.wrong_reply(other.type_name())),
        }
    }

    pub(super) fn wrong_reply(self, reply: &'static str) -> ProtocolError {
        let expected = match self {
            Self::Status => "STATUS",
            Self::Handle => "HANDLE",
            Self::Data { .. } => "DATA",
            Self::Names => "NAME",
            Self::Attributes => "ATTRS",
            Self::Extended => "EXTENDED_REPLY",
        };
        ProtocolError::WrongReply { expected, reply }
    }
}

impl Pending {
    /// Passes the reply to the caller. If the caller has dropped its receiver, the reply is dropped here: its
    /// credit returns to the budget, and an opened handle is closed over `connection`.
    pub(super) fn resolve<C: CloseHandle + 'static>(self, response: Response, connection: &Arc<C>) {
        let reply = match (response, self.reservation) {
            (Response::Handle(name), Reservation::Slot(slot)) => Reply::Opened(RemoteHandle {
                name,
                slot,
                connection: connection.clone(),
            }),
            (response, Reservation::Credit(credit)) => Reply::Read(response, credit),
            (response, Reservation::Nothing | Reservation::Slot(_)) => Reply::Response(response),
        };
        self.reply.send(Ok(reply)).ok();
    }
}

/// Turns a STATUS other than success into a failure.
pub(super) fn refuse_status(response: Response) -> Result<Response, Failure> {
    match response {
        Response::Status(status) if status.code != StatusCode::Ok => Err(Failure::Status(status)),
        response => Ok(response),
    }
}

/// Sends CLOSE. A trait, so that this module does not depend on the connection that implements it.
pub(super) trait CloseHandle: fmt::Debug + Send + Sync {
    /// Closes `handle`, which occupies `slot` until the reply arrives.
    fn close(&self, handle: Bytes, slot: Option<OwnedSemaphorePermit>) -> oneshot::Receiver<ReplyResult>;
}

/// An open file or directory of the server. Dropping it closes it, without waiting for the reply.
#[derive(Debug)]
pub struct RemoteHandle {
    /// Empty once CLOSE was sent. Never sent if the server's own name is empty.
    name: Bytes,
    slot: Option<OwnedSemaphorePermit>,
    connection: Arc<dyn CloseHandle>,
}

impl RemoteHandle {
    pub(super) fn name(&self) -> Bytes {
        self.name.clone()
    }

    /// Sends CLOSE; the reply arrives on the receiver, which may be dropped. `None` for an empty name.
    pub(super) fn close(&mut self) -> Option<oneshot::Receiver<ReplyResult>> {
        if self.name.is_empty() {
            return None;
        }
        Some(
            self.connection
                .close(std::mem::take(&mut self.name), self.slot.take()),
        )
    }
}

impl Drop for RemoteHandle {
    fn drop(&mut self) {
        drop(self.close());
    }
}
