//! The configuration as it is meant: types that cannot be wrong, with every default filled in.

use std::path::PathBuf;
use std::sync::Arc;

use model::{DeviceName, SourcePath};

pub use super::keys::{Address, Fleet, Rules, Ssh, Store};
use super::suggest;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Where the files go.
    pub store: Store,
    /// The file of the ledger.
    pub ledger: PathBuf,
    /// How devices are reached.
    pub ssh: Ssh,
    /// How they are visited.
    pub fleet: Fleet,
    /// The devices, in the order of the file and of their ids; at least one, no name twice.
    pub devices: Vec<Device>,
}

impl Config {
    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name.as_str() == name)
    }

    /// The name of a device that was probably meant by one that is not there.
    pub fn device_like(&self, name: &str) -> Option<&str> {
        suggest::nearest(name, self.devices.iter().map(|device| device.name.as_str()))
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name: the alias for ssh, unless `host` is there.
    pub name: DeviceName,
    /// What it is reached by.
    pub address: Address,
    /// The folders that are emptied: at least one, absolute, none inside another.
    pub sources: Vec<SourcePath>,
    /// How a file becomes finished, and what becomes of it; shared by devices for which the same holds.
    pub rules: Arc<Rules>,
}
