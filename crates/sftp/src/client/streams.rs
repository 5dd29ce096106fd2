//! The two tasks of a connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::connection::Connection;
use super::error::{ConnectionError, ProtocolError};
use crate::codec::{missing_bytes, take_frame};

/// Room for several of the longest packets, so that few of them are moved to the next buffer when one is
/// full.
pub(super) const BUFFER_LENGTH: usize = 1024 * 1024;
/// A read into less room than a pipe holds costs as much as a read into more.
const MIN_ROOM: usize = 64 * 1024;
/// A larger send buffer is freed after use.
const MAX_KEPT_OUTBOX: usize = 1024 * 1024;

/// Reads until the stream or the connection ends. `received` may hold bytes that arrived with the greeting.
pub(super) async fn receive<R: AsyncRead + Unpin>(
    connection: Arc<Connection>,
    mut reader: R,
    received: BytesMut,
) {
    let cause = tokio::select! {
        biased;
        () = connection.reader_stop.notified() => return,
        cause = receive_packets(&connection, &mut reader, received) => cause,
    };
    connection.fail(cause);
}

async fn receive_packets<R: AsyncRead + Unpin>(
    connection: &Arc<Connection>,
    reader: &mut R,
    mut received: BytesMut,
) -> ConnectionError {
    loop {
        if let Err(error) = dispatch_all(connection, &mut received) {
            return error.into();
        }
        // Reserves room for all of a packet that has begun while few of its bytes must be moved.
        let room = missing_bytes(&received).max(MIN_ROOM);
        if received.capacity() - received.len() < room {
            received.reserve(BUFFER_LENGTH);
        }
        match reader.read_buf(&mut received).await {
            Ok(0) => return ConnectionError::Closed,
            Ok(bytes) => connection.note_received(bytes),
            Err(error) => return ConnectionError::Read(error),
        }
    }
}

fn dispatch_all(connection: &Arc<Connection>, received: &mut BytesMut) -> Result<(), ProtocolError> {
    while let Some(frame) = take_frame(received)? {
        connection.dispatch(frame)?;
    }
    Ok(())
}

/// Writes until the stream or the connection ends.
pub(super) async fn send<W: AsyncWrite + Unpin>(connection: Arc<Connection>, mut writer: W) {
    let error = tokio::select! {
        biased;
        () = connection.writer_stop.notified() => return,
        result = send_requests(&connection, &mut writer) => match result {
            Ok(()) => return,
            Err(error) => error,
        },
    };
    connection.fail(ConnectionError::Write(error));
}

async fn send_requests<W: AsyncWrite + Unpin>(
    connection: &Connection,
    writer: &mut W,
) -> std::io::Result<()> {
    let mut sending = BytesMut::new();
    loop {
        connection.outbox_filled.notified().await;
        // One reply often wakes many callers. Running them first lets their requests go out in one write.
        tokio::task::yield_now().await;
        if !connection.take_outbox(&mut sending) {
            return Ok(());
        }
        writer.write_all(&sending).await?;
        writer.flush().await?;
        connection.sent.fetch_add(sending.len() as u64, Ordering::Relaxed);
        if sending.capacity() > MAX_KEPT_OUTBOX {
            sending = BytesMut::new();
        }
        sending.clear();
    }
}
