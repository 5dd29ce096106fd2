//! The servers of the lab: those of the testbed, each side of them in a control group.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use anyhow::{Context, Result};
use testbed::{DEFAULT_ALGORITHMS, KeyPair, Session, Settings, Sshd};

use super::super::meter::plain_command;
use super::Side;
use crate::command;

/// The keys by which the servers and the client know each other.
#[derive(Debug)]
pub(in crate::bench) struct Keys {
    pub(in crate::bench) client: KeyPair,
    pub(super) jump: KeyPair,
    pub(super) device: KeyPair,
}

impl Keys {
    pub(super) fn in_folder(folder: &Path) -> Self {
        let [client, jump, device] = ["client", "jump", "device"].map(|name| KeyPair::kept_in(folder, name));
        Self { client, jump, device }
    }
}

/// `lines` come before all others in the configuration.
pub(super) fn settings(
    folder: &Path,
    key: &KeyPair,
    keys: &Keys,
    lines: &str,
    runner: Vec<OsString>,
) -> Settings {
    const LIMITS: &str = "LogLevel INFO\nMaxStartups 1000:30:2000\nMaxSessions 1000";
    Settings {
        folder: folder.to_owned(),
        session: Session::Gnu,
        lines: format!("{lines}{DEFAULT_ALGORITHMS}{LIMITS}"),
        runner,
        host_key: key.clone(),
        client_key: keys.client.clone(),
    }
}

/// The words that run the command after them where these programs are not installed.
pub(super) fn runner_without(programs: &[String]) -> Vec<OsString> {
    const HIDE: &str =
        r#"for program in $0; do mount --bind /dev/null "$(command -v "$program")" || exit; done; exec "$@""#;
    if programs.is_empty() {
        return Vec::new();
    }
    let words = ["unshare", "--mount", "sh", "-c", HIDE].map(Into::into);
    words.into_iter().chain([programs.join(" ").into()]).collect()
}

/// The server of all devices.
#[derive(Debug)]
pub(super) enum Devices {
    Together(Sshd),
    /// Each connection has its own processes and sees no others. It listens as long as this program runs.
    Apart {
        port: u16,
    },
}

impl Devices {
    /// `apart` works for root only.
    pub(super) fn start(settings: Settings, apart: bool, side: &Side) -> Result<Self> {
        if !apart {
            return Ok(Self::Together(Sshd::start(settings)));
        }
        let listener = side.listen()?;
        let port = listener.local_addr()?.port();
        let config = settings.write(port);
        let mut words = settings.runner;
        words.extend(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
            ]
            .map(Into::into),
        );
        words.extend(["--kill-child", "--mount-proc"].map(Into::into));
        words.push(command::find("sshd").context("sshd is not installed")?.into());
        words.extend(["-i".into(), "-f".into(), config.into()]);
        thread::spawn(move || serve_apart(&listener, &words));
        Ok(Self::Apart { port })
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Together(server) => server.port(),
            Self::Apart { port } => *port,
        }
    }
}

fn serve_apart(listener: &TcpListener, words: &[OsString]) {
    // The sessions die with the thread that started them, which is this one.
    let mut sessions: Vec<Child> = Vec::new();
    for stream in listener.incoming().flatten() {
        let Ok(second) = stream.try_clone() else { continue };
        let mut command = plain_command(words);
        command
            .stdin(OwnedFd::from(stream))
            .stdout(OwnedFd::from(second))
            .stderr(Stdio::null());
        // If this fails, the client reports that there is no answer.
        sessions.extend(command.spawn());
        sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
    }
}
