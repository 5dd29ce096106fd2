//! Limits the rate at which a stream is read, and counts the bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How far reading may run ahead of the rate: short enough to be smooth, long enough for a timer.
const BURST: Duration = Duration::from_millis(100);

/// A stream read at a limited number of bytes per second. Unread bytes fill the channel's window, and so the
/// sender waits.
#[derive(Debug)]
pub(crate) struct Metered<R> {
    stream: R,
    bytes_per_second: Option<u64>,
    /// The time at which all bytes read so far would have arrived at exactly the rate.
    due: Instant,
    pause: Option<Pin<Box<Sleep>>>,
    count: Arc<AtomicU64>,
}

impl<R> Metered<R> {
    pub(crate) fn new(stream: R, bytes_per_second: Option<u64>, count: Arc<AtomicU64>) -> Self {
        Self {
            stream,
            bytes_per_second: bytes_per_second.map(|rate| rate.max(1)),
            due: Instant::now(),
            pause: None,
            count,
        }
    }

    fn account(&mut self, bytes: usize) {
        self.count.fetch_add(bytes as u64, Ordering::Relaxed);
        let Some(rate) = self.bytes_per_second else {
            return;
        };
        let now = Instant::now();
        let nanoseconds = (bytes as u128 * 1_000_000_000) / u128::from(rate);
        let span = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.due = self.due.max(now) + span;
        if self.due > now + BURST {
            self.pause = Some(Box::pin(tokio::time::sleep_until(self.due - BURST)));
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.account(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_read_at_the_rate_and_no_byte_is_lost() {
        let count = Arc::new(AtomicU64::new(0));
        let stream = io::Cursor::new(vec![7; 1_000_000]);
        let mut metered = Metered::new(stream, Some(100_000), count.clone());
        let began = Instant::now();
        let (mut read, mut buffer) = (0, vec![0; 4096]);
        while let Ok(length @ 1..) = metered.read(&mut buffer).await {
            read += length;
        }
        assert_eq!((read, count.load(Ordering::Relaxed)), (1_000_000, 1_000_000));
        let seconds = began.elapsed().as_secs_f64();
        assert!((9.8..10.1).contains(&seconds), "{seconds}");
    }
}
