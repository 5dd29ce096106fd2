//! One run of the device's script: it answers one request at a time.

mod factory;
mod pool;
#[cfg(test)]
pub(crate) mod scripted;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use factory::ShellStreams;
pub(crate) use factory::{ChannelFactory, ConnectionMode, Shell};
pub(crate) use pool::{PooledChannel, ShellPool};

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use model::{SourcePath, escaped};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use crate::bandwidth::Metered;
use crate::classify::{is_chatter, is_refused_session};
use crate::facts::{Dialect, Facts};
use crate::request_paths::RequestPaths;
use crate::script::anchored;
use crate::stall::{PendingReplies, min_bytes};
use crate::stderr_tail::StderrTail;

/// The most that start-up files may print before the script's first line.
const MAX_START_UP_OUTPUT: usize = 64 * 1024;
/// The longest reply to one request: a line of text, a name with its attributes, the shared mappings of all
/// processes.
const MAX_REPLY_LENGTH: usize = 4 * 1024 * 1024;
const READ_BUFFER: usize = 64 * 1024;
const WRITE_LENGTH: usize = 16 * 1024;

/// Why a channel can no longer be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// The device did not reply in time.
    #[error("no reply for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The shell ended.
    #[error("the device's shell ended: {0}")]
    Ended(String),
    /// The device refuses one more session on this connection.
    #[error("the device permits no further session on one connection (MaxSessions)")]
    SessionLimit,
    /// Not a valid reply.
    #[error("unexpected reply of the device's shell: '{0}'")]
    Unexpected(String),
    /// A reply that may be valid, but is longer than gleaner is willing to read.
    #[error("the device's shell sends {0} unwanted bytes")]
    Excess(u64),
    /// ssh could not be started, or not be written to.
    #[error("communicate with the device's shell")]
    Stream(#[from] io::Error),
}

/// The script's standard input: a process's, or a test's stand-in.
pub(crate) trait ShellStdin: AsyncWrite + Send + Sync + Unpin + fmt::Debug {}
impl<S: AsyncWrite + Send + Sync + Unpin + fmt::Debug> ShellStdin for S {}

/// The script's standard output: a process's, or a test's stand-in.
pub(crate) trait ShellStdout: AsyncRead + Send + Sync + Unpin + fmt::Debug {}
impl<S: AsyncRead + Send + Sync + Unpin + fmt::Debug> ShellStdout for S {}

pub(crate) type BoxedStdin = Box<dyn ShellStdin>;
pub(crate) type BoxedStdout = Box<dyn ShellStdout>;

/// One run of the script. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct ShellChannel {
    stdin: BoxedStdin,
    stdout: Metered<BoxedStdout>,
    buffer: BytesMut,
    stderr: StderrTail,
    tag: Arc<str>,
    stall_timeout: Duration,
    /// Bytes received over the whole connection, by all its channels.
    received: Arc<AtomicU64>,
    pending: Arc<PendingReplies>,
    /// When the awaited piece of the reply last made progress.
    mark: ProgressMark,
    /// The source whose listing was requested when the script was started, and not read yet.
    early_listing: Option<SourcePath>,
    _process: Option<Child>,
}

/// A moment, and the bytes received over the connection by then.
#[derive(Debug, Clone, Copy)]
struct ProgressMark {
    at: Instant,
    received: u64,
}

impl ProgressMark {
    fn new(received: &AtomicU64) -> Self {
        Self {
            at: Instant::now(),
            received: received.load(Ordering::Relaxed),
        }
    }
}

impl ShellChannel {
    /// The tag that tells the script's replies from other output.
    pub(crate) fn tag(&self) -> Arc<str> {
        self.tag.clone()
    }

    /// Requests the listing of a source, unless that was done when the channel was opened.
    pub(crate) async fn request_listing(&mut self, source: &SourcePath) -> Result<(), ShellError> {
        match self.early_listing.take() {
            Some(asked) if asked == *source => Ok(()),
            _ => self.write(&listing_request(source)).await,
        }
    }

