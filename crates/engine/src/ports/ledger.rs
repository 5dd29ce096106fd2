//! The ledger: the durable record.

use std::time::Duration;

use model::{
    Amount, BatchId, DeviceName, Digest, FailureClass, FileState, Identity, LeaveReason, LedgerId,
    RelativePath, SourcePath, StoreId, Timestamp, WaitReason,
};

use super::device::{DiskUse, FolderNumbers, WriterCheck};

/// The durable record of one collector. One writer at a time; all methods may be called at the same time.
///
/// A method that writes returns once its transaction is durable: a crash after it has returned keeps all of it, a crash before keeps
/// all or nothing of it.
pub trait Ledger: Send + Sync + 'static {
    /// The ledger's own id.
    fn id(&self) -> &LedgerId;

    /// Begins a pass over a device: remembered as unfinished until [`Ledger::finish_pass`].
    fn begin_pass(
        &self,
        device: &DeviceName,
        at: Timestamp,
    ) -> impl Future<Output = Result<RowId, LedgerError>> + Send;

    /// What is remembered of files by their original path: the newest row of each, in the order of `paths`.
    fn known_files(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Option<KnownFile>>, LedgerError>> + Send;

    /// Notes what was seen of files whose clock cannot be trusted, and returns for each since when it has been seen with that same
    /// identity (`at` for one that is new or has changed, and where `at` is before that: it is a time since boot, and the machine has booted). What
    /// becomes of the source's sightings that are not among these, `others` says.
    fn record_sightings(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        others: Unseen,
        at: Timestamp,
    ) -> impl Future<Output = Result<Vec<Timestamp>, LedgerError>> + Send;

    /// What the last survey said of the device's clock and boot, for comparison; `None` before the first.
    fn last_clock(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<ClockReading>, LedgerError>> + Send;

    /// What was last found out about compression on the way to this device.
    fn last_compression(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<CompressionFinding>, LedgerError>> + Send;

    /// When this device was found to end the whole connection over a command; `None` where the last session
    /// that reached it found otherwise.
    fn last_hang_up_on_command(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<Timestamp>, LedgerError>> + Send;
    /// Which folder each source was when its device last told, in any order. Those of devices that are not
    /// configured any more are among them.
    fn claims(
        &self,
    ) -> impl Future<Output = Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError>> + Send;

    /// Records published files, all in one transaction. Rows stand in the order of `records`.
    fn record(&self, records: Vec<Record>) -> impl Future<Output = Result<Vec<RowId>, LedgerError>> + Send;

    /// The rows of this source that say a file is stored and lies withdrawn: those of an unfinished batch, and those whose removal an
    /// earlier process could not note any more.
    fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> impl Future<Output = Result<Vec<WithdrawnRow>, LedgerError>> + Send;

    /// Notes that recorded files are gone from their device, or are kept there.
    fn set_states(
        &self,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The suspects of a source, by where they lie: files that may be why a session ended.
    fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> impl Future<Output = Result<Vec<(RelativePath, Suspicion)>, LedgerError>> + Send;

    /// Notes suspects, as the newest of all, though they may have been noted before. Beyond [`MAX_SUSPECTS`] of a source the oldest are forgotten.
    fn record_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Forgets suspects.
    fn clear_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Ends a pass, and replaces what was known of what waits on the device by what this pass saw (if it saw anything).
    fn finish_pass(&self, end: PassEnd) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// The number of a row in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub i64);

/// What the ledger says of a file gathered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Its row.
    pub row: RowId,
    /// Its identity as verified.
    pub identity: Identity,
    /// The digest of the stored copy.
    pub digest: Digest,
    /// The name of the stored copy.
    pub store_name: RelativePath,
    /// How far it came.
    pub state: FileState,
}

/// A row whose file is stored, and lies or lay withdrawn on its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnRow {
    /// The row.
    pub row: RowId,
    /// The original path.
    pub path: RelativePath,
    /// The batch it was withdrawn with.
    pub withdrawn: BatchId,
}

/// One look at a file whose clock cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its original path.
    pub path: RelativePath,
    /// What was seen.
    pub identity: Identity,
}

/// What becomes of earlier sightings of files that were not seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// All there is was listed: those files are gone.
    Forget,
    /// The listing was cut off: those files may be there, and go on being unchanged. With those that were seen they are no more than
    /// [`MAX_SIGHTINGS`]; else they are forgotten all the same.
    Retain,
}

/// Sightings of one source that are remembered though nobody knows whether their files are there still. A device that invents other names in
/// every listing must not fill the ledger.
pub const MAX_SIGHTINGS: usize = 200_000;

/// When and how often a suspect was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    /// Grows from one note to the next, over all sources and devices.
    pub noted: i64,
    /// How often.
    pub times: u64,
}

/// Suspects of one source that are remembered: a session that ended leaves at most 128.
pub const MAX_SUSPECTS: usize = 500;

/// A device's clock beside the collector's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The device's clock less the collector's, in nanoseconds.
    pub offset: i64,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// When it was read, by the collector's clock.
    pub at: Timestamp,
}

/// What a pass found out about compression on the way to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionFinding {
    /// Whether files came sooner.
    pub paid: bool,
    /// When that was found, by the collector's clock.
    pub at: Timestamp,
}

/// Which folder a source is, and its place among the names that claim that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub folder: ClaimedFolder,
    /// Its place in the order of the names that claim this folder, the earliest first: when it was first
    /// found to be that folder, by the collector's clock, unless it took the place of another name.
    pub since: Timestamp,
}

