//! The configuration as it is meant: types that cannot be wrong, with every default filled in.

use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{DeviceName, SourcePath};

use super::exclude::Exclude;
use super::layout::Layout;

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
        super::suggest::nearest(name, self.devices.iter().map(|device| device.name.as_str()))
    }
}

/// Where the files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The folder; absolute.
    pub path: PathBuf,
    /// The names that files get.
    pub layout: Layout,
    /// Bytes that must stay free.
    pub min_free: u64,
    /// Permissions of stored files; `None` leaves what the umask leaves.
    pub file_mode: Option<u32>,
    /// Permissions of folders made in the store; `None` leaves what the umask leaves.
    pub dir_mode: Option<u32>,
    /// Which names the store takes.
    pub names: Names,
}

/// Which names a store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Any that Linux takes.
    Bytes,
    /// Such as a Windows file server takes.
    Portable,
}

/// How devices are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The `ssh_config` in place of the user's and the system's; absolute.
    pub config: Option<PathBuf>,
    /// How long a connection may take to come about; not zero.
    pub connect_timeout: Duration,
}

/// How the devices are visited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// How many at the same time; 1 to 1000.
    pub parallel: usize,
    /// The pause between two passes of a device; not zero.
    pub every: Duration,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name: the alias for ssh, unless `host` is there.
    pub name: DeviceName,
    /// Host name or address; `None` leaves it to `ssh_config`.
    pub host: Option<String>,
    /// Port; `None` leaves it to `ssh_config`.
    pub port: Option<NonZeroU16>,
    /// Login; `None` leaves it to `ssh_config`.
    pub user: Option<String>,
    /// Private key, absolute or beginning with `~/`; `None` leaves it to `ssh_config`.
    pub identity: Option<String>,
    /// What ssh takes as `ProxyJump`; `None` leaves it to `ssh_config`.
    pub jump: Option<String>,
    /// The folders that are emptied: at least one, absolute, none inside another.
    pub sources: Vec<SourcePath>,
    /// How a file becomes finished, and what becomes of it; shared by devices for which the same holds.
    pub rules: Arc<Rules>,
}

/// What holds for the files of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long a finished file was untouched.
    pub settle: Duration,
    /// The same where open files or the device's clock cannot be seen or trusted; at least `settle`.
    pub settle_blind: Duration,
    /// How long the device may owe an answer; not zero.
    pub stall_timeout: Duration,
    /// Files to be left alone.
    pub exclude: Exclude,
    /// The ending of the marker that says a file is finished.
    pub done_suffix: Option<String>,
    /// What becomes of a stored file on the device.
    pub release: Release,
    /// Whether old empty folders are removed.
    pub prune_empty: bool,
    /// Whether the connection is compressed.
    pub compress: Compress,
    /// The most that is taken from the device.
    pub bandwidth: Bandwidth,
}

/// The most that is taken from a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bandwidth {
    /// As much as the link gives.
    Unlimited,
    /// So many bytes per second.
    AtMost(NonZeroU64),
}

/// What becomes of a stored file on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is removed.
    Delete,
    /// It stays.
    Keep,
}

/// Whether the connection is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// When that makes it quicker.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A word that may be written for a setting, for reading, showing and messages alike.
pub trait Word: Copy + PartialEq + 'static {
    /// Every word with what it means.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for a setting.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, meant)| *meant == self);
        found.map(|(word, _)| *word).unwrap_or_default()
    }
}

impl Word for Names {
    const WORDS: &'static [(&'static str, Self)] = &[("bytes", Self::Bytes), ("portable", Self::Portable)];
}

impl Word for Release {
    const WORDS: &'static [(&'static str, Self)] = &[("delete", Self::Delete), ("keep", Self::Keep)];
}

impl Word for Compress {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("always", Self::Always),
        ("never", Self::Never),
        // The switches that may stand for words.
        ("true", Self::Always),
        ("false", Self::Never),
    ];
}
