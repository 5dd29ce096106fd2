//! A TCP connection that can be slow, and can be cut.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{future::Future, sync::Arc};

use parking_lot::Mutex;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// A slow link sends the bytes of this time at once. Short enough to look steady in a progress bar.
const SLICE: Duration = Duration::from_millis(20);

/// The link between one server and all its clients.
#[derive(Debug, Default)]
pub(crate) struct Link {
    cut: Option<Cut>,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Cut {
    after: u64,
    sent: AtomicU64,
    done: AtomicBool,
}

#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Link {
    /// A link that severs, once, the connection that would carry the byte after the first `bytes` to a
    /// client.
    pub(crate) fn cut_after(bytes: u64) -> Link {
        let cut = Cut {
            after: bytes,
            sent: AtomicU64::new(0),
            done: AtomicBool::new(false),
        };
        Link {
            cut: Some(cut),
            pace: None,
        }
    }

    /// A link that carries this much to all clients together.
    pub(crate) fn slow(bytes_per_second: u64) -> Link {
        let pace = Pace {
            bytes_per_second: bytes_per_second.max(1),
            free_at: Mutex::new(Instant::now()),
        };
        Link {
            cut: None,
            pace: Some(pace),
        }
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.cut
            .as_ref()
            .is_some_and(|cut| cut.done.load(Ordering::Acquire))
    }

    /// How many of `wanted` bytes may be sent now; `None` severs the connection.
    fn allowance(&self, wanted: usize) -> Option<usize> {
        let mut allowed = wanted;
        if let Some(cut) = self.cut.as_ref().filter(|cut| !cut.done.load(Ordering::Acquire)) {
            let left = cut.after.saturating_sub(cut.sent.load(Ordering::Acquire));
            if left == 0 && !cut.done.swap(true, Ordering::AcqRel) {
                return None;
            }
            allowed = allowed.min(usize::try_from(left.max(1)).unwrap_or(usize::MAX));
        }
        if let Some(pace) = &self.pace {
            let slice = u128::from(pace.bytes_per_second) * SLICE.as_millis() / 1000;
            allowed = allowed.min(usize::try_from(slice.max(1)).unwrap_or(usize::MAX));
        }
        Some(allowed)
    }

    fn sent(&self, bytes: usize) {
        let bytes = bytes as u64;
        if let Some(cut) = &self.cut {
            cut.sent.fetch_add(bytes, Ordering::AcqRel);
        }
        if let Some(pace) = &self.pace {
            let mut free_at = pace.free_at.lock();
            let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(pace.bytes_per_second);
            let busy = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            *free_at = (*free_at).max(Instant::now()) + busy;
        }
    }

    /// When a busy link becomes free; `None` if it is free now.
    fn busy_until(&self) -> Option<Instant> {
        let pace = self.pace.as_ref()?;
        let free_at = *pace.free_at.lock();
        (free_at > Instant::now()).then_some(free_at)
    }
}

/// One connection over a [`Link`]. Only bytes to the client are slowed and counted: nearly all go there.
pub(crate) struct Wire {
    stream: TcpStream,
    link: Arc<Link>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, link: Arc<Link>) -> Wire {
        Wire {
            stream,
            link,
            pause: None,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        while let Some(until) = self.link.busy_until() {
            let pause = self
                .pause
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(allowed) = self.link.allowance(buf.len()) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let part = buf.get(..allowed).unwrap_or(buf);
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, part))?;
        self.link.sent(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
