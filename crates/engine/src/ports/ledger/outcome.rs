//! How a pass ended, and what it left on the device.

use std::time::Duration;

use model::{Amount, FailureClass, LeaveReason, SourcePath, Timestamp, WaitReason};

use super::super::device::{DiskUse, WriterCheck};
use super::files::{Claim, ClockReading, CompressionFinding};

/// The files that remain on a device after a pass: some of them named, all of them counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remaining {
    /// The first files of each reason, in the order in which they were found.
    pub files: Vec<RemainingFile>,
    /// The amount of each reason.
    pub totals: Vec<(Reason, Amount)>,
}

/// A file that remains on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingFile {
    /// Its source.
    pub source: SourcePath,
    /// Its original path, escaped (it may be inadmissible).
    pub path: String,
    /// Why it remains.
    pub reason: Reason,
    /// Its size in bytes.
    pub size: u64,
    /// What the device or the system said, if that says more than the reason.
    pub detail: Option<String>,
}

/// Why a file remains on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is tried again automatically.
    Wait(WaitReason),
    /// It stays until the operator acts.
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

    /// The text for a person.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.text(),
            Self::Leave(reason) => reason.text(),
        }
    }

    /// Whether the operator should act. Such a file makes the sweep end with exit status 1.
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Wait(reason) => reason.is_fault(),
            Self::Leave(reason) => reason.is_fault(),
        }
    }

    /// What to do. Empty if there is nothing to do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.remedy(),
            Self::Leave(reason) => reason.remedy(),
        }
    }
}

/// How the pass of a lease has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassEnd {
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: PassOutcome,
    /// Files released in this pass.
    pub released: Amount,
    /// Files stored in this pass, without content that was in the store before.
    pub stored: Amount,
    /// How long it took.
    pub took: Duration,
    /// What the device said, if it was reached.
    pub report: Option<DeviceReport>,
    /// The files that remain, if the survey was complete.
    pub remaining: Option<Remaining>,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassOutcome {
    /// Everything that could be done was done.
    Well,
    /// The device was served, but some file had a fault.
    Partial,
    /// The device failed.
    Failed {
        /// The class of the failure.
        class: FailureClass,
        /// What happened.
        message: String,
        /// What to do, where the remedy of the class does not help.
        remedy: Option<String>,
    },
    /// The store or the ledger failed.
    CollectorFailed {
        /// What happened.
        message: String,
    },
    /// A stop was requested.
    Interrupted,
}

impl PassOutcome {
    /// What to do, if the device failed.
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
    /// When it last answered, by the collector's clock.
    pub seen_at: Timestamp,
    /// Its clock compared with the collector's, if it reported its clock.
    pub clock: Option<ClockReading>,
    /// How full the file system of each source is.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// Which folder each source is, as far as that could be determined. Replaces what was recorded.
    pub claims: Vec<(SourcePath, Claim)>,
    /// What the device lacks, in words.
    pub shortcomings: Vec<String>,
    /// What was found out about compression. `None` keeps the earlier finding.
    pub compression: Option<CompressionFinding>,
    /// How it proves that no process writes to a file. `None`, without files, keeps what was recorded.
    pub writer_check: Option<WriterCheck>,
    /// When it was found to end the whole connection over a command beside SFTP, if it does.
    pub hung_up_on_command: Option<Timestamp>,
}
