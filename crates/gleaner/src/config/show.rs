//! Prints the resolved configuration: every device, every default filled in. The output is a valid
//! configuration.

use std::fmt::{self, Display};

use super::address::{Name, Sources};
use super::keys::Ledger;
use super::resolved::{Config, Device};
use super::show_path;
use super::table::show;
use super::value::ValueKind as _;

/// The whole configuration, or one device, as TOML.
#[derive(Debug)]
pub struct ConfigDisplay<'c> {
    config: &'c Config,
    devices: &'c [Device],
}

impl<'c> ConfigDisplay<'c> {
    /// All devices.
    pub fn all(config: &'c Config) -> Self {
        let devices = &config.devices;
        Self { config, devices }
    }

    /// One device.
    pub fn only(config: &'c Config, device: &'c Device) -> Self {
        let devices = std::slice::from_ref(device);
        Self { config, devices }
    }
}

impl Display for ConfigDisplay<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NOT_SET: &str = "not set";
        let config = self.config;
        let file = show_path(&config.file);
        writeln!(out, "# {file} with every default filled in.")?;
        writeln!(out, "\n[store]")?;
        config.store.show(NOT_SET, out)?;
        writeln!(out, "\n[ledger]")?;
        let ledger = Ledger {
            path: Some(config.ledger.clone()),
            id: config.ledger_id.clone(),
        };
        ledger.show(NOT_SET, out)?;
        writeln!(out, "\n[ssh]")?;
        config.ssh.show(NOT_SET, out)?;
        writeln!(out, "\n[fleet]")?;
        config.fleet.show(NOT_SET, out)?;
        for device in self.devices {
            writeln!(out, "\n[[device]]")?;
            show("name", Name::show(&device.name), NOT_SET, out)?;
            device.address.show("from ssh_config", out)?;
            show("source", Sources::show(&device.sources), NOT_SET, out)?;
            device.rules.show(NOT_SET, out)?;
        }
        Ok(())
    }
}
