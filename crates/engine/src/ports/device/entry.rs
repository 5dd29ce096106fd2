//! What surveys and inspections say about files.

use model::{Identity, RelativePath};
use tokio::sync::mpsc;

use super::failure::{DeviceFailure, FileFault};

/// How a listing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingEnd {
    /// It was complete, or the consumer stopped listening.
    Whole,
    /// It was given up, for this reason. What it did not list is unknown.
    Cut(DeviceFailure),
}

/// Takes the items of a survey.
pub type SurveySender = mpsc::Sender<Vec<SurveyItem>>;

/// An item of a survey. Items are sent in small groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurveyItem {
    /// Something in the source.
    Entry(Entry),
    /// A folder that the device does not let gleaner list.
    Unlistable(RelativePath),
    /// A name that is no admissible path: escaped, with what is wrong.
    Refused(String, model::NameError),
}

/// Something in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, relative to the source.
    pub path: RelativePath,
    /// What it is.
    pub kind: EntryKind,
    /// Its identity, as far as the device can tell.
    pub identity: Identity,
    /// Whether it is open.
    pub openness: Openness,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device node.
    Special,
}

/// How a device proves that no process writes to a file. The weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterCheck {
    /// It cannot: files settle for `settle_blind`.
    Blind,
    /// By a scan of the open files of all processes, proved complete.
    Scan,
    /// By read leases, which the kernel refuses while anything can write to the file (`fcntl(2)`,
    /// `F_SETLEASE`).
    Leases,
}

impl WriterCheck {
    /// Every check.
    pub const ALL: [Self; 3] = [Self::Blind, Self::Scan, Self::Leases];

    /// The stable code, for the ledger and for JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::Scan => "scan",
            Self::Leases => "leases",
        }
    }

    /// The check with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.code() == code)
    }

    /// Its meaning, for a person.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Blind => "cannot be seen: files settle for settle_blind",
            Self::Scan => "seen by a complete scan of all processes",
            Self::Leases => "the kernel is asked (read leases)",
        }
    }
}

/// Whether any process has a file open for writing.
///
/// Readers do not count: the device's own SFTP server and digest tool are among them, and a reader loses
/// nothing when the file is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Some process has it open for writing, or has it mapped shared and writable.
    Open,
    /// No process has it open for writing, according to the kernel or to a scan that saw every process.
    Closed,
    /// It cannot be determined.
    Unknown,
    /// In listings only: the kernel was not asked yet. It is asked before the file is renamed, and again
    /// under its new name.
    Unasked,
}

impl Openness {
    /// The check that this openness results from. `None` for an open file.
    pub const fn check(self) -> Option<WriterCheck> {
        match self {
            Self::Open => None,
            Self::Closed => Some(WriterCheck::Scan),
            Self::Unknown => Some(WriterCheck::Blind),
            Self::Unasked => Some(WriterCheck::Leases),
        }
    }
}

/// What an inspection found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// The identity of the file now.
    pub identity: Identity,
    /// Whether it was open just before.
    pub openness: Openness,
}

impl Inspection {
    /// Compares with an identity noted before.
    pub fn against(self, noted: Identity) -> Confirmation {
        match self.openness {
            Openness::Open => Confirmation::Open,
            _ if self.identity != noted => Confirmation::Changed,
            Openness::Closed => Confirmation::Unchanged,
            Openness::Unknown | Openness::Unasked => Confirmation::Unseen,
        }
    }
}

/// The result of inspecting one file.
pub type InspectResult = Result<Inspection, FileFault>;

/// What a device confirms about a file whose identity was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Its identity is the same, and no process had it open for writing just before.
    Unchanged,
    /// Its identity is the same. Whether a process has it open cannot be determined.
    Unseen,
    /// A process has it open for writing.
    Open,
    /// It is another file, or a process has written to it.
    Changed,
}

/// The result of confirming one file.
pub type ConfirmResult = Result<Confirmation, FileFault>;
