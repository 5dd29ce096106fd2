//! The script of a hostile device. A real shell runs the script, and from some point on false output replaces
//! its replies.
//!
//! To find that point, the relay parses the conversation. It begins with lines: the script, two halves of the
//! tag that marks replies, and the known facts of the device. Requests follow: a line `verb length [length]`,
//! and that many bytes.

use std::io;

use russh::server::Msg;
use russh::{Channel, ChannelWriteHalf};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::overrides::{FalseOutput, Override};
use crate::device::exec::{ChildGroup, STANDARD_ERROR, send};
use crate::listen::close_channel;

/// When the false output begins. `{tag}` in [`FalseOutput::Once`] is replaced by the tag that marks replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptPoint {
    /// Before its first byte.
    Opening,
    /// At the first request with this verb.
    Verb(&'static str),
    /// At that request, after this many bytes of the honest reply.
    Amid(&'static str, usize),
}

/// Where in the script's output the false output begins.
#[derive(Clone, Debug, Default)]
struct Start {
    tag: String,
    /// The number of earlier requests, which get honest replies.
    answers_before: usize,
    /// The number of honest bytes of the reply.
    honest_bytes: usize,
}

impl Start {
    fn offset(&self, output_bytes: &[u8]) -> Option<usize> {
        if self.tag.is_empty() {
            return Some(0);
        }
        let mut offset = end_of(&format!("{} end\n", self.tag), output_bytes)?;
        for _ in 0..self.answers_before {
            // One more byte ends the reply.
            offset += end_of(&self.tag, output_bytes.get(offset..)?)? + 1;
        }
        Some(offset + self.honest_bytes)
    }
}

/// Where the first occurrence of a pattern ends.
fn end_of(pattern: &str, output_bytes: &[u8]) -> Option<usize> {
    let mut windows = output_bytes.windows(pattern.len());
    Some(windows.position(|window| window == pattern.as_bytes())? + pattern.len())
}

pub(super) async fn serve(channel: Channel<Msg>, mut shell: ChildGroup, fault: Override<ScriptPoint>) {
    let pipes = shell.pipes();
    let (input, output) = (pipes.stdin.expect("a pipe"), pipes.stdout.expect("a pipe"));
    let (mut from_client, to_client) = channel.split();
    let (set_start, start) = watch::channel((fault.from == ScriptPoint::Opening).then(Start::default));
    let requests = relay_requests(from_client.make_reader(), input, fault.from, set_start);
    let replies = async {
        // An error means that the client is gone.
        relay_replies(output, fault.output, &start, &to_client).await.ok();
        close_channel(&to_client, 0).await
    };
    let errors_sent = send(pipes.stderr, Some(STANDARD_ERROR), &to_client);
    let (_requests, _replies, _errors) = tokio::join!(requests, replies, errors_sent);
}

/// Passes the requests on to the script, and records when the false output begins. An error means that one
/// end is gone.
async fn relay_requests(
    from_client: impl AsyncRead + Unpin,
    mut shell: ChildStdin,
    moment: ScriptPoint,
    start: watch::Sender<Option<Start>>,
) -> io::Result<()> {
    let mut client = BufReader::new(from_client);
    pass_line(&mut client, &mut shell).await?;
    let tag = pass_line(&mut client, &mut shell).await? + &pass_line(&mut client, &mut shell).await?;
    if pass_line(&mut client, &mut shell).await? == "unknown" {
        let sources = pass_line(&mut client, &mut shell).await?;
        for _ in 0..sources.parse().expect("the number of sources") {
            pass_line(&mut client, &mut shell).await?;
        }
    }
    for answers_before in 0_usize.. {
        let line = next_line(&mut client).await?;
        let request = String::from_utf8_lossy(&line);
        let (request_verb, lengths) = request.trim_end().split_once(' ').expect("a request");
        let (verb, honest_bytes) = match moment {
            ScriptPoint::Opening => ("", 0),
            ScriptPoint::Verb(verb) => (verb, 0),
            ScriptPoint::Amid(verb, bytes) => (verb, bytes),
        };
        if request_verb == verb && start.borrow().is_none() {
            let tag = tag.clone();
            start.send_replace(Some(Start {
                tag,
                answers_before,
                honest_bytes,
            }));
        }
        shell.write_all(&line).await?;
        let lengths = lengths
            .split(' ')
            .map(|length| length.parse::<u64>().expect("a length"));
        tokio::io::copy(&mut (&mut client).take(lengths.sum()), &mut shell).await?;
    }
    Ok(())
}

/// Passes a line on and returns it without its line break.
async fn pass_line(client: &mut (impl AsyncBufRead + Unpin), shell: &mut ChildStdin) -> io::Result<String> {
    let line = next_line(client).await?;
    shell.write_all(&line).await?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

async fn next_line(client: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    match client.read_until(b'\n', &mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

/// Passes the shell's output on up to the point of the false output, then sends that. Returns when the device
/// should close the channel.
async fn relay_replies(
    mut shell: ChildStdout,
    output: FalseOutput,
    start: &watch::Receiver<Option<Start>>,
    to_client: &ChannelWriteHalf<Msg>,
) -> io::Result<()> {
    let (mut output_bytes, mut passed_on) = (Vec::new(), 0);
    let mut writer = to_client.make_writer();
    loop {
        // The point is set before the shell receives the request, so earlier output is honest.
        let start = start.borrow().clone();
        let offset = start.as_ref().and_then(|start| start.offset(&output_bytes));
        let until = offset.map_or(output_bytes.len(), |offset| offset.min(output_bytes.len()));
        writer.write_all(&output_bytes[passed_on..until]).await?;
        passed_on = until;
        if let Some(start) = start
            && offset == Some(passed_on)
        {
            let rest = output_bytes.split_off(passed_on);
            return send_false_output(output, &start.tag, io::Cursor::new(rest).chain(shell), to_client)
                .await;
        }
        if shell.read_buf(&mut output_bytes).await? == 0 {
            return Ok(());
        }
    }
}

async fn send_false_output(
    output: FalseOutput,
    tag: &str,
    honest: impl AsyncRead + Unpin,
    to_client: &ChannelWriteHalf<Msg>,
) -> io::Result<()> {
    let stream = matches!(output, FalseOutput::EndlessStderr(_)).then_some(STANDARD_ERROR);
    let output = match &output {
        FalseOutput::Once(bytes) => {
            FalseOutput::Once(String::from_utf8_lossy(bytes).replace("{tag}", tag).into())
        }
        _ => output,
    };
    output
        .deliver(honest, &mut to_client.make_writer_ext(stream))
        .await
}
