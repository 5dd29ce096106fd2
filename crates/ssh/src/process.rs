//! The command lines of ssh.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::target::{Compression, Target};

/// How ssh is started for every device.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) program: PathBuf,
    pub(crate) configuration: PathBuf,
}

impl Client {
    /// The connection itself: SFTP on its stdio, and a control socket for whatever else is asked of the device.
    ///
    /// `patience` is the time until the device's first words, of which a jump host may have used some.
    pub(crate) fn master(&self, target: &Target, socket: &Path, patience: Duration) -> Command {
        let compression = match target.compression {
            Compression::Always => "Compression=yes",
            Compression::Auto | Compression::Never => "Compression=no",
        };
        let mut command = self.command();
        command
            .args(["-o", "ControlMaster=yes", "-o", compression, "-o"])
            .arg(option("ControlPath=", socket.as_os_str()))
            .arg("-o")
            .arg(format!("ConnectTimeout={}", patience.as_secs().max(1)))
            .args(["-s", "--", target.name.as_str(), "sftp"]);
        command
    }

    /// A command on the device, over the connection that owns `socket`.
    ///
    /// ssh would make a connection of its own where the socket is gone, or where the device refuses another session: a
    /// proxy command that fails at once keeps it from that.
    pub(crate) fn over(&self, target: &Target, socket: &Path, command_line: &str) -> Command {
        let mut command = self.command();
        command
            .args(["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o"])
            .arg(option("ControlPath=", socket.as_os_str()))
            .args(["--", target.name.as_str(), command_line]);
        command
    }

    /// Prints what ssh makes of the configuration for this device.
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
            // Messages are read by us; SendEnv carries it to the device where that is permitted.
            .env("LC_ALL", "C")
            // ssh runs proxy commands and `Match exec` by this shell. A service account's is nologin.
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

fn option(key: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(key);
    option.push(value);
    option
}
