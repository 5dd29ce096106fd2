//! The exchange of INIT and VERSION.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::error::{ConnectionError, ProtocolError};
use crate::codec::{ClientPacket, Hello, ServerPacket, VERSION, take_frame};

/// Bytes of a foreign greeting that are kept for the error.
const PREVIEW_LENGTH: usize = 256;

pub(super) struct Greeting {
    pub(super) extensions: Vec<(Bytes, Bytes)>,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
}

/// Exchanges INIT and VERSION. Bytes after VERSION stay in `received`.
pub(super) async fn exchange<R, W>(
    reader: &mut R,
    writer: &mut W,
    received: &mut BytesMut,
) -> Result<Greeting, ConnectionError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut init = BytesMut::new();
    ClientPacket::Init(Hello {
        version: VERSION,
        extensions: Vec::new(),
    })
    .encode(&mut init);
    // A server that refuses and closes before it reads may have sent a message. It says more than the write
    // error.
    let written = write(writer, &init).await;
    let mut received_bytes = 0;
    loop {
        if !may_be_version(received) {
            read_what_is_there(reader, received).await;
            let first_bytes = received.get(..PREVIEW_LENGTH).unwrap_or(received).to_vec();
            return Err(ConnectionError::NotSftp { first_bytes });
        }
        if let Some(frame) = take_frame(received).map_err(ProtocolError::from)? {
            let hello = version(frame)?;
            written.map_err(ConnectionError::Write)?;
            return Ok(Greeting {
                extensions: hello.extensions,
                received_bytes,
                sent_bytes: init.len() as u64,
            });
        }
        match reader.read_buf(received).await {
            Ok(0) if received.is_empty() => {
                return Err(written.map_or_else(ConnectionError::Write, |()| ConnectionError::Closed));
            }
            Ok(0) => {
                return Err(ConnectionError::NotSftp {
                    first_bytes: received.to_vec(),
                });
            }
            Ok(bytes) => received_bytes += bytes as u64,
            Err(error) => return Err(ConnectionError::Read(error)),
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, init: &[u8]) -> std::io::Result<()> {
    writer.write_all(init).await?;
    writer.flush().await
}

fn version(frame: Bytes) -> Result<Hello, ConnectionError> {
    match ServerPacket::decode(frame).map_err(ProtocolError::from)? {
        ServerPacket::Version(hello) if hello.version == VERSION => Ok(hello),
        ServerPacket::Version(hello) => Err(ConnectionError::Version {
            version: hello.version,
        }),
        ServerPacket::Response { id, .. } => Err(ProtocolError::UnknownId { id }.into()),
    }
}

/// Whether these bytes may become a VERSION packet. Text never does: four letters mean a length of a gigabyte
/// or more.
fn may_be_version(received: &BytesMut) -> bool {
    let length_is_possible = match received.first_chunk::<4>() {
        Some(field) => (5..=crate::codec::MAX_PACKET_LENGTH).contains(&u32::from_be_bytes(*field)),
        None => received.first().is_none_or(|byte| *byte == 0),
    };
    length_is_possible
        && received
            .get(4)
            .is_none_or(|kind| *kind == ServerPacket::VERSION_TYPE)
}

/// Reads what has arrived already, for the error, without waiting.
async fn read_what_is_there<R: AsyncRead + Unpin>(reader: &mut R, received: &mut BytesMut) {
    let mut room = [0; PREVIEW_LENGTH];
    let mut more = ReadBuf::new(&mut room);
    poll_fn(|context| {
        // A failure is ignored: the preview is optional.
        Poll::Ready(Pin::new(&mut *reader).poll_read(context, &mut more).is_ready())
    })
    .await;
    received.extend_from_slice(more.filled());
}
