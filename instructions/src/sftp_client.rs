//! The SFTP client with a server in memory, whose part is counted too.

use bytes::{Bytes, BytesMut};
use sftp::codec::{
    ClientPacket, Hello, Limits, Request, Response, ServerPacket, Status, StatusCode, VERSION, names,
    take_frame,
};
use sftp::{Budget, Client, Outcome, Piece, PieceSink};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::{Work, runtime, sftp_codec};

/// More than the client has in flight.
const PIPE: usize = 4 << 20;
/// The length of the server's reply to one READ. Short, so that the work for each is more than copying.
const READ_LENGTH: usize = 4096;

pub(crate) fn download(count: usize) -> Work {
    let runtime = runtime();
    let client = runtime.block_on(client(0));
    let budget = Budget::new(256 << 10);
    Box::new(move || {
        runtime.block_on(async {
            // The last byte of the last READ is behind the expected size. The server's files never end.
            let size = count * READ_LENGTH - 1;
            let mut taken = Taken(0);
            let downloaded = client
                .download(b"/data/a.jpg", 0, size as u64, &budget, &mut taken)
                .await;
            assert_eq!(downloaded.unwrap(), Outcome::Grown);
            taken.0.div_ceil(READ_LENGTH)
        })
    })
}

/// The number of bytes received, which are dropped.
struct Taken(usize);

impl PieceSink for Taken {
    fn deliver(&mut self, piece: Piece) -> bool {
        self.0 += piece.bytes.len();
        true
    }
}

pub(crate) fn list(count: usize) -> Work {
    let runtime = runtime();
    let client = runtime.block_on(client(count / 100));
    Box::new(move || {
        runtime.block_on(async {
            let (sink, mut entries) = mpsc::channel::<Vec<sftp::Entry>>(2);
            let consume = async {
                let mut listed = 0;
                while let Some(batch) = entries.recv().await {
                    listed += batch.len();
                }
                listed
            };
            let produce = async move { client.list(b"/data", &sink).await };
            let (outcome, listed) = tokio::join!(produce, consume);
            assert_eq!(outcome.unwrap(), listed as u64);
            listed
        })
    })
}

/// A client of a server whose files repeat the same bytes without end, and whose folders have `replies`
/// replies full of names.
pub(crate) async fn client(replies: usize) -> Client {
    let (near, far) = duplex(PIPE);
    let listing = (0..replies).rev().map(reply_of_names).collect();
    tokio::spawn(serve(far, listing));
    let (reader, writer) = tokio::io::split(near);
    Client::connect(reader, writer).await.expect("it greets")
}

/// Encoded before counting begins, so that the server's part is small.
fn reply_of_names(number: usize) -> BytesMut {
    let mut reply = BytesMut::new();
    sftp_codec::names(number).encode(0, &mut reply);
    reply
}

async fn serve(mut stream: DuplexStream, mut listing: Vec<BytesMut>) {
    let (mut received, mut sending) = (BytesMut::new(), BytesMut::new());
    let content = Bytes::from(vec![7; READ_LENGTH]);
    loop {
        while let Some(frame) = take_frame(&mut received).expect("our client sends whole packets") {
            match ClientPacket::decode(frame).expect("our client sends valid packets") {
                ClientPacket::Init(_) => version().encode(&mut sending),
                ClientPacket::Request { id, request } => match listing.pop() {
                    Some(mut reply) if matches!(request, Request::Readdir { .. }) => {
                        // Behind the length and the type.
                        reply[5..9].copy_from_slice(&id.to_be_bytes());
                        sending.extend_from_slice(&reply);
                    }
                    unused => {
                        listing.extend(unused);
                        answer(&request, &content).encode(id, &mut sending);
                    }
                },
            }
        }
        if stream.write_all(&sending).await.is_err() {
            return;
        }
        sending.clear();
        match stream.read_buf(&mut received).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

fn answer(request: &Request, content: &Bytes) -> Response {
    let status = |code| Response::Status(Status::new(code, Bytes::new()));
    match request {
        Request::Open { .. } | Request::Opendir { .. } => Response::Handle(Bytes::from_static(b"\0\0\0\x07")),
        Request::Read { length, .. } => Response::Data(content.slice(..*length as usize)),
        Request::Extended(_) => {
            let limits = Limits {
                packet_length: 0,
                read_length: READ_LENGTH as u64,
                write_length: 0,
                open_handles: 0,
            };
            Response::ExtendedReply(limits.encode())
        }
        Request::Readdir { .. } => status(StatusCode::Eof),
        _ => status(StatusCode::Ok),
    }
}

fn version() -> ServerPacket {
    ServerPacket::Version(Hello {
        version: VERSION,
        extensions: vec![(
            Bytes::from_static(names::LIMITS.as_bytes()),
            Bytes::from_static(b"1"),
        )],
    })
}
