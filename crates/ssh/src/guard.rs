//! Ensures that no process of a connection outlives gleaner.
//!
//! Each connection has a process group of its own. Its leader is a shell that only waits for the end of its
//! standard input. gleaner alone holds the other end of this pipe. However gleaner ends, the kernel closes
//! that end, and the shell ends its group. ssh, the jump's `ssh -W` and the processes of a `ProxyCommand` are
//! born into the group. The guard starts before the first of them, so it misses none at any stage. Its second
//! signal, a second later, also catches a process that was just being started.
//!
//! That second is not needed where gleaner has seen the end of ssh, or has killed it. Then gleaner writes a
//! word into the pipe, the shell sends both signals at once, and gleaner waits for the shell's end. A shell
//! that still sleeps when gleaner has ended is a left-over process, of which systemd complains.
//!
//! The group also keeps a terminal's Ctrl-C from ssh: gleaner ends its connections in order.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Sends SIGTERM, upon which ssh removes its control socket, then SIGKILL. Between them is a second, unless a
/// word was read.
///
/// `kill -TERM -$$` is the one spelling that dash, bash and busybox accept.
const SCRIPT: &str = "trap '' TERM; read -r word; kill -TERM -$$; [ \"$word\" ] || sleep 1; kill -KILL -$$";

/// The word that says that the shell need not wait. Any word would do.
const END_WORD: &[u8] = b"ended\n";

/// How long to wait for a guard that has received the word. It needs a millisecond unless the machine is
/// overloaded. A slower one still ends, without gleaner waiting for it.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// The guard of one process group. Dropping it ends the group within about a second; [`Guard::end`] ends it
/// at once.
#[derive(Debug)]
pub(crate) struct Guard {
    group: i32,
    parent_pipe: ChildStdin,
    /// The runtime reaps it when it is dropped.
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

    /// The group in which to start the processes of the connection.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }

    /// Ends the rest of the group at once, and the guard with it. For use when ssh has ended, or was killed.
    ///
    /// After a crash before the word is written, the pipe breaks and the group ends within about a second.
    /// After a crash just after it, the guard ends the group without gleaner.
    pub(crate) async fn end(mut self) {
        let end = async {
            // A guard that is already gone has nothing left to end.
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

    /// A process of the group that reports SIGTERM and continues.
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
    async fn a_guard_that_is_ended_is_gone_with_its_whole_group() {
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
