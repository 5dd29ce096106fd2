//! The SFTP client against a server that may do anything. The client ends or waits, and holds little memory.
//! It delivers no byte that was not requested, none twice, and none at the wrong place.

mod hostile;
mod questions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sftp::codec::{Limits, names};
use sftp::{Budget, Client};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use crate::input::Input;
use crate::server::{PIPE, run};
use hostile::{Conduct, Hostile};
use questions::{Question, ServerFacts};

/// Longer than any wait here. The clock stops while any task works.
const EVER: Duration = Duration::from_hours(24);
/// Memory that the client may hold beside the bytes received: its buffers, the pipe, and the requests in
/// flight.
const BESIDE: usize = 8 << 20;
/// An empty name is 12 bytes on the wire.
const TIMES: usize = 64;

/// The first byte selects the kind of server: odd is a fixed stream of bytes; even is a server whose limits,
/// files and behaviour follow.
pub(crate) fn hold(input: &[u8]) {
    let mut input = Input(input);
    let limit = BESIDE + TIMES * input.0.len();
    crate::memory::within(limit, || match input.byte() {
        manner if manner % 2 == 1 => run(stream_of_bytes(input)),
        _ => run(conversation(input)),
    });
}

/// The server sends fixed bytes, whatever the request, and ends. Then everything must end.
async fn stream_of_bytes(mut input: Input<'_>) {
    let questions = Question::some(&mut input);
    let greets = input.byte().is_multiple_of(2);
    let (near, far) = duplex(PIPE);
    let said = input.0.to_vec();
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        // Reads and drops the client's requests.
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        if greets {
            let mut greeting = bytes::BytesMut::new();
            crate::server::version(&[]).encode(&mut greeting);
            writer.write_all(&greeting).await.ok();
        }
        for piece in said.chunks(100) {
            writer.write_all(piece).await.ok();
        }
        writer.shutdown().await.ok();
    });
    let facts = Arc::new(ServerFacts::default());
    facts.lie();
    all_end(near, questions, &facts, None).await;
}

/// The server acts as the input says, then correctly, or not at all.
async fn conversation(mut input: Input<'_>) {
    let conduct = Conduct::read(&mut input);
    let questions = Question::some(&mut input);
    let (near, far) = duplex(PIPE);
    let facts = Arc::new(ServerFacts::of(conduct.size));
    let may_keep_silent = conduct.keeps_silent();
    let server = Hostile::new(far, conduct, input.0.to_vec(), facts.clone());
    let server = tokio::spawn(server.serve());
    let server = Serving {
        server: server.abort_handle(),
        may_keep_silent,
    };
    all_end(near, questions, &facts, Some(server)).await;
}

/// A server that may still be running when every task waits.
struct Serving {
    server: AbortHandle,
    may_keep_silent: bool,
}

/// Sends all requests at once. Everything must end if the server answers all requests, and in any case once
/// it has gone.
async fn all_end(
    near: DuplexStream,
    questions: Vec<Question>,
    facts: &Arc<ServerFacts>,
    server: Option<Serving>,
) {
    let (reader, writer) = tokio::io::split(near);
    let mut connecting = tokio::spawn(Client::connect(reader, writer));
    let connected = ends(&mut connecting, facts, server.as_ref()).await;
    let client = match connected {
        Ok(client) => client,
        Err(error) => return shown(&error),
    };
    let budget = Budget::new(facts.budget());
    let asked: Vec<_> = questions
        .into_iter()
        .map(|question| tokio::spawn(question.ask(client.clone(), budget.clone(), facts.clone())))
        .collect();
    for mut question in asked {
        ends(&mut question, facts, server.as_ref()).await;
    }
    let reading = client.clone();
    let mut length = tokio::spawn(async move { reading.read_length().await });
    let length = ends(&mut length, facts, server.as_ref()).await;
    assert!((4096..=255 * 1024).contains(&length));
    if let Some(failure) = client.failure() {
        assert!(!failure.to_string().is_empty());
    }
    drop(client);
    // The two tasks of the connection end and return their credit.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(budget.available(), budget.capacity() as usize, "credit was lost");
}

/// Waits for a task. If the server may withhold an answer, ends the server and waits again.
async fn ends<T>(task: &mut JoinHandle<T>, facts: &ServerFacts, server: Option<&Serving>) -> T {
    let ended = match (timeout(EVER, &mut *task).await, server) {
        (Ok(ended), _) => ended,
        (Err(_), Some(server)) if server.may_keep_silent || facts.has_lied() => {
            server.server.abort();
            let ended = timeout(EVER, task).await;
            ended.expect("waits for a server that has gone")
        }
        (Err(_), _) => panic!("waits indefinitely, though everything was answered"),
    };
    match ended {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// An error is shown to people.
fn shown(error: &sftp::Error) {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
        cause = error.source();
    }
}

/// The content of every file at an offset: bytes that neither repeat soon nor stay the same.
fn content(offset: u64, length: usize) -> Bytes {
    let byte = |at: u64| u8::try_from((at ^ (at >> 8).wrapping_mul(31)) & 0xff).unwrap_or(0);
    (offset..).take(length).map(byte).collect()
}

/// Limits by number; `None` for some numbers.
fn limits(number: u8) -> Option<Limits> {
    const LENGTHS: [u64; 6] = [0, 1, 100, 4096, 32 * 1024, u64::MAX];
    let length = |by: u8| LENGTHS[usize::from(number / by) % LENGTHS.len()];
    number.is_multiple_of(2).then(|| Limits {
        packet_length: length(64),
        read_length: length(2),
        write_length: 0,
        open_handles: u64::from(number / 16 % 4),
    })
}

/// The extensions of a server with or without limits.
fn extensions(has_limits: bool) -> &'static [&'static str] {
    if has_limits {
        &[names::POSIX_RENAME, names::LIMITS, names::STATVFS]
    } else {
        &[names::POSIX_RENAME]
    }
}