/// A folder, told from every other one of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimedFolder {
    /// The boot id of its kernel: containers share it.
    pub boot_id: String,
    /// Which folder of that kernel.
    pub numbers: FolderNumbers,
}

/// A file that is published and about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The pass it belongs to (row of [`Ledger::begin_pass`]).
    pub pass: RowId,
    /// The device.
    pub device: DeviceName,
    /// The source on the device.
    pub source: SourcePath,
    /// Its original path below the source.
    pub path: RelativePath,
    /// Its identity as verified (after it was withdrawn, where it was).
    pub identity: Identity,
    /// Its digest.
    pub digest: Digest,
    /// Whether the device made the same digest of its own bytes.
    pub device_digest: bool,
    /// Where it is in the store.
    pub store_name: RelativePath,
    /// Whether that content was there before.
    pub was_there: bool,
    /// The batch it was withdrawn with; `None` where it was gathered in place.
    pub withdrawn: Option<BatchId>,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What is left on a device after a pass, one item per file up to a bound, with totals over all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remaining {
    /// The first some of the files, oldest first within a reason.
    pub files: Vec<RemainingFile>,
    /// For each reason: how many files and bytes.
    pub totals: Vec<(Reason, Amount)>,
}

/// A file that is left on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingFile {
    /// The source it is in.
    pub source: SourcePath,
    /// Its original path, escaped (it may be inadmissible).
    pub path: String,
    /// Why it is left.
    pub reason: Reason,
    /// Its size in bytes.
    pub size: u64,
    /// What the device or the system said, where there is more to say than the reason.
    pub detail: Option<String>,
}

/// Why a file is still on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It will be gathered by itself.
    Wait(WaitReason),
    /// It stays until somebody does something.
    Leave(LeaveReason),
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.code(),
            Self::Leave(reason) => reason.code(),
        }
    }

    /// What a person reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.text(),
            Self::Leave(reason) => reason.text(),
        }
    }

    /// Whether somebody should act: such a file makes the sweep end with exit status 1.
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Wait(reason) => reason.is_fault(),
            Self::Leave(reason) => reason.is_fault(),
        }
    }

    /// What a person can do; empty where nothing needs doing.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.remedy(),
            Self::Leave(reason) => reason.remedy(),
        }
    }
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassEnd {
    /// Its row.
    pub pass: RowId,
    /// Which device.
    pub device: DeviceName,
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: PassOutcome,
    /// Files released in this pass, and their bytes.
    pub released: Amount,
    /// Files stored in this pass (content that was there before not counted), and their bytes.
    pub stored: Amount,
    /// How long it took.
    pub took: Duration,
    /// What the device said, if it was reached.
    pub report: Option<DeviceReport>,
    /// What is left, if the survey ran to its end.
    pub remaining: Option<Remaining>,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassOutcome {
    /// All that could be done was done.
    Well,
    /// The device was served, but some file had a fault.
    Partial,
    /// The device failed.
    Failed {
        /// Why.
        class: FailureClass,
        /// In more words.
        message: String,
        /// What a person can do about it, where the remedy of the class does not help.
        remedy: Option<String>,
    },
    /// The store or the ledger ended it.
    CollectorFailed {
        /// In words.
        message: String,
    },
    /// It was interrupted.
    Interrupted,
}

impl PassOutcome {
    /// What a person can do about it, where the device failed.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Failed { class, remedy, .. } => Some(remedy.as_deref().unwrap_or(class.remedy())),
            Self::Well | Self::Partial | Self::CollectorFailed { .. } | Self::Interrupted => None,
        }
    }
}

/// What a device said about itself in a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// When it was last heard, by the collector's clock.
    pub seen_at: Timestamp,
    /// Its clock beside ours, where it told.
    pub clock: Option<ClockReading>,
    /// How full the file system of each source is.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// Which folder each source is, where that could be told. They replace what was known of the device.
    pub claims: Vec<(SourcePath, Claim)>,
    /// What the device lacks, in words.
    pub shortcomings: Vec<String>,
    /// What was found out about compression; `None` leaves what was known.
    pub compression: Option<CompressionFinding>,
    /// How it proves that nobody writes to a file; `None`, where there were no files, leaves what was known.
    pub writer_check: Option<WriterCheck>,
    /// When it was found to end the whole connection when a command is asked for beside SFTP, where it does.
    pub hung_up_on_command: Option<Timestamp>,
}

/// Why the ledger could not serve. Every one of these ends the sweep; nothing is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another gleaner has it.
    #[error("another gleaner is at work on the ledger {path}")]
    Busy {
        /// Which file.
        path: String,
    },
    /// It belongs to another store.
    #[error("the ledger {path} belongs to the store {remembered}, not to {found}")]
    OtherStore {
        /// Which file.
        path: String,
        /// The store that it remembers.
        remembered: StoreId,
        /// The store that is there.
        found: StoreId,
    },
    /// A newer gleaner wrote it.
    #[error("the ledger {path} has schema {found}; this gleaner knows schemas up to {known}")]
    NewerSchema {
        /// Which file.
        path: String,
        /// What it has.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// It is not readable as a ledger.
    #[error("the ledger {path} is damaged or no ledger: {reason}")]
    Damaged {
        /// Which file.
        path: String,
        /// What the database said.
        reason: String,
    },
    /// It cannot be opened, or an operation failed (its disk full among the causes).
    #[error("failed to {operation} the ledger {path}: {reason}")]
    Failed {
        /// Which file.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        reason: String,
    },
}
