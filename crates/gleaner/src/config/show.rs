//! What is meant, written out again: every device, every default filled in. It can be read back as a configuration.

use std::fmt::{self, Display};

use super::meant::{Bandwidth, Config, Device, Rules, Store, Word as _};
use super::{quantity, show_path};

/// The whole configuration, or one device of it, as TOML.
#[derive(Debug)]
pub struct Shown<'c> {
    config: &'c Config,
    only: Option<&'c Device>,
}

impl<'c> Shown<'c> {
    /// All devices.
    pub fn all(config: &'c Config) -> Self {
        Self { config, only: None }
    }

    /// One device.
    pub fn only(config: &'c Config, device: &'c Device) -> Self {
        Self {
            config,
            only: Some(device),
        }
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        writeln!(
            out,
            "# What {} means, with every default filled in.",
            show_path(&config.file)
        )?;
        store(&config.store, out)?;
        writeln!(out, "\n[ledger]")?;
        text("path", &config.ledger.to_string_lossy(), out)?;
        writeln!(out, "\n[ssh]")?;
        optional(
            "config",
            config
                .ssh
                .config
                .as_ref()
                .map(|path| path.to_string_lossy())
                .as_deref(),
            out,
        )?;
        text(
            "connect_timeout",
            &quantity::show_duration(config.ssh.connect_timeout),
            out,
        )?;
        writeln!(out, "\n[fleet]")?;
        writeln!(out, "parallel = {}", config.fleet.parallel)?;
        text("every", &quantity::show_duration(config.fleet.every), out)?;
        match self.only {
            Some(only) => device(only, out),
            None => config.devices.iter().try_for_each(|each| device(each, out)),
        }
    }
}

fn store(store: &Store, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mode = |mode: Option<u32>| mode.map(|mode| format!("{mode:04o}"));
    writeln!(out, "\n[store]")?;
    text("path", &store.path.to_string_lossy(), out)?;
    text("layout", store.layout.as_str(), out)?;
    text("min_free", &quantity::show_size(store.min_free), out)?;
    optional("file_mode", mode(store.file_mode).as_deref(), out)?;
    optional("dir_mode", mode(store.dir_mode).as_deref(), out)?;
    text("names", store.names.word(), out)
}

fn device(device: &Device, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(out, "\n[[device]]")?;
    template("name", Some(device.name.as_str()), out)?;
    template("host", device.host.as_deref(), out)?;
    match device.port {
        Some(port) => writeln!(out, "port = {port}")?,
        None => template("port", None, out)?,
    }
    template("user", device.user.as_deref(), out)?;
    template("identity", device.identity.as_deref(), out)?;
    template("jump", device.jump.as_deref(), out)?;
    let sources = device
        .sources
        .iter()
        .map(|source| escape_braces(&String::from_utf8_lossy(source.as_bytes())));
    list("source", sources, out)?;
    rules(&device.rules, out)
}

fn rules(rules: &Rules, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    text("settle", &quantity::show_duration(rules.settle), out)?;
    text("settle_blind", &quantity::show_duration(rules.settle_blind), out)?;
    text(
        "stall_timeout",
        &quantity::show_duration(rules.stall_timeout),
        out,
    )?;
    list("exclude", rules.exclude.patterns().iter().cloned(), out)?;
    optional("done_suffix", rules.done_suffix.as_deref(), out)?;
    text("release", rules.release.word(), out)?;
    writeln!(out, "prune_empty = {}", rules.prune_empty)?;
    text("compress", rules.compress.word(), out)?;
    match rules.bandwidth {
        Bandwidth::Unlimited => text("bandwidth", "off", out),
        Bandwidth::AtMost(rate) => text(
            "bandwidth",
            &format!("{}/s", quantity::show_size(rate.get())),
            out,
        ),
    }
}

fn text(key: &str, value: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(out, "{key} = {}", toml::Value::String(value.to_owned()))
}

/// A key without a value is shown as a comment: TOML has no word for nothing.
fn optional(key: &str, value: Option<&str>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Some(value) => text(key, value, out),
        None => writeln!(out, "# {key}: not set"),
    }
}

fn template(key: &str, value: Option<&str>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Some(value) => text(key, &escape_braces(value), out),
        None => writeln!(out, "# {key}: as ssh_config says"),
    }
}

fn escape_braces(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn list(key: &str, values: impl Iterator<Item = String>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let values = toml::Value::Array(values.map(toml::Value::String).collect());
    writeln!(out, "{key} = {values}")
}
