//! What the configuration asks for, as the engine takes it.

use std::time::Duration;

use crate::exclude::Exclude;
use model::{DeviceName, SourcePath};

use crate::placement::{Layout, NameRule};

/// One device of the fleet and its rules.
#[derive(Debug, Clone)]
pub struct DeviceRules {
    /// Its name.
    pub name: DeviceName,
    /// The folders that are emptied; none inside another.
    pub sources: Vec<SourcePath>,
    /// When a file is settled, and what becomes of it.
    pub rules: Rules,
}

/// When a file is settled, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a file must be untouched where it can be seen that nobody has it open.
    pub settle: Duration,
    /// How long where that cannot be seen.
    pub settle_blind: Duration,
    /// A listing that has not come to its end by then is cut off, and what it has named is gathered.
    pub max_listing_time: Duration,
    /// Original paths that are left alone.
    pub exclude: Exclude,
    /// A file is finished only when a file of its name with this suffix stands beside it.
    pub done_suffix: Option<Vec<u8>>,
    /// What becomes of stored files.
    pub release: ReleaseRule,
    /// Whether empty folders older than a day are removed.
    pub prune_empty: bool,
    /// Where files go in the store.
    pub layout: Layout,
    /// Which names the store takes.
    pub names: NameRule,
}

/// What becomes of a stored file on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseRule {
    /// It is removed.
    Delete,
    /// It stays, untouched and in place.
    Keep,
}

/// Whether a pass acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does what it plans.
    Act,
    /// It only says what it would do: nothing changes on device, store or ledger.
    DryRun,
}
