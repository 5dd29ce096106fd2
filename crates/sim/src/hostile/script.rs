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
use crate::device::exec::{Running, STANDARD_ERROR, send};
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
struct Due {
    tag: String,
    /// The number of earlier requests, which get honest replies.
    answers_before: usize,
    /// The number of honest bytes of the reply.
    honest_bytes: usize,
}

impl Due {
    fn place(&self, said: &[u8]) -> Option<usize> {
        if self.tag.is_empty() {
            return Some(0);
        }
        let mut place = end_of(&format!("{} end\n", self.tag), said)?;
        for _ in 0..self.answers_before {
            // One more byte ends the reply.
            place += end_of(&self.tag, said.get(place..)?)? + 1;
        }
        Some(place + self.honest_bytes)
    }
}

/// Where the first occurrence of a pattern ends.
fn end_of(pattern: &str, said: &[u8]) -> Option<usize> {
    let mut windows = said.windows(pattern.len());
    Some(windows.position(|window| window == pattern.as_bytes())? + pattern.len())
}

pub(super) async fn serve(channel: Channel<Msg>, mut shell: Running, fault: Override<ScriptPoint>) {
    let (input, output, errors) = shell.pipes();
    let (input, output) = (input.expect("a pipe"), output.expect("a pipe"));
    let (mut from_client, to_client) = channel.split();
    let (due, is_due) = watch::channel((fault.from == ScriptPoint::Opening).then(Due::default));
    let asking = pass_on(from_client.make_reader(), input, fault.from, due);
    let answering = async {
        // An error means that the client is gone.
        answer(output, fault.output, &is_due, &to_client).await.ok();
        close_channel(&to_client, 0).await
    };
    let complaining = send(errors, Some(STANDARD_ERROR), &to_client);
    let (_asked, _answered, _complained) = tokio::join!(asking, answering, complaining);
}

/// Passes the requests on to the script, and records when the false output begins. An error means that one
/// end is gone.
async fn pass_on(
    from_client: impl AsyncRead + Unpin,
    mut shell: ChildStdin,
    moment: ScriptPoint,
    due: watch::Sender<Option<Due>>,
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
        let (asked, lengths) = request.trim_end().split_once(' ').expect("a request");
        let (verb, honest_bytes) = match moment {
            ScriptPoint::Opening => ("", 0),
            ScriptPoint::Verb(verb) => (verb, 0),
            ScriptPoint::Amid(verb, bytes) => (verb, bytes),
        };
        if asked == verb && due.borrow().is_none() {
            let tag = tag.clone();
            due.send_replace(Some(Due {
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
async fn answer(
    mut shell: ChildStdout,
    output: FalseOutput,
    due: &watch::Receiver<Option<Due>>,
    to_client: &ChannelWriteHalf<Msg>,
) -> io::Result<()> {
    let (mut said, mut passed_on) = (Vec::new(), 0);
    let mut writer = to_client.make_writer();
    loop {
        // The point is set before the shell receives the request, so earlier output is honest.
        let due = due.borrow().clone();
        let place = due.as_ref().and_then(|due| due.place(&said));
        let until = place.map_or(said.len(), |place| place.min(said.len()));
        writer.write_all(&said[passed_on..until]).await?;
        passed_on = until;
        if let Some(due) = due
            && place == Some(passed_on)
        {
            let rest = said.split_off(passed_on);
            return lie_on(output, &due.tag, io::Cursor::new(rest).chain(shell), to_client).await;
        }
        if shell.read_buf(&mut said).await? == 0 {
            return Ok(());
        }
    }
}

async fn lie_on(
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
