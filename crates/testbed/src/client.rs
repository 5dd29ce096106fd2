//! The client's side: how ssh finds the servers, and by which keys it knows them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::KeyPair;

/// What stands in an `ssh_config` and in its `known_hosts`.
#[derive(Debug)]
pub struct Client {
    /// Lines ahead of all others; there the first value of an option counts.
    pub lines: String,
    /// The hosts. The one called `jump` leads to all others.
    pub hosts: Vec<Host>,
    /// Further lines for `known_hosts`.
    pub known: String,
    /// What the client logs in with.
    pub identity: KeyPair,
}

/// One host of the client's.
#[derive(Debug, Clone)]
pub struct Host {
    /// What the client calls it.
    pub alias: String,
    /// A name or an address of loopback.
    pub address: &'static str,
    /// Where it listens; if it does.
    pub port: u16,
    /// The host key that it is known by, if any.
    pub key: Option<KeyPair>,
}

impl Client {
    /// One that knows no host yet.
    pub fn new(identity: KeyPair) -> Self {
        Self {
            lines: String::new(),
            hosts: Vec::new(),
            known: String::new(),
            identity,
        }
    }

    /// Writes `ssh_config`, whose path it returns, and `known_hosts` into the folder.
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
