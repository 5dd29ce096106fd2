//! Why the demonstration could not be started.

use std::io;
use std::path::PathBuf;

use crate::key::KeyError;
use crate::picture::FillError;

/// Why the simulated fleet could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// No threads, most likely.
    #[error("start a runtime for the simulated fleet")]
    Runtime(#[source] io::Error),
    /// A key could not be made.
    #[error("make the keys of the simulated fleet")]
    Key(#[from] KeyError),
    /// The pictures could not be written.
    #[error("fill the folders of the simulated devices")]
    Fill(#[from] FillError),
    /// A folder or a file of the ssh client's could not be written.
    #[error("write {path:?}")]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A server could not be started.
    #[error("listen as {name}")]
    Listen {
        /// The device's or the jump host's alias.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Text of `ssh_config` cannot hold every path.
    #[error("the folder's path {path:?} has characters that ssh_config cannot hold")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
}
