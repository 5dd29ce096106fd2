//! A request between its sending and its reply.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::Connection;
use super::error::{ConnectionError, Failure, ProtocolError};
use crate::codec::{Response, StatusCode};

/// Names in one reply. OpenSSH sends a hundred; a server that fills packets to the brim with names and `ls` lines of an ordinary length
/// comes to three thousand. Each name costs more memory than it has bytes on the wire.
const MAX_NAMES: usize = 8192;

/// What is remembered of a request until its reply comes.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) expected: Expected,
    pub(super) held: Held,
    /// The receiver may be gone: nobody waits any more, but the server still owes the reply.
    pub(super) reply: oneshot::Sender<Answer>,
}

/// What the server's debt occupies, until the debt is paid.
#[derive(Debug)]
pub(super) enum Held {
    Nothing,
    /// One of the handles that may be open.
    Slot(Option<OwnedSemaphorePermit>),
    /// Bytes of a budget.
    Credit(OwnedSemaphorePermit),
}

pub(super) type Answer = Result<Reply, Arc<ConnectionError>>;

#[derive(Debug)]
pub(super) enum Reply {
    Response(Response),
    Opened(RemoteHandle),
    /// The data, or the status in its place, with the credit of the request.
    Read(Response, OwnedSemaphorePermit),
}

/// The type of reply that a request asks for; any may be answered with STATUS instead.
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
    /// Whether this response can answer the request at all.
    pub(super) fn check(self, response: &Response) -> Result<(), ProtocolError> {
        match (self, response) {
            (Self::Data { at_most }, Response::Data(data)) => match data.len() {
                0 => Err(ProtocolError::EmptyData),
                received if received > at_most as usize => Err(ProtocolError::LongData {
                    asked: at_most,
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
            (_, Response::Status(_)) => Err(self.wrong("STATUS of success")),
            (_, other) => Err(self.wrong(other.type_name())),
        }
    }

    pub(super) fn wrong(self, reply: &'static str) -> ProtocolError {
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
    /// Hands the reply to whoever waits for it. Where nobody does, it is dropped here, and with it what it
    /// holds: credit returns to its budget, and an opened handle is closed.
    pub(super) fn settle(self, response: Response, connection: &Arc<Connection>) {
        let reply = match (response, self.held) {
            (Response::Handle(name), Held::Slot(slot)) => Reply::Opened(RemoteHandle {
                name,
                slot,
                connection: connection.clone(),
            }),
            (response, Held::Credit(credit)) => Reply::Read(response, credit),
            (response, Held::Nothing | Held::Slot(_)) => Reply::Response(response),
        };
        self.reply.send(Ok(reply)).ok();
    }
}

/// Turns a status in the place of what was asked for into the failure that it is.
pub(super) fn refuse_status(response: Response) -> Result<Response, Failure> {
    match response {
        Response::Status(status) if status.code != StatusCode::Ok => Err(Failure::Status(status)),
        response => Ok(response),
    }
}

/// An open file or directory of the server. Dropping it closes it, without waiting for the reply.
#[derive(Debug)]
pub struct RemoteHandle {
    name: Bytes,
    slot: Option<OwnedSemaphorePermit>,
    connection: Arc<Connection>,
}

impl RemoteHandle {
    pub(super) fn name(&self) -> Bytes {
        self.name.clone()
    }

    /// Sends CLOSE; the reply, if anyone wants it, comes by the receiver.
    pub(super) fn close(&mut self) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        if !self.name.is_empty() {
            let request = crate::codec::Request::Close {
                handle: std::mem::take(&mut self.name),
            };
            let held = Held::Slot(self.slot.take());
            self.connection.submit(
                &request,
                Pending {
                    expected: Expected::Status,
                    held,
                    reply,
                },
            );
        }
        answer
    }
}

impl Drop for RemoteHandle {
    fn drop(&mut self) {
        drop(self.close());
    }
}
