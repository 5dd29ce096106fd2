//! The resolved configuration: types that hold only valid values, with every default filled in.

use std::path::PathBuf;
use std::sync::Arc;

use model::{DeviceName, LedgerId, SourcePath};

pub use super::keys::{Address, Fleet, Rules, Ssh, Store};
use super::suggest;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The store that receives the files.
    pub store: Store,
    /// The file of the ledger.
    pub ledger: PathBuf,
    /// The id that the ledger must have; `None` if any will do.
    pub ledger_id: Option<LedgerId>,
    /// How to connect to devices.
    pub ssh: Ssh,
    /// How to visit them.
    pub fleet: Fleet,
    /// The devices, in the order of the file and of their ids: at least one, with unique names.
    pub devices: Vec<Device>,
}

impl Config {
    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name.as_str() == name)
    }

    /// The configured device with the most similar name, if the name looks like a typo.
    pub fn device_like(&self, name: &str) -> Option<&str> {
        suggest::nearest(name, self.devices.iter().map(|device| device.name.as_str()))
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name: the alias for ssh, unless `host` is set.
    pub name: DeviceName,
    /// Its address and login.
    pub address: Address,
    /// The folders that gleaner empties: at least one, absolute, none inside another.
    pub sources: Vec<SourcePath>,
    /// When its files are finished and what happens to them. Devices with the same rules share them.
    pub rules: Arc<Rules>,
}
