//! The history: what the ledger knows, for commands that read it and never write (`status`, `files`,
//! `audit`, `store`).

use std::time::Duration;

use model::{
    Amount, BatchId, DeviceName, Digest, FileState, Identity, LeaveReason, LedgerId, RelativePath,
    SourcePath, StoreId, Timestamp,
};

use super::device::{DiskUse, WriterCheck};
use super::ledger::{ClockReading, LedgerError, PassOutcome, Reason, RemainingFile};

/// A ledger, open for reading, also while a gleaner writes it.
///
/// Each method reads the state between two commits. A list contains each row that exists from its beginning
/// to its end exactly once; it may or may not contain a row that changes meanwhile. Lists are read in parts,
/// so that memory is bounded. A list ends after its first error.
///
/// The methods block on a disk or a network. They are not async, because a command that reads has nothing
/// to do meanwhile. A daemon calls them on a thread that may block.
pub trait History: Send {
    /// The ledger's own id.
    fn id(&self) -> &LedgerId;

    /// The store that the ledger was bound to when it was opened; `None` if it was never bound.
    fn store(&self) -> Option<&StoreId>;

    /// The status of every device, ordered by name. `now` decides which day is today (in UTC).
    fn devices(&self, now: Timestamp) -> Result<Vec<DeviceStatus>, HistoryError>;

    /// The status of one device; `None` if it was never visited. `now` decides which day is today (in UTC).
    fn device(&self, name: &DeviceName, now: Timestamp) -> Result<Option<DeviceStatus>, HistoryError>;

    /// The newest `limit` passes over a device, newest first.
    fn passes(&self, device: &DeviceName, limit: usize) -> Result<Vec<PastPass>, HistoryError>;

    /// The first `limit` files that the last complete survey left on a device, in the order of its report.
    fn remaining(&self, device: &DeviceName, limit: usize) -> Result<Vec<RemainingFile>, HistoryError>;

    /// The recorded files that the filter selects, by device and source, oldest first.
    fn files(&self, filter: FileFilter) -> Result<FileRows<'_>, HistoryError>;

    /// Every recorded copy in the store, ordered by name, each name and content once.
    fn stored_copies(&self) -> StoredCopies<'_>;
}

/// Recorded files, one after the other.
pub type FileRows<'a> = Box<dyn Iterator<Item = Result<FileRow, HistoryError>> + 'a>;

/// Recorded copies in the store, one after the other.
pub type StoredCopies<'a> = Box<dyn Iterator<Item = Result<StoredCopy, HistoryError>> + 'a>;

/// Why the history cannot be read.
///
/// `location` says in words which ledger it is, as in [`LedgerError`]: it must hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The ledger does not exist, or is empty.
    #[error("there is no ledger at {location} yet")]
    Missing {
        /// Which ledger.
        location: String,
    },
    /// An older gleaner wrote the ledger; only a gleaner that opens it for writing can migrate it.
    #[error("the ledger {location} has schema {found}, written by an older gleaner")]
    OlderSchema {
        /// Which ledger.
        location: String,
        /// The schema of the ledger.
        found: i64,
    },
    /// An error that a writer can have, too.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The status of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Its name.
    pub name: DeviceName,
    /// When the last pass began.
    pub last_attempt: Option<Timestamp>,
    /// When the device last replied.
    pub last_seen: Option<Timestamp>,
    /// When the first failed pass since the last successful one began; `None` if there is none. Passes that
    /// the collector ended do not count.
    pub failing_since: Option<Timestamp>,
    /// Its clock against the collector's, as last reported.
    pub clock: Option<ClockReading>,
    /// The disk use of each source, as last reported.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// What the device lacks, as text.
    pub shortcomings: Vec<String>,
    /// How the device proves that no process writes to a file, as of the last pass that found files.
    pub writer_check: Option<WriterCheck>,
    /// The last pass that ended, with any outcome.
    pub last_pass: Option<PastPass>,
    /// The last pass whose outcome says something about the device: the device was served, or it failed.
    pub last_conclusive_pass: Option<PastPass>,
    /// Its recorded files by state.
    pub totals: StateTotals,
    /// The files released today (in UTC).
    pub released_today: Amount,
    /// The files stored today (in UTC), except those whose content was in the store before.
    pub stored_today: Amount,
    /// The files that the last complete survey left on it, by reason.
    pub remaining: Vec<(Reason, Amount)>,
}

/// The recorded files of a device in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateTotals {
    /// In the store, and as far as the ledger knows still on the device.
    pub stored: Amount,
    /// In the store, and removed from the device.
    pub released: Amount,
    /// In the store, and kept on the device.
    pub kept: Amount,
}

/// A pass over a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastPass {
    /// When the pass began.
    pub begun: Timestamp,
    /// When the pass ended; `None` while it runs, or if its process was killed or lost its lease.
    pub ended: Option<Timestamp>,
    /// How the pass ended; `None` while it runs, or if its process was killed or lost its lease.
    pub outcome: Option<PassOutcome>,
    /// The files that the pass released.
    pub released: Amount,
    /// The files that the pass stored, except those whose content was in the store before.
    pub stored: Amount,
    /// The duration of the pass.
    pub took: Option<Duration>,
}

/// Selects recorded files. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFilter {
    /// Only files of these devices; empty selects all devices.
    pub devices: Vec<DeviceName>,
    /// Only files in these states; empty selects all states.
    pub states: Vec<FileState>,
    /// Only files recorded at this time or later.
    pub since: Option<Timestamp>,
}

impl FileFilter {
    /// Whether files of this device are selected.
    pub fn selects_device(&self, device: &DeviceName) -> bool {
        self.devices.is_empty() || self.devices.contains(device)
    }

    /// Whether files in this state are selected.
    pub fn selects_state(&self, state: FileState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }
}

/// A recorded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// The device that the file came from.
    pub device: DeviceName,
    /// The source on the device.
    pub source: SourcePath,
    /// Its original path below the source.
    pub path: RelativePath,
    /// Its identity when gleaner verified it.
    pub identity: Identity,
    /// The digest of its content.
    pub digest: Digest,
    /// Whether the device computed the same digest.
    pub device_digest: bool,
    /// Its path in the store.
    pub store_name: RelativePath,
    /// Whether the content was in the store before.
    pub already_stored: bool,
    /// The batch that the file was withdrawn with; `None` if it was gathered in place.
    pub withdrawn: Option<BatchId>,
    /// Whether the file is still on its device.
    pub state: FileState,
    /// Why the file is kept on its device.
    pub reason: Option<LeaveReason>,
    /// When the file was recorded.
    pub stored_at: Timestamp,
    /// When the file was released.
    pub released_at: Option<Timestamp>,
}

/// A recorded copy in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCopy {
    /// Its path in the store.
    pub store_name: RelativePath,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}
