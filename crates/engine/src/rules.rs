//! The rules of a device, from the configuration.

use std::time::Duration;

use crate::exclude::Exclude;
use model::{DeviceName, SourcePath};

use crate::placement::{Layout, NameRule};

/// One device of the fleet and its rules.
#[derive(Debug, Clone)]
pub struct DeviceRules {
    /// Its name.
    pub name: DeviceName,
    /// The folders that are emptied. None is inside another.
    pub sources: Vec<SourcePath>,
    /// Its rules.
    pub rules: Rules,
}

/// When a file is settled, where it goes, and whether it is released.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a file must be untouched, if the device proves that no process has it open.
    pub settle: Duration,
    /// How long a file must be untouched, if the device cannot prove that.
    pub settle_blind: Duration,
    /// A listing that takes longer is cut off. The files listed so far are gathered.
    pub max_listing_time: Duration,
    /// Original paths that are ignored.
    pub exclude: Exclude,
    /// A file is finished only if a file of its name plus this suffix exists.
    pub done_suffix: Option<Vec<u8>>,
    /// Whether stored files are removed from the device.
    pub release: ReleaseRule,
    /// Whether empty folders older than a day are removed.
    pub prune_empty: bool,
    /// The names of files in the store.
    pub layout: Layout,
    /// Which names the store takes.
    pub names: NameRule,
}

/// Whether a stored file is removed from its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseRule {
    /// It is removed.
    Delete,
    /// It stays in place, unchanged.
    Keep,
}

/// Whether a pass changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It carries out its plan.
    Act,
    /// It only reports its plan. Nothing changes on the device, in the store or in the ledger.
    DryRun,
}
