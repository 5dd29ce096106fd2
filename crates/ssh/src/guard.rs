//! Sees to it that no process of a connection outlives gleaner.
//!
//! Each connection has a process group of its own. Its leader is a shell that does nothing but wait for the end of
//! its standard input, whose other end only this process holds: however this process ends, the kernel closes that end,
//! and the shell ends its group. ssh, the jump's `ssh -W` and what a `ProxyCommand` starts are born into the group.
//! Because the guard is there before the first of them, there is no stage at which one could be missed; because it sends
//! a second signal a second later, neither can one that was just being started.
//!
//! Nobody needs that second where gleaner has seen the end of ssh, or has killed it. Then gleaner says a word into the pipe, the shell
//! sends both signals at once, and gleaner waits for its end: a shell that still sleeps when gleaner has ended is a left-over process, of
//! which systemd complains.
//!
//! The group keeps a terminal's Ctrl-C from ssh: it is for gleaner to end its connections in order.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// First a signal upon which ssh removes its control socket, then one that nothing withstands; between them a second, unless a word
/// was read.
///
/// `kill -TERM -$$` is the one spelling that dash, bash and busybox take.
const SCRIPT: &str = "trap '' TERM; read -r word; kill -TERM -$$; [ \"$word\" ] || sleep 1; kill -KILL -$$";

/// The word that says that there is nothing to wait for. Any would do.
const END_WORD: &[u8] = b"ended\n";

/// How long a guard that has heard the word is waited for. It needs a millisecond where the machine is not overloaded; one that needs
/// longer than this ends by itself.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// The guard of one process group. Dropping it ends the group within a second or so; [`Guard::end`] does at once.
#[derive(Debug)]
pub(crate) struct Guard {
    group: i32,
    parent_pipe: ChildStdin,
    /// Waited for by the runtime when it is dropped.
    shell: Child,
}

impl Guard {
    /// Starts the guard, and with it the group.
    pub(crate) fn start() -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = shell.id().and_then(|id| i32::try_from(id).ok());
        let (Some(group), Some(parent_pipe)) = (group, shell.stdin.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            group,
            parent_pipe,
            shell,
        })
    }

    /// The group into which the processes of the connection are started.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }

    /// Ends what is left of the group at once, and the guard with it: for when ssh has ended, or was killed.
    ///
    /// A crash before the word is out breaks the pipe, and the group ends within a second or so; after it, the guard needs nobody any more.
    pub(crate) async fn end(mut self) {
        let end = async {
            // A guard that is gone already has nothing left to end.
            self.parent_pipe.write_all(END_WORD).await.ok();
            self.shell.wait().await.ok();
        };
        timeout(EXIT_GRACE, end).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::PathBuf;

    use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
    use tokio::process::ChildStdout;

    use super::*;

    /// A process of the group that says so when it is asked to end, and goes on.
    async fn process_ignoring_sigterm(guard: &Guard) -> (Child, Lines<BufReader<ChildStdout>>) {
        let script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done";
        let mut process = Command::new("/bin/sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(guard.group())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        (process, lines)
    }

    #[tokio::test]
    async fn a_guard_that_was_told_of_the_end_is_gone_with_its_whole_group() {
        let guard = Guard::start().unwrap();
        let (mut process, _lines) = process_ignoring_sigterm(&guard).await;
        let shell = PathBuf::from(format!("/proc/{}", guard.group()));
        assert!(shell.exists());
        guard.end().await;
        assert!(!shell.exists());
        assert_eq!(process.wait().await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_guard_whose_pipe_breaks_without_a_word_gives_its_group_time_to_end() {
        let guard = Guard::start().unwrap();
        let (mut process, mut lines) = process_ignoring_sigterm(&guard).await;
        drop(guard);
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("asked"));
        assert_eq!(process.wait().await.unwrap().signal(), Some(9));
    }
}
