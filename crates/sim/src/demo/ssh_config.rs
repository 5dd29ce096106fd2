//! The files that lead the real `ssh` to the simulated fleet.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::DemoError;
use crate::device::SimulatedDevice;
use crate::jump::SimulatedJump;

/// The alias of the jump host.
pub(super) const JUMP: &str = "demo-jump";

/// The texts of the files so far, and their paths.
pub(super) struct SshFiles {
    key: PathBuf,
    config: PathBuf,
    known_hosts: PathBuf,
    config_text: String,
    known_hosts_text: String,
}

impl SshFiles {
    /// Begins the files. Refuses a folder whose path `ssh_config` cannot hold in quotes.
    pub(super) fn new(folder: &Path) -> Result<SshFiles, DemoError> {
        let refused = || DemoError::Folder {
            path: folder.to_owned(),
        };
        let text = folder.to_str().ok_or_else(refused)?;
        // `"` ends a quoted word, `\` escapes in it, `${` begins a variable, and a line break ends the line.
        if text.contains(['"', '\\', '\n', '\r', '\0']) || text.contains("${") {
            return Err(refused());
        }
        // `%` begins a token in the two options that name files.
        let text = text.replace('%', "%%");
        let config_text = format!(
            "# Made for one run of the demonstration.\n\
             Host *\n\
             \x20 User demo\n\
             \x20 IdentityFile \"{text}/key\"\n\
             \x20 IdentitiesOnly yes\n\
             \x20 IdentityAgent none\n\
             \x20 PreferredAuthentications publickey\n\
             \x20 UserKnownHostsFile \"{text}/known_hosts\"\n\
             \x20 GlobalKnownHostsFile none\n\
             \x20 StrictHostKeyChecking yes\n\
             \x20 UpdateHostKeys no\n"
        );
        Ok(SshFiles {
            key: folder.join("key"),
            config: folder.join("ssh_config"),
            known_hosts: folder.join("known_hosts"),
            config_text,
            known_hosts_text: String::new(),
        })
    }

    pub(super) fn key(&self) -> &Path {
        &self.key
    }

    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    pub(super) fn add_jump(&mut self, jump: &SimulatedJump) {
        let port = jump.port();
        self.add(&format!("Host {JUMP}\n  HostName 127.0.0.1\n  Port {port}\n"));
        self.add_known_host(&jump.host_key().known_hosts_line("127.0.0.1", port));
    }

    pub(super) fn add_device(&mut self, name: &str, device: &SimulatedDevice) {
        let port = device.port();
        self.add(&format!(
            "Host {name}\n  HostName localhost\n  Port {port}\n  ProxyJump {JUMP}\n"
        ));
        self.add_known_host(&device.host_key().known_hosts_line("localhost", port));
    }

    pub(super) fn write(&self) -> Result<(), DemoError> {
        for (path, text) in [
            (&self.config, &self.config_text),
            (&self.known_hosts, &self.known_hosts_text),
        ] {
            fs::write(path, text).map_err(|source| DemoError::Write {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, block: &str) {
        self.config_text.push_str(block);
    }

    fn add_known_host(&mut self, line: &str) {
        // Writing to a string cannot fail.
        writeln!(self.known_hosts_text, "{line}").ok();
    }
}