    /// The source whose listing is not read yet. Until it is, nothing else may be requested over this
    /// channel.
    pub(crate) fn early_listing(&self) -> Option<&SourcePath> {
        self.early_listing.as_ref()
    }

    /// Sends a request about files in one folder. The arguments are NUL-terminated, and name the files
    /// relative to it.
    pub(crate) async fn request(
        &mut self,
        verb: &str,
        request_paths: &RequestPaths,
        arguments: &[u8],
    ) -> Result<(), ShellError> {
        let folder = request_paths.folder();
        let head = format!("{verb} {} {}\n", arguments.len(), folder.len());
        let request = [head.as_bytes(), folder, arguments].concat();
        self.write(&request).await
    }

    /// Discards the listing that was requested when the channel was opened, if it has at most `max_bytes`
    /// bytes. Then the channel can take any request.
    pub(crate) async fn discard_listing(
        &mut self,
        dialect: Dialect,
        max_bytes: usize,
    ) -> Result<(), ShellError> {
        self.early_listing = None;
        let tag = self.tag();
        let end = if dialect.ends_records_in_nul() {
            format!("E{tag}\0")
        } else {
            format!("E{tag}\n{tag}\n")
        };
        let mut passed = 0;
        self.restart_stall_timer();
        while passed <= max_bytes {
            if let Some(at) = find(&self.buffer, end.as_bytes(), 0) {
                self.buffer.advance(at + end.len());
                return Ok(());
            }
            // Keeps what may be the beginning of the end marker.
            let before = self.buffer.len().saturating_sub(end.len());
            self.buffer.advance(before);
            passed += before;
            self.read().await?;
        }
        Err(ShellError::Excess(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    /// The next piece of the reply, up to a terminator, which is removed.
    pub(crate) async fn read_until(&mut self, terminator: &[u8]) -> Result<Bytes, ShellError> {
        let mut searched = 0;
        self.restart_stall_timer();
        loop {
            if let Some(end) = find(&self.buffer, terminator, searched) {
                let mut piece = self.buffer.split_to(end + terminator.len());
                piece.truncate(end);
                self.pending.count_reply();
                return Ok(piece.freeze());
            }
            searched = self.buffer.len().saturating_sub(terminator.len());
            if self.buffer.len() > MAX_REPLY_LENGTH {
                return Err(self.unexpected_reply());
            }
            self.read().await?;
        }
    }

    /// Counts the piece just read as a digest, which takes a device longer than other replies.
    pub(crate) fn count_digest(&self) {
        self.pending.count_digest();
    }

    /// The next byte of the reply, without consuming it.
    pub(crate) async fn peek(&mut self) -> Result<u8, ShellError> {
        self.restart_stall_timer();
        loop {
            match self.buffer.first() {
                Some(byte) => return Ok(*byte),
                None => self.read().await?,
            }
        }
    }

    /// The next `count` bytes of the reply, at most a small file's. Copied, so that they do not keep a much
    /// larger buffer.
    pub(crate) async fn read_exactly(&mut self, count: usize) -> Result<Bytes, ShellError> {
        self.restart_stall_timer();
        while self.buffer.len() < count {
            self.read().await?;
        }
        let bytes = Bytes::copy_from_slice(self.buffer.get(..count).unwrap_or_default());
        self.buffer.advance(count);
        self.pending.count_reply();
        Ok(bytes)
    }

    /// Discards `count` bytes of the reply.
    pub(crate) async fn skip(&mut self, count: u64) -> Result<(), ShellError> {
        let mut left = count;
        self.restart_stall_timer();
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.advance(here);
            left -= u64::try_from(here).unwrap_or(left);
            if left == 0 {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Discards the output of start-up files, up to the sentinel.
    async fn skip_start_up_output(&mut self) -> Result<(), ShellError> {
        self.restart_stall_timer();
        let sentinel = format!("\n{} ready\n", self.tag);
        loop {
            if let Some(start) = find(&self.buffer, sentinel.as_bytes(), 0) {
                drop(self.buffer.split_to(start + sentinel.len()));
                return Ok(());
            }
            if self.buffer.len() > MAX_START_UP_OUTPUT {
                return Err(self.unexpected_reply());
            }
            self.read().await?;
        }
    }

    async fn facts(&mut self) -> Result<Facts, ShellError> {
        let prefix = format!("{} ", self.tag);
        let (mut lines, mut length) = (Vec::new(), 0);
        while length < MAX_REPLY_LENGTH {
            let line = self.read_until(b"\n").await?;
            length += line.len() + 1;
            let line = String::from_utf8_lossy(&line).into_owned();
            match line.strip_prefix(&prefix) {
                Some("end") => return Ok(Facts::parse(lines.iter().map(String::as_str))),
                Some(fact) => lines.push(fact.to_owned()),
                // A tool that prints several lines.
                None => {}
            }
        }
        Err(self.unexpected_reply())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ShellError> {
        let min_bytes = min_bytes(self.stall_timeout, None);
        let _waiting = self.pending.begin_wait();
        // In pieces: over a slow link the whole of a long request may take longer than `stall_timeout`.
        for piece in bytes.chunks(WRITE_LENGTH) {
            let written = async {
                self.stdin.write_all(piece).await?;
                self.stdin.flush().await
            };
            match with_stall_timeout(self.stall_timeout, &self.received, min_bytes, written).await {
                Some(Ok(())) => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(self.ended().await);
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Err(ShellError::Stalled(self.stall_timeout)),
            }
        }
        Ok(())
    }

    /// Called before waiting for a piece of a reply. The piece must arrive within `stall_timeout`, or bytes
    /// must arrive at the minimum rate.
    fn restart_stall_timer(&mut self) {
        self.mark = ProgressMark::new(&self.received);
    }

    async fn read(&mut self) -> Result<(), ShellError> {
        self.buffer.reserve(READ_BUFFER);
        let _waiting = self.pending.begin_wait();
        loop {
            let reading = self.stdout.read_buf(&mut self.buffer);
            match timeout_at(self.mark.at + self.stall_timeout, reading).await {
                Ok(Ok(0)) => return Err(self.ended().await),
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    // On a slow link, a reply queues behind the bytes of files.
                    let now = ProgressMark::new(&self.received);
                    if now.received - self.mark.received < min_bytes(self.stall_timeout, None) {
                        return Err(ShellError::Stalled(self.stall_timeout));
                    }
                    self.mark = now;
                }
            }
        }
    }

    async fn ended(&self) -> ShellError {
        // Standard error ends with the process that has just ended, or a moment later.
        timeout(Duration::from_millis(500), self.stderr.ended())
            .await
            .ok();
        let stderr = self.stderr.text();
        if stderr.lines().any(is_refused_session) {
            return ShellError::SessionLimit;
        }
        let last_line = stderr.lines().rfind(|line| !is_chatter(line.trim()));
        ShellError::Ended(escaped(last_line.unwrap_or_default().as_bytes()))
    }

    fn unexpected_reply(&self) -> ShellError {
        let beginning = self.buffer.get(..self.buffer.len().min(80)).unwrap_or_default();
        ShellError::Unexpected(escaped(beginning))
    }
}

/// Waits for `work` while at least `min_bytes` arrive over the connection in each `stall_timeout`. `None`
/// once fewer arrived.
async fn with_stall_timeout<T>(
    stall_timeout: Duration,
    received: &AtomicU64,
    min_bytes: u64,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        let before = received.load(Ordering::Relaxed);
        match timeout(stall_timeout, &mut work).await {
            Ok(done) => return Some(done),
            Err(_) if received.load(Ordering::Relaxed) - before >= min_bytes => {}
            Err(_) => return None,
        }
    }
}

fn listing_request(source: &SourcePath) -> Vec<u8> {
    let path = anchored(source.as_bytes());
    let head = format!("survey {}\n", path.len() + 1);
    [head.as_bytes(), &path, b"\0"].concat()
}

/// Where a pattern begins, at `from` or later.
fn find(buffer: &[u8], pattern: &[u8], from: usize) -> Option<usize> {
    let found = memmem::find(buffer.get(from..)?, pattern)?;
    Some(from + found)
}
