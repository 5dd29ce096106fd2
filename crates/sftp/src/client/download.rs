//! Downloads a file from an offset to its end.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Client;
use super::budget::{Budget, ChunkSink, FileChunk};
use super::connection::await_reply;
use super::error::{Error, Failure, Operation};
use super::limits::MIN_READ_LENGTH;
use super::pending::{Expected, RemoteHandle, Reply, ReplyResult, Reservation};
use crate::codec::{Request, Response, StatusCode};

/// One request takes at most this fraction of the budget, so that even a small budget allows several requests
/// at once.
const BUDGET_PARTS: u32 = 4;

/// How a download ended. All delivered chunks came in order and without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadOutcome {
    /// Every byte up to the expected size was delivered, and nothing showed that the file has more.
    Complete,
    /// The file ends before the expected size. All its bytes were delivered.
    Truncated {
        /// Where the file ends: its size, or the offset at which the download began if the file ends before
        /// that.
        size: u64,
    },
    /// Every byte up to the expected size was delivered, and the file has more.
    Grown,
    /// [`ChunkSink::wants_more`] returned false. The bytes requested before that were delivered.
    Stopped,
}

impl Client {
    /// Reads a file from `from_offset` to `expected_size`, and tries one byte more. Delivers chunks to `sink`
    /// as they arrive.
    ///
    /// Sends as many READs at once as `budget` allows, shared fairly with other downloads on the same budget.
    /// A small file takes OPEN, one READ and CLOSE, and the reply to CLOSE is not awaited. An offset beyond
    /// the expected size counts as the expected size: nothing is delivered.
    ///
    /// Dropping the future closes the handle. The credit of each request returns with its late reply.
    pub async fn download(
        &self,
        path: &[u8],
        from_offset: u64,
        expected_size: u64,
        budget: &Budget,
        sink: impl ChunkSink,
    ) -> Result<DownloadOutcome, Error> {
        let file = self.open_read(path).await?;
        let download = Download {
            client: self,
            file,
            budget,
            sink,
            expected_size,
            next_offset: from_offset.min(expected_size),
            has_sent: false,
            read_length: self
                .read_length()
                .await
                .min(budget.capacity() / BUDGET_PARTS)
                .max(1),
            in_flight: VecDeque::new(),
        };
        download
            .run()
            .await
            .map_err(|failure| failure.into_error(Operation::Read, path))
    }
}

struct Download<'a, S> {
    client: &'a Client,
    file: RemoteHandle,
    budget: &'a Budget,
    sink: S,
    expected_size: u64,
    /// The first byte that was not requested.
    next_offset: u64,
    /// The first READ is always sent: even if the sink wants no more, each call then makes progress.
    has_sent: bool,
    read_length: u32,
    /// The pending requests, by offset and without gaps. Replies out of order wait in their receivers. The
    /// first request is always with the server, so that a wait for budget never waits for this download
    /// itself.
    in_flight: VecDeque<Span>,
}

struct Span {
    offset: u64,
    length: u32,
    /// The beginning of the span, after a short reply. One chunk is delivered for each span, not for each
    /// reply: a server that sends tiny replies cannot make us hold a million chunks.
    received: BytesMut,
    reply: oneshot::Receiver<ReplyResult>,
}

type CreditWait = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

