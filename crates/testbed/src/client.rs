//! The client's configuration: how ssh reaches the servers, and their host keys.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::KeyPair;

/// The content of an `ssh_config` and its `known_hosts`.
#[derive(Debug)]
pub struct Client {
    /// Lines before all others, where they take precedence: ssh uses the first value of an option.
    pub lines: String,
    /// The hosts. All others are reached through the host with the alias `jump`.
    pub hosts: Vec<Host>,
    /// Additional lines of `known_hosts`.
    pub known: String,
    /// The key with which the client logs in.
    pub identity: KeyPair,
}

/// A host in the client's configuration.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its alias.
    pub alias: String,
    /// A host name or address on loopback.
    pub address: &'static str,
    /// Its port; a server need not listen there.
    pub port: u16,
    /// Its host key in `known_hosts`; `None` if it is unknown.
    pub key: Option<KeyPair>,
}

impl Client {
    /// A configuration without hosts.
    pub fn new(identity: KeyPair) -> Self {
        Self {
            lines: String::new(),
            hosts: Vec::new(),
            known: String::new(),
            identity,
        }
    }

    /// Writes `ssh_config` and `known_hosts` into the folder. Returns the path of `ssh_config`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let mut config = self.lines.clone();
        let mut known = self.known.clone();
        for host in &self.hosts {
            let Host {
                alias, address, port, ..
            } = host;
            writeln!(config, "Host {alias}\n  HostName {address}\n  Port {port}")
                .expect("writing to a string");
            if alias != "jump" {
                config.push_str("  ProxyJump jump\n");
            }
            if let Some(key) = &host.key {
                known.push_str(&key.known_at(address, *port));
            }
        }
        let known_hosts = folder.join("known_hosts");
        write!(
            config,
            "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
            self.identity.private.display(),
            known_hosts.display()
        )
        .expect("writing to a string");
        let file = folder.join("ssh_config");
        fs::write(known_hosts, known).expect("writing known_hosts");
        fs::write(&file, config).expect("writing ssh_config");
        file
    }
}
