//! Key pairs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ed25519 key pair without a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The file of the private key; the file of the public key is beside it.
    pub private: PathBuf,
}

impl KeyPair {
    /// The pair `name` in `folder`, created by the first call. `ssh-keygen` takes longer than the start of a
    /// server, so tests share the pairs, also between processes, and do not change them.
    pub fn kept_in(folder: &Path, name: &str) -> Self {
        let shared = folder.join(name);
        if !shared.exists() {
            fs::create_dir_all(folder).expect("making a folder for keys");
            let new = tempfile::tempdir_in(folder).expect("making a folder for a key");
            generate(&new.path().join("key"));
            // Fails if another process was faster; this call then uses that pair.
            if fs::rename(new.path(), &shared).is_ok() {
                drop(new.keep());
            }
        }
        Self {
            private: shared.join("key"),
        }
    }

    /// The public key, as a line of `authorized_keys`.
    pub fn public(&self) -> String {
        fs::read_to_string(self.private.with_extension("pub")).expect("reading a public key")
    }

    /// The line of `known_hosts` for a client that connects to this address and port.
    pub fn known_at(&self, address: &str, port: u16) -> String {
        format!("[{address}]:{port} {}", self.public())
    }
}

fn generate(file: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f"])
        .arg(file)
        .status()
        .expect("running ssh-keygen (apt-get install openssh-client)");
    assert!(status.success(), "ssh-keygen fails");
}
