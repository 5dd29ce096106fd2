//! Runs a client's command as a child process.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::listen::close_channel;

/// The capacity of a pipe.
const READ_BYTES: usize = 64 << 10;

/// The SSH data type for standard error (RFC 4254, 5.2).
pub(crate) const STANDARD_ERROR: u32 = 1;

/// Starts `command`, or a shell that reads commands from the client, as the leader of its own process group.
pub(crate) fn spawn(command: Option<&[u8]>, home: &Path) -> io::Result<ChildGroup> {
    let mut shell = Command::new("/bin/sh");
    if let Some(command) = command {
        shell.arg("-c").arg(OsStr::from_bytes(command));
    }
    // As sshd does: none of the server's own environment.
    let path = format!(
        "{}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        home.display()
    );
    shell
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("SHELL", "/bin/sh")
        .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 1")
        .current_dir(home);
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = shell.process_group(0).kill_on_drop(true).spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok(ChildGroup { child, group })
}

/// A child and its process group. Dropping it before the child was awaited kills the group.
pub(crate) struct ChildGroup {
    child: Child,
    group: Option<Pid>,
}

/// The pipes to a child.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl ChildGroup {
    /// Takes the child's ends of its standard input, output and error.
    pub(crate) fn pipes(&mut self) -> Pipes {
        let child = &mut self.child;
        Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        }
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // An error means that the group has already ended.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Carries the child's streams to and from the client until the child and its streams end, or `closing`
/// resolves. The child has ended when this returns.
pub(super) async fn supervise(
    mut running: ChildGroup,
    channel: Channel<Msg>,
    handle: &Handle,
    closing: oneshot::Receiver<()>,
) {
    let (from_client, to_client) = channel.split();
    let finished = tokio::select! {
        _ = closing => None,
        status = relay_streams(&mut running, from_client, &to_client) => status.ok(),
    };
    let Some(status) = finished else {
        running.kill();
        // The child was killed, so the wait is short.
        running.child.wait().await.ok();
        return;
    };
    running.group = None;
    // From here on, an error means that the client is gone.
    report(status, &to_client, handle).await.ok();
}

async fn relay_streams(
    running: &mut ChildGroup,
    from_client: ChannelReadHalf,
    to_client: &ChannelWriteHalf<Msg>,
) -> io::Result<ExitStatus> {
    let pipes = running.pipes();
    let replies = async {
        tokio::try_join!(
            send(pipes.stdout, None, to_client),
            send(pipes.stderr, Some(STANDARD_ERROR), to_client)
        )?;
        running.child.wait().await
    };
    tokio::select! {
        status = replies => status,
        never = feed(pipes.stdin, from_client) => match never {},
    }
}

/// Passes the client's input on to the child. Drops the input that the child does not read.
async fn feed(input: Option<ChildStdin>, mut from_client: ChannelReadHalf) -> Infallible {
    let mut client_input = from_client.make_reader();
    if let Some(mut input) = input {
        tokio::io::copy(&mut client_input, &mut input).await.ok();
    }
    tokio::io::copy(&mut client_input, &mut tokio::io::sink())
        .await
        .ok();
    // The end of the input does not end the command.
    std::future::pending().await
}

pub(crate) async fn send(
    pipe: Option<impl AsyncRead + Unpin>,
    kind: Option<u32>,
    to_client: &ChannelWriteHalf<Msg>,
) -> io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut pipe = BufReader::with_capacity(READ_BYTES, pipe);
    tokio::io::copy_buf(&mut pipe, &mut to_client.make_writer_ext(kind)).await?;
    Ok(())
}

async fn report(
    status: ExitStatus,
    to_client: &ChannelWriteHalf<Msg>,
    handle: &Handle,
) -> Result<(), russh::Error> {
    if let Some(signal) = status.signal() {
        to_client.eof().await?;
        let (id, name) = (to_client.id(), signal_name(signal));
        let sent = handle.exit_signal_request(id, name, status.core_dumped(), String::new(), String::new());
        sent.await.map_err(|()| russh::Error::SendError)?;
        return to_client.close().await;
    }
    let code = status.code().and_then(|code| u32::try_from(code).ok());
    close_channel(to_client, code.unwrap_or(u32::MAX)).await
}

fn signal_name(signal: i32) -> Sig {
    match Signal::from_named_raw(signal) {
        Some(Signal::ABORT) => Sig::ABRT,
        Some(Signal::HUP) => Sig::HUP,
        Some(Signal::INT) => Sig::INT,
        Some(Signal::KILL) => Sig::KILL,
        Some(Signal::PIPE) => Sig::PIPE,
        Some(Signal::SEGV) => Sig::SEGV,
        Some(Signal::TERM) => Sig::TERM,
        _ => Sig::Custom(format!("{signal}@sim")),
    }
}
