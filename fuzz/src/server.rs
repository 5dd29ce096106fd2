//! Streams and servers in memory, on a clock that advances only while every task waits.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use sftp::codec::{ClientPacket, Hello, Request, Response, ServerPacket, Status, StatusCode, take_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

/// More than any client here has in flight.
pub(crate) const PIPE: usize = 1 << 20;

/// Runs `work` on this thread alone.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO can be built");
    runtime.block_on(work)
}

/// A stream that arrives in pieces, each returned by one read, and then ends.
#[derive(Debug)]
pub(crate) struct Pieces(VecDeque<Vec<u8>>);

impl Pieces {
    pub(crate) fn new(pieces: Vec<Vec<u8>>) -> Self {
        Self(pieces.into())
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

/// A client of a server that can make folders and has no files.
pub(crate) async fn client_of_an_empty_server() -> sftp::Client {
    let (near, far) = duplex(PIPE);
    tokio::spawn(serve_nothing(far));
    let (reader, writer) = tokio::io::split(near);
    sftp::Client::connect(reader, writer)
        .await
        .expect("the server sends its version")
}

async fn serve_nothing(mut stream: DuplexStream) {
    let (mut received, mut sending) = (BytesMut::new(), BytesMut::new());
    while let Some(packet) = next_packet(&mut stream, &mut received).await {
        match packet {
            ClientPacket::Init(_) => version(&[]).encode(&mut sending),
            ClientPacket::Request { id, request } => {
                let code = match request {
                    Request::Mkdir { .. } => StatusCode::Ok,
                    _ => StatusCode::NoSuchFile,
                };
                Response::Status(Status::new(code, Bytes::new())).encode(id, &mut sending);
            }
        }
        if stream.write_all(&sending).await.is_err() {
            return;
        }
        sending.clear();
    }
}

/// The version packet of a server with these extensions.
pub(crate) fn version(extensions: &[&'static str]) -> ServerPacket {
    let named = |name: &&'static str| (Bytes::from_static(name.as_bytes()), Bytes::from_static(b"1"));
    ServerPacket::Version(Hello {
        version: sftp::codec::VERSION,
        extensions: extensions.iter().map(named).collect(),
    })
}

/// The next packet of our own client, which must be valid. `None` once the client has closed the stream.
pub(crate) async fn next_packet(stream: &mut DuplexStream, received: &mut BytesMut) -> Option<ClientPacket> {
    loop {
        if let Some(frame) = take_frame(received).expect("our client sends whole packets") {
            return Some(ClientPacket::decode(frame).expect("our client sends valid packets"));
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}
