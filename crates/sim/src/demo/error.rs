//! Why the demonstration could not be started.

use std::io;
use std::path::PathBuf;

use crate::key::KeyError;
use crate::picture::FillError;

/// Why the simulated fleet could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The system refused threads, most likely.
    #[error("start a runtime for the simulated fleet")]
    Runtime(#[source] io::Error),
    /// A key could not be made.
    #[error("make the keys of the simulated fleet")]
    Key(#[from] KeyError),
    /// The pictures could not be written.
    #[error("fill the folders of the simulated devices")]
    Fill(#[from] FillError),
    /// A folder or file for the ssh client could not be written.
    #[error("write {path:?}")]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A server could not be started.
    #[error("listen as {name}")]
    Listen {
        /// The alias of the device or the jump host.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// `ssh_config` cannot hold every path.
    #[error("the folder's path {path:?} has characters that ssh_config cannot hold")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
}
