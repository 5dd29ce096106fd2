//! The shell of a hostile device: a real one that runs what it is given, and somebody in between who changes what it says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::sleep;

use super::door::CRUMB_EVERY;
use super::lie::{Shell, Speech, Stage};
use super::server;
use crate::outcome::PATH;

/// SSH's name for the standard error of a command (RFC 4254, 5.2).
const STANDARD_ERROR: u32 = 1;

pub(crate) async fn serve(channel: Channel<Msg>, stage: Arc<server::Stage>, command: Vec<u8>) {
    let mut family = Family::start(&stage, &command);
    let child = &mut family.child;
    let (input, output) = (
        child.stdin.take().expect("a pipe"),
        child.stdout.take().expect("a pipe"),
    );
    let (from_client, to_client) = channel.split();
    let (starter, begun) = watch::channel(None);
    let lie = match stage.character.shell {
        Shell::Lying(when, speech) if stage.is_armed() => Some((when, speech)),
        _ => None,
    };
    let asking = ask(from_client, input, lie.map(|(when, _)| when), starter);
    tokio::join!(asking, answer(output, to_client, lie, begun));
}

/// A child and its process group, which ends with this.
struct Family {
    child: Child,
}

impl Family {
    fn start(stage: &server::Stage, command: &[u8]) -> Self {
        let tools = stage.home.join("tools");
        let path = match stage.is_armed() {
            true => format!("{}:{PATH}", tools.display()),
            false => PATH.to_owned(),
        };
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(OsStr::from_bytes(command))
            .env_clear()
            .env("PATH", path)
            .env("HOME", &stage.home)
            .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 1")
            .current_dir(&stage.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("starting a shell");
        Self { child }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // An error means that all of it has ended.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// When the lie is to begin.
#[derive(Debug, Clone)]
struct Due {
    /// What answers are marked with.
    tag: String,
    /// How many requests came before, whose answers are honest ones.
    answers_before: usize,
}

impl Due {
    /// Where in what the shell has said the answers end that come before the lie: what it tells of the device, and those to requests.
    fn place(&self, said: &[u8]) -> Option<usize> {
        if self.tag.is_empty() {
            return Some(0);
        }
        let mut place = end_of(&format!("{} end\n", self.tag), said)?;
        let ends = [format!("\n{}\n", self.tag), format!("E{}\0", self.tag)];
        for _ in 0..self.answers_before {
            let ends = ends.iter().filter_map(|end| end_of(end, &said[place..]));
            place += ends.min()?;
        }
        Some(place)
    }
}

/// Where the first occurrence of a pattern ends.
fn end_of(pattern: &str, said: &[u8]) -> Option<usize> {
    let mut windows = said.windows(pattern.len());
    Some(windows.position(|window| window == pattern.as_bytes())? + pattern.len())
}

async fn ask(
    mut from_client: ChannelReadHalf,
    shell: ChildStdin,
    when: Option<Stage>,
    starter: watch::Sender<Option<Due>>,
) {
    let (mut shell, mut questions) = (Some(shell), Questions::default());
    if when == Some(Stage::Opening) {
        starter.send_replace(Some(Due {
            tag: String::new(),
            answers_before: 0,
        }));
    }
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let (asked, verbs) = (questions.asked, questions.take(&data));
                if let Some(Stage::Verb(verb) | Stage::Amid(verb, _)) = when
                    && starter.borrow().is_none()
                    && let Some(ahead) = verbs.iter().position(|asked| asked == verb)
                {
                    starter.send_replace(Some(Due {
                        tag: questions.tag.clone(),
                        answers_before: asked + ahead,
                    }));
                }
                if let Some(pipe) = &mut shell
                    && pipe.write_all(&data).await.is_err()
                {
                    shell = None;
                }
            }
            ChannelMsg::Eof => shell = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Reads along what the script is asked: three lines, what is known, and then one request after the other.
#[derive(Debug, Default)]
struct Questions {
    lines: usize,
    /// Lines that belong to the opening; known from the fourth line, or the fifth, on.
    opening: usize,
    line: Vec<u8>,
    /// What is left of the data of a request.
    data: usize,
    tag: String,
    /// How many requests there were.
    asked: usize,
}

impl Questions {
    /// The verbs of the requests that begin in these bytes.
    fn take(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut verbs = Vec::new();
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.data > 0 {
                let skipped = self.data.min(bytes.len());
                self.data -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            bytes = rest;
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                verbs.extend(self.take_line(&line));
            } else {
                self.line.push(byte);
            }
        }
        verbs
    }

    fn take_line(&mut self, line: &str) -> Option<String> {
        self.lines += 1;
        match self.lines {
            1 => return None,
            2 | 3 => {
                self.tag.push_str(line);
                return None;
            }
            4 => {
                self.opening = if line == "unknown" { 5 } else { 4 };
                return None;
            }
            5 if self.opening == 5 => {
                self.opening += line.parse::<usize>().expect("the number of sources");
                return None;
            }
            number if number <= self.opening => return None,
            _ => {}
        }
        let (verb, lengths) = line.split_once(' ').expect("a request");
        // Of the names, and of the folder from which they are told.
        self.data = lengths
            .split(' ')
            .map(|length| length.parse::<usize>().expect("a length"))
            .sum();
        self.asked += 1;
        Some(verb.to_owned())
    }
}

async fn answer(
    mut shell: ChildStdout,
    to_client: ChannelWriteHalf<Msg>,
    lie: Option<(Stage, Speech)>,
    mut due: watch::Receiver<Option<Due>>,
) {
    let honest_bytes = match lie {
        Some((Stage::Amid(_, bytes), _)) => bytes,
        _ => 0,
    };
    let (mut said, mut passed_on) = (Vec::new(), 0);
    loop {
        let begins = due.borrow_and_update().clone();
        let place = begins.as_ref().and_then(|due| due.place(&said));
        let until = place.map_or(said.len(), |place| said.len().min(place + honest_bytes));
        let honest = Bytes::copy_from_slice(&said[passed_on.min(until)..until]);
        passed_on = until.max(passed_on);
        if !honest.is_empty() && to_client.data_bytes(honest).await.is_err() {
            break;
        }
        if let (Some(due), Some(place), Some((_, speech))) = (&begins, place, lie)
            && said.len() >= place + honest_bytes
        {
            let rest = said.split_off(passed_on);
            return lie_on(speech, &due.tag, rest.as_slice().chain(shell), &to_client).await;
        }
        let mut buffer = vec![0; 64 * 1024];
        tokio::select! {
            biased;
            Ok(()) = due.changed() => {}
            read = shell.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { break };
                // Where nobody lies nothing has to be kept.
                if lie.is_none() {
                    (said, passed_on) = (Vec::new(), 0);
                }
                said.extend_from_slice(&buffer[..length]);
            }
        }
    }
    hang_up(&to_client).await;
}

async fn hang_up(to_client: &ChannelWriteHalf<Msg>) {
    // An error means that the client was quicker.
    to_client.eof().await.ok();
    to_client.exit_status(0).await.ok();
    to_client.close().await.ok();
}

async fn lie_on(
    speech: Speech,
    tag: &str,
    mut shell: impl AsyncRead + Unpin,
    to_client: &ChannelWriteHalf<Msg>,
) {
    let text = |bytes: &[u8]| -> Bytes {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Bytes::copy_from_slice(bytes);
        };
        text.replace("{tag}", tag).into_bytes().into()
    };
    match speech {
        Speech::Silence => {}
        Speech::Once(bytes) => drop(to_client.data_bytes(text(bytes)).await),
        Speech::Endless(bytes) => {
            let many: Bytes = text(bytes).repeat((32 * 1024 / bytes.len()).max(1)).into();
            while to_client.data_bytes(many.clone()).await.is_ok() {}
        }
        Speech::EndlessErrors(bytes) => {
            let many: Bytes = text(bytes).repeat((32 * 1024 / bytes.len()).max(1)).into();
            while to_client
                .extended_data_bytes(STANDARD_ERROR, many.clone())
                .await
                .is_ok()
            {}
        }
        Speech::NowAndThen(bytes) => {
            while to_client.data_bytes(text(bytes)).await.is_ok() {
                sleep(CRUMB_EVERY).await;
            }
        }
        Speech::Crumbs => {
            let mut byte = [0];
            while let Ok(1) = shell.read(&mut byte).await
                && to_client.data_bytes(Bytes::copy_from_slice(&byte)).await.is_ok()
            {
                sleep(CRUMB_EVERY).await;
            }
        }
        Speech::HangUp => return hang_up(to_client).await,
    }
    // Until the client has had enough.
    std::future::pending::<()>().await;
}
