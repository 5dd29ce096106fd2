//! Keys of users and hosts, made for one run.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng};

/// Why a key could not be made or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key could not be made or written out as text.
    #[error("make an ed25519 key")]
    Make(#[source] ssh_key::Error),
    /// The key's file could not be written.
    #[error("write key file {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The key of a client: an ed25519 key whose private half is in a file that only its owner can read.
#[derive(Debug)]
pub struct UserKey {
    public: PublicKey,
    file: PathBuf,
}

impl UserKey {
    /// Makes a key and writes its private half to `file`, which must not exist yet.
    pub fn create(file: &Path) -> Result<UserKey, KeyError> {
        let private = make()?;
        let text = private.to_openssh(LineEnding::LF).map_err(KeyError::Make)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut opened| opened.write_all(text.as_bytes()))
            .map_err(|source| KeyError::Write {
                path: file.to_owned(),
                source,
            })?;
        Ok(UserKey {
            public: private.public_key().clone(),
            file: file.to_owned(),
        })
    }

    /// The file for `IdentityFile`.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// The key of a server.
#[derive(Clone, Debug)]
pub struct HostKey {
    private: PrivateKey,
    public_text: String,
}

impl HostKey {
    /// Makes an ed25519 key.
    pub fn random() -> Result<HostKey, KeyError> {
        let private = make()?;
        let public_text = private.public_key().to_openssh().map_err(KeyError::Make)?;
        Ok(HostKey { private, public_text })
    }

    /// A line for `known_hosts`, without its line break.
    pub fn known_hosts_line(&self, host: &str, port: u16) -> String {
        format!("[{host}]:{port} {}", self.public_text)
    }

    pub(crate) fn private(&self) -> &PrivateKey {
        &self.private
    }
}

fn make() -> Result<PrivateKey, KeyError> {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(KeyError::Make)
}
