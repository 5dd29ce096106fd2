//! The way in: what a hostile server does before anybody is let in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Between two bytes of a server that gives one at a time: below every `stall_timeout` of these tests, so that it is never quite silent.
pub(crate) const CRUMB_EVERY: Duration = Duration::from_millis(300);

/// Where on the way in the lie begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// There is no lie at the door.
    Honest,
    /// Accepts, and says nothing.
    Mute,
    /// One line after the other, and never the one that begins with `SSH-`.
    EndlessLines,
    /// A first line that never ends.
    EndlessLine,
    /// The version's line, byte by byte.
    VersionInCrumbs,
    /// Something that was never SSH.
    Garbage,
    /// A version, and then the first packet claims 4 GiB.
    HugePacket,
    /// An honest server up to the end of a packet in the clear; then one that stops in this manner.
    After(ClearPacket, Manner),
    /// An honest server up to half of a packet in the clear.
    AmidKeyExchange,
    /// The question whether the key may be used is never answered.
    MuteInAuthentication,
    /// Any amount of text before authentication, and then silence in it.
    LongBanner,
    /// A banner that puts words into ssh's mouth.
    LyingBanner,
    /// A session is asked for, and the question never answered.
    MuteAtSession,
}

/// A stage of the handshake that goes in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClearPacket {
    Version,
    Proposal,
    KeyExchange,
    NewKeys,
}

/// How somebody stops talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Silent,
    InCrumbs,
}

/// Speaks on a raw socket, for the doors behind which there is no SSH at all; false where there is.
pub(crate) async fn speak_raw(door: Door, stream: &mut TcpStream) -> bool {
    let said = match door {
        Door::Mute => Ok(()),
        Door::EndlessLines => repeat(stream, b"", b"Welcome to a very talkative host!\r\n").await,
        Door::EndlessLine => repeat(stream, b"", &[b'x'; 4096]).await,
        Door::VersionInCrumbs => in_crumbs(stream, b"SSH-2.0-tardy\r\n").await,
        Door::Garbage => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
        }
        Door::HugePacket => {
            let packet = [&b"SSH-2.0-huge\r\n"[..], &[0xff; 64]].concat();
            stream.write_all(&packet).await
        }
        _ => return false,
    };
    if said.is_ok() && door != Door::Garbage {
        std::future::pending::<()>().await;
    }
    true
}

async fn repeat(stream: &mut TcpStream, first: &[u8], again: &[u8]) -> io::Result<()> {
    stream.write_all(first).await?;
    loop {
        stream.write_all(again).await?;
    }
}

async fn in_crumbs(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        sleep(CRUMB_EVERY).await;
        stream.write_all(&[*byte]).await?;
    }
    Ok(())
}

/// A connection that is honest up to a point of the handshake.
pub(crate) struct Wire {
    stream: TcpStream,
    door: Door,
    /// What has been sent in the clear.
    sent: Vec<u8>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, door: Door) -> Self {
        Self {
            stream,
            door,
            sent: Vec::new(),
            pause: None,
        }
    }

    /// Up to where the server is honest, if `more` is sent: `None` where that is not reached yet.
    fn honest_bytes(&self, more: &[u8]) -> Option<usize> {
        let (packet, half) = match self.door {
            Door::After(packet, _) => (packet, false),
            Door::AmidKeyExchange => (ClearPacket::KeyExchange, true),
            _ => return None,
        };
        let all = [&self.sent[..], more].concat();
        let mut start = all.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let wanted = match packet {
            ClearPacket::Version => return Some(start),
            ClearPacket::Proposal => 20,
            ClearPacket::KeyExchange => 31,
            ClearPacket::NewKeys => 21,
        };
        loop {
            let length: [u8; 4] = all.get(start..start + 4)?.try_into().ok()?;
            let end = start + 4 + u32::from_be_bytes(length) as usize;
            if *all.get(start + 5)? == wanted {
                return Some(if half { start + (end - start) / 2 } else { end });
            }
            start = end;
        }
    }

    /// What may go of these bytes now: `None` for nothing any more.
    fn allowance(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Option<usize> {
        let Some(honest) = self.honest_bytes(bytes) else {
            return Some(bytes.len());
        };
        match honest.saturating_sub(self.sent.len()) {
            0 if matches!(self.door, Door::After(_, Manner::InCrumbs)) => {
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(CRUMB_EVERY)));
                if pause.as_mut().poll(context).is_pending() {
                    return None;
                }
                self.pause = None;
                Some(1)
            }
            0 => None,
            left => Some(left.min(bytes.len())),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(allowed) = self.allowance(bytes, context) else {
            return Poll::Pending;
        };
        let part = bytes.get(..allowed).unwrap_or(bytes);
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, part))?;
        if matches!(self.door, Door::After(..) | Door::AmidKeyExchange) {
            self.sent.extend_from_slice(&part[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
