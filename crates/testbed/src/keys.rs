//! Key pairs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ed25519 key pair without a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The file of the private key; that of the public one is beside it.
    pub private: PathBuf,
}

impl KeyPair {
    /// The pair of this name in `folder`, made when it is first asked for. `ssh-keygen` takes longer than a
    /// server takes to start, so tests share the pairs, also between processes, and change none.
    pub fn kept_in(folder: &Path, name: &str) -> Self {
        let kept = folder.join(name);
        if !kept.exists() {
            fs::create_dir_all(folder).expect("making a folder for keys");
            let made = tempfile::tempdir_in(folder).expect("making a folder for a key");
            generate(&made.path().join("key"));
            // Fails where another process was quicker; then its pair is as good.
            if fs::rename(made.path(), &kept).is_ok() {
                drop(made.keep());
            }
        }
        Self {
            private: kept.join("key"),
        }
    }

    /// The public key, as `authorized_keys` has it.
    pub fn public(&self) -> String {
        fs::read_to_string(self.private.with_extension("pub")).expect("reading a public key")
    }

    /// The line of `known_hosts` for a client that connects to this address and port.
    pub fn known_at(&self, address: &str, port: u16) -> String {
        format!("[{address}]:{port} {}", self.public())
    }
}

fn generate(file: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f"])
        .arg(file)
        .status()
        .expect("running ssh-keygen (apt-get install openssh-client)");
    assert!(made.success(), "ssh-keygen fails");
}
