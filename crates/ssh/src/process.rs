//! The command lines of ssh.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::target::{Compression, JumpHost, Target};

/// How often [`wait_for_socket`] checks.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A jump host, and the control socket of the connection to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JumpEndpoint<'a> {
    pub(crate) host: &'a JumpHost,
    pub(crate) socket: &'a Path,
}

/// How ssh is started, for all devices.
#[derive(Debug, Clone)]
pub(crate) struct SshCommand {
    pub(crate) program: PathBuf,
    pub(crate) configuration: PathBuf,
}

impl SshCommand {
    /// The connection itself: SFTP on its stdio, and a control socket for all other requests.
    ///
    /// `connect_timeout` is the time until the device's first bytes, part of which a jump host may use.
    ///
    /// Connects through the jump connection `through` if given, otherwise as ssh's configuration says.
    pub(crate) fn master(
        &self,
        target: &Target,
        socket: &Path,
        through: Option<JumpEndpoint<'_>>,
        connect_timeout: Duration,
    ) -> Command {
        let compression = match target.compression {
            Compression::Always => "Compression=yes",
            Compression::Auto | Compression::Never => "Compression=no",
        };
        let mut command = self.command();
        if let Some(proxy) = through.and_then(|jump| self.proxy(jump)) {
            command.arg("-o").arg(proxy);
        }
        command
            .args(["-o", "ControlMaster=yes", "-o", compression, "-o"])
            .arg(option("ControlPath=", socket.as_os_str()))
            .arg("-o")
            .arg(format!("ConnectTimeout={}", connect_timeout.as_secs().max(1)))
            .args(["-s", "--", target.name.as_str(), "sftp"]);
        command
    }

    /// A connection to a jump host, with a control socket for devices behind it.
    pub(crate) fn jump(&self, jump: &JumpHost, socket: &Path) -> Command {
        let mut command = self.command();
        command
            .args(["-N", "-o", "ControlMaster=yes", "-o"])
            .arg(option("ControlPath=", socket.as_os_str()));
        if let Some(before) = &jump.before {
            command.args(["-J", before]);
        }
        if let Some(user) = &jump.user {
            command.args(["-l", user]);
        }
        if let Some(port) = jump.port {
            command.arg("-p").arg(port.to_string());
        }
        command.args(["--", &jump.host]);
        command
    }

    /// The proxy command that opens a channel to the device through the jump connection, and fails if that is
    /// gone. The connection takes over its streams: no byte passes through the process. `None` if a path has
    /// a special character of a shell.
    fn proxy(&self, jump: JumpEndpoint<'_>) -> Option<String> {
        let plain = |path: &Path| {
            let path = path.to_str()?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
            path.chars().all(is_plain).then(|| path.to_owned())
        };
        let (program, configuration) = (plain(&self.program)?, plain(&self.configuration)?);
        let (socket, host) = (plain(jump.socket)?, &jump.host.host);
        Some(format!(
            "ProxyCommand={program} -F {configuration} -o ControlMaster=no -o ProxyCommand=false \
             -o ControlPath={socket} -W '[%h]:%p' -- '{host}'"
        ))
    }

    /// A command on the device, over the connection that owns `socket`.
    ///
    /// If the socket is gone, or the device refuses another session, ssh would open a connection of its own.
    /// A proxy command that fails at once prevents this.
    pub(crate) fn shell(&self, target: &Target, socket: &Path, command_line: &str) -> Command {
        let mut command = self.over_socket(socket);
        command.args(["--", target.name.as_str(), command_line]);
        command
    }

    /// A command on the device, over a connection of its own, made as ssh's configuration says within
    /// `connect_timeout`.
    pub(crate) fn dedicated_shell(
        &self,
        target: &Target,
        command_line: &str,
        connect_timeout: Duration,
    ) -> Command {
        let mut command = self.command();
        command
            .args([
                "-o",
                "ControlMaster=no",
                "-o",
                "ControlPath=none",
                "-o",
                "Compression=no",
                "-o",
            ])
            .arg(format!("ConnectTimeout={}", connect_timeout.as_secs().max(1)))
            .args(["--", target.name.as_str(), command_line]);
        command
    }

    /// One more SFTP channel over the connection that owns `socket`, on stdio.
    pub(crate) fn sftp_channel(&self, target: &Target, socket: &Path) -> Command {
        let mut command = self.over_socket(socket);
        command.args(["-s", "--", target.name.as_str(), "sftp"]);
        command
    }

    fn over_socket(&self, socket: &Path) -> Command {
        let mut command = self.command();
        command
            .args(["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o"])
            .arg(option("ControlPath=", socket.as_os_str()));
        command
    }

    /// Prints ssh's resolved configuration for this device.
    pub(crate) fn explain(&self, target: &Target) -> Command {
        let mut command = self.command();
        command.args(["-G", "--", target.name.as_str()]);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("-F")
            .arg(&self.configuration)
            // gleaner parses the messages. SendEnv sends it to the device too, where permitted.
            .env("LC_ALL", "C")
            // ssh runs proxy commands and `Match exec` with this shell. A service account's is nologin.
            .env("SHELL", "/bin/sh")
            .env_remove("SSH_ASKPASS")
            .env_remove("SSH_ASKPASS_REQUIRE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Waits until ssh has made its control socket, which it does once the host has authenticated us.
pub(crate) async fn wait_for_socket(socket: &Path) {
    while !socket.exists() {
        sleep(POLL_INTERVAL).await;
    }
}

fn option(key: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(key);
    option.push(value);
    option
}
