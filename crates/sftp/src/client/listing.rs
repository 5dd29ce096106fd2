//! Lists directories.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::Client;
use super::connection::await_reply;
use super::error::{Error, Failure, Operation};
use super::pending::{Expected, RemoteHandle, Reply, ReplyResult, Reservation, refuse_status};
use crate::codec::{Attributes, Name, Request, Response, StatusCode};

/// READDIRs in flight at the start: enough for a folder of a hundred files in one round trip.
const INITIAL_WINDOW: usize = 2;
/// READDIRs in flight for one directory at most. OpenSSH returns a hundred names each: 1,600 names per round
/// trip.
const MAX_WINDOW: usize = 16;
/// READDIRs in flight over all listings of a connection, besides the first two of each. A server that puts as
/// many names as allowed into every reply costs some 40 MB.
pub(super) const MAX_READDIRS: usize = 24;

/// Permission to send one READDIR; `None` for one of the first of its directory, which needs no permit.
type ReaddirPermit = Option<OwnedSemaphorePermit>;

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as the server sent it: any bytes. The caller must check it.
    pub name: Bytes,
    /// As by lstat.
    pub attributes: Attributes,
}

impl Client {
    /// Lists a directory into `sink`, one batch for each reply of the server, and returns the number of
    /// entries. Omits `.` and `..`. The order is the server's. A file renamed meanwhile may be missing or
    /// appear twice.
    ///
    /// Many requests are in flight at once; no more are added while `sink` is full.
    pub async fn list(&self, path: &[u8], sink: &mpsc::Sender<Vec<Entry>>) -> Result<u64, Error> {
        let request = Request::Opendir {
            path: Bytes::copy_from_slice(path),
        };
        let listed = match self.open(&request).await {
            Ok(directory) => self.read_directory(&directory, sink).await,
            Err(failure) => Err(failure),
        };
        listed.map_err(|failure| failure.into_error(Operation::List, path))
    }

    async fn read_directory(
        &self,
        directory: &RemoteHandle,
        sink: &mpsc::Sender<Vec<Entry>>,
    ) -> Result<u64, Failure> {
        let request = Request::Readdir {
            handle: directory.name(),
        };
        let mut in_flight: VecDeque<(oneshot::Receiver<ReplyResult>, ReaddirPermit)> = VecDeque::new();
        let mut window = INITIAL_WINDOW;
        let mut at_end = false;
        let mut listed = 0;
        loop {
            while !at_end && in_flight.len() < window {
                let Some(permit) = self.readdir_permit(in_flight.len()) else {
                    break;
                };
                let reply = self
                    .connection()
                    .start(&request, Expected::Names, Reservation::Nothing);
                in_flight.push_back((reply, permit));
            }
            // Replies to READDIRs sent beyond the end are awaited too: replies may arrive in any order.
            let Some((reply, permit)) = in_flight.pop_front() else {
                return Ok(listed);
            };
            let entries = self.entries(await_reply(reply).await?)?;
            drop(permit);
            if entries.is_empty() {
                at_end = true;
                continue;
            }
            let entries: Vec<_> = entries.into_iter().filter_map(entry).collect();
            listed += entries.len() as u64;
            window = (window * 2).min(MAX_WINDOW);
            if !entries.is_empty() && sink.send(entries).await.is_err() {
                return Err(Failure::ConsumerGone);
            }
        }
    }

    /// The permit for one more READDIR while `in_flight` READDIRs of this directory are pending; `None` if it
    /// must wait.
    fn readdir_permit(&self, in_flight: usize) -> Option<ReaddirPermit> {
        match self.inner.readdirs.clone().try_acquire_owned() {
            Ok(permit) => Some(Some(permit)),
            Err(_) if in_flight < INITIAL_WINDOW => Some(None),
            Err(_) => None,
        }
    }

    /// The names of one reply. Empty at the end of the directory, which some servers report by a NAME without
    /// names.
    fn entries(&self, reply: Reply) -> Result<Vec<Name>, Failure> {
        let (Reply::Response(response) | Reply::Read(response, _)) = reply else {
            return Ok(Vec::new());
        };
        match refuse_status(response) {
            Ok(Response::Name(names)) => Ok(names),
            Ok(other) => Err(self.mismatch(Expected::Names, &other)),
            Err(Failure::Status(status)) if status.code == StatusCode::Eof => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }
}

fn entry(name: Name) -> Option<Entry> {
    let Name { name, attributes, .. } = name;
    (name != "." && name != "..").then_some(Entry { name, attributes })
}
