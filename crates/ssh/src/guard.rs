//! Sees to it that no process of a connection outlives gleaner.
//!
//! Each connection has a process group of its own. Its leader is a shell that does nothing but wait for the end of
//! its standard input, whose other end only this process holds: however this process ends, the kernel closes that end,
//! and the shell ends its group. ssh, the jump's `ssh -W` and what a `ProxyCommand` starts are born into the group.
//! Because the guard is there before the first of them, there is no stage at which one could be missed; because it sends
//! a second signal a second later, neither can one that was just being started.
//!
//! The group keeps a terminal's Ctrl-C from ssh: it is for gleaner to end its connections in order.

use std::io;
use std::process::Stdio;

use tokio::process::{Child, ChildStdin, Command};

/// First a signal upon which ssh removes its control socket, then one that nothing withstands.
///
/// `kill -TERM -$$` is the one spelling that dash, bash and busybox take.
const SCRIPT: &str = "trap '' TERM; read -r _; kill -TERM -$$; sleep 1; kill -KILL -$$";

/// The guard of one process group. Dropping it ends the group within a second or so.
#[derive(Debug)]
pub(crate) struct Guard {
    group: i32,
    _lifeline: ChildStdin,
    /// Waited for by the runtime when it is dropped.
    _shell: Child,
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
        let (Some(group), Some(lifeline)) = (group, shell.stdin.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            group,
            _lifeline: lifeline,
            _shell: shell,
        })
    }

    /// The group into which the processes of the connection are started.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }
}
