//! The SFTP server of a device, in the way of OpenSSH's: one thread per session, which answers in order.

mod answer;
mod describe;

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use sftp::codec::{ClientPacket, Malformed, take_frame};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver};

use super::hang_up;
use crate::lifetime::Lifetime;
pub(crate) use answer::Server;

/// Answers are collected up to this before they go, if more questions wait: then one packet carries many.
const BATCH_BYTES: usize = 64 << 10;

/// A client that does not read stops its session's thread once this many batches wait for it.
const BATCHES_WAITING: usize = 8;

/// Serves one session until the client ends it. Dropping this ends it too: the thread, which `lifetime` stays with,
/// notices at the next question or answer.
pub(super) async fn serve(channel: Channel<Msg>, home: PathBuf, lifetime: Lifetime) {
    let (mut from_client, to_client) = channel.split();
    // Not bounded here: a client waits for answers before it asks much more (OpenSSH: 64 requests of 32 KiB), and the
    // session must go on reading for answers to go out at all.
    let (question, questions) = mpsc::unbounded_channel();
    let (answer, mut answers) = mpsc::channel(BATCHES_WAITING);
    let thread = std::thread::Builder::new()
        .name("sim-sftp".to_owned())
        .spawn(move || {
            converse(Server::new(home), questions, &answer);
            drop(lifetime);
        });
    let asking = async move {
        while let Some(message) = from_client.wait().await {
            match message {
                // A thread that is gone reads no more: this channel is at its end.
                ChannelMsg::Data { data } => drop(question.send(data)),
                ChannelMsg::Eof | ChannelMsg::Close => return,
                _ => {}
            }
        }
    };
    let answering = async {
        while let Some(batch) = answers.recv().await {
            to_client.data_bytes(batch).await?;
        }
        hang_up(&to_client, u32::from(thread.is_err())).await
    };
    // An error means that the client has gone.
    let ((), _gone): ((), Result<(), russh::Error>) = tokio::join!(asking, answering);
}

/// Returns when there are no more questions, nobody takes answers any more, or a question cannot be read.
fn converse(mut server: Server, mut questions: UnboundedReceiver<Bytes>, answers: &Sender<Bytes>) {
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    while let Some(received) = next(&mut questions, &mut output, answers) {
        input.extend_from_slice(&received);
        if work_off(&mut server, &mut input, &mut output, answers).is_none() {
            // As OpenSSH's server: what was answered goes out, then the session ends.
            flush(&mut output, answers);
            return;
        }
    }
    flush(&mut output, answers);
}

/// Waits only after all answers have gone.
fn next(
    questions: &mut UnboundedReceiver<Bytes>,
    output: &mut BytesMut,
    answers: &Sender<Bytes>,
) -> Option<Bytes> {
    match questions.try_recv() {
        Ok(received) => Some(received),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            flush(output, answers)?;
            questions.blocking_recv()
        }
    }
}

/// Answers every whole packet of `input`; `None` if the session is over.
fn work_off(
    server: &mut Server,
    input: &mut BytesMut,
    output: &mut BytesMut,
    answers: &Sender<Bytes>,
) -> Option<()> {
    let packet = |input: &mut BytesMut| -> Result<Option<ClientPacket>, Malformed> {
        take_frame(input)?.map(ClientPacket::decode).transpose()
    };
    while let Some(packet) = packet(input).ok()? {
        server.answer(packet).encode(output);
        if output.len() >= BATCH_BYTES {
            flush(output, answers)?;
        }
    }
    Some(())
}

fn flush(output: &mut BytesMut, answers: &Sender<Bytes>) -> Option<()> {
    if output.is_empty() {
        return Some(());
    }
    answers.blocking_send(output.split().freeze()).ok()
}