impl<S: ChunkSink> Download<'_, S> {
    async fn run(mut self) -> Result<DownloadOutcome, Failure> {
        let mut waiting: Option<CreditWait> = None;
        loop {
            if waiting.is_none() {
                waiting = self.fill_window()?;
            }
            tokio::select! {
                biased;
                reply = first_reply(&mut self.in_flight), if !self.in_flight.is_empty() => {
                    if let Some(outcome) = self.handle_reply(reply?)? {
                        return Ok(outcome);
                    }
                }
                credit = granted(&mut waiting), if waiting.is_some() => {
                    waiting = None;
                    self.send_read(credit.ok_or(Failure::ConsumerGone)?);
                }
                else => return Ok(if self.next_offset > self.expected_size {
                    DownloadOutcome::Complete
                } else {
                    DownloadOutcome::Stopped
                }),
            }
        }
    }

    /// Sends READs until everything is requested or the budget is spent; then returns the wait for the next
    /// credit.
    fn fill_window(&mut self) -> Result<Option<CreditWait>, Failure> {
        loop {
            // An ended connection returns every credit at once. The budget would then bound no requests; only
            // the size that the device claims would. Replies received before the end are still used.
            if let Some(failure) = self.client.failure() {
                let is_all_received = self.in_flight.is_empty();
                return if is_all_received {
                    Err(Failure::Connection(failure))
                } else {
                    Ok(None)
                };
            }
            let length = self.next_length();
            let is_all_sent = length == 0 || (self.has_sent && !self.sink.wants_more());
            if is_all_sent {
                return Ok(None);
            }
            match self.budget.try_take(length) {
                Some(credit) => self.send_read(credit),
                None => return Ok(Some(Box::pin(self.budget.clone().take(length)))),
            }
        }
    }

    /// The length of the next READ. The last READ reaches one byte beyond the expected size, to detect
    /// growth.
    ///
    /// That byte never has its own READ. The consumer may hold the credit of the last chunks until the file
    /// is whole, and would wait for a READ that waits for this credit.
    fn next_length(&self) -> u32 {
        let end = self.expected_size.saturating_add(1);
        let left = end.saturating_sub(self.next_offset);
        if left == u64::from(self.read_length) + 1 && self.read_length > 1 {
            return self.read_length / 2;
        }
        u32::try_from(left).map_or(self.read_length, |left| left.min(self.read_length))
    }

    /// Sends the next READ, whose length is that of its credit.
    fn send_read(&mut self, credit: OwnedSemaphorePermit) {
        let length = u32::try_from(credit.num_permits()).unwrap_or(u32::MAX);
        let reply = self.read(self.next_offset, length, credit);
        self.in_flight.push_back(Span {
            offset: self.next_offset,
            length,
            received: BytesMut::new(),
            reply,
        });
        self.next_offset += u64::from(length);
        self.has_sent = true;
    }

    fn read(&self, offset: u64, length: u32, credit: OwnedSemaphorePermit) -> oneshot::Receiver<ReplyResult> {
        let request = Request::Read {
            handle: self.file.name(),
            offset,
            length,
        };
        self.client.connection().start(
            &request,
            Expected::Data { at_most: length },
            Reservation::Credit(credit),
        )
    }

    /// Handles the reply to the first request. Returns the outcome if this reply decides it.
    fn handle_reply(&mut self, reply: Reply) -> Result<Option<DownloadOutcome>, Failure> {
        let Some(span) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        match reply {
            Reply::Read(Response::Data(data), credit) => self.handle_data(span, data, credit),
            Reply::Read(Response::Status(status), credit) if status.code == StatusCode::Eof => {
                let size = span.offset + span.received.len() as u64;
                self.deliver(span.offset, span.received.freeze(), credit)?;
                let truncated = size < self.expected_size;
                Ok(Some(if truncated {
                    DownloadOutcome::Truncated { size }
                } else {
                    DownloadOutcome::Complete
                }))
            }
            Reply::Read(Response::Status(status), _) => Err(Failure::Status(status)),
            Reply::Read(other, _) | Reply::Response(other) => Err(self
                .client
                .mismatch(Expected::Data { at_most: span.length }, &other)),
            Reply::Opened(_) => Err(self
                .client
                .connection()
                .fail_protocol(Expected::Status.wrong_reply("HANDLE"))),
        }
    }

    fn handle_data(
        &mut self,
        mut span: Span,
        data: Bytes,
        credit: OwnedSemaphorePermit,
    ) -> Result<Option<DownloadOutcome>, Failure> {
        let span_end = span.offset + u64::from(span.length);
        let reached = span.offset + (span.received.len() + data.len()) as u64;
        if reached < span_end && reached < self.expected_size {
            self.read_length = self.read_length.min(length_of(&data).max(MIN_READ_LENGTH));
            span.received.extend_from_slice(&data);
            let rest = span.length.saturating_sub(length_of(&span.received));
            span.reply = self.read(reached, rest, credit);
            self.in_flight.push_front(span);
            return Ok(None);
        }
        let bytes = if span.received.is_empty() {
            data
        } else {
            span.received.extend_from_slice(&data);
            span.received.freeze()
        };
        self.deliver(span.offset, bytes, credit)?;
        if reached > self.expected_size {
            return Ok(Some(DownloadOutcome::Grown));
        }
        // If the reply is short here, only the byte beyond the expected size is missing. Requesting it again
        // would cost every small file a round trip.
        Ok(None)
    }

    /// Delivers the bytes before the expected size with their credit. The remaining credit returns.
    fn deliver(
        &mut self,
        offset: u64,
        mut bytes: Bytes,
        mut credit: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let wanted = self.expected_size.saturating_sub(offset);
        bytes.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        if bytes.is_empty() {
            return Ok(());
        }
        let surplus = credit.num_permits().saturating_sub(bytes.len());
        drop(credit.split(surplus));
        if self.sink.deliver(FileChunk {
            offset,
            bytes,
            credit,
        }) {
            Ok(())
        } else {
            Err(Failure::ConsumerGone)
        }
    }
}

async fn first_reply(in_flight: &mut VecDeque<Span>) -> Result<Reply, Failure> {
    match in_flight.front_mut() {
        Some(span) => await_reply(&mut span.reply).await,
        None => pending().await,
    }
}

async fn granted(waiting: &mut Option<CreditWait>) -> Option<OwnedSemaphorePermit> {
    match waiting {
        Some(credit) => credit.await,
        None => pending().await,
    }
}

/// For lengths of packets, which fit.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
