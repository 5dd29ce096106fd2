//! What the ledger records about files and their devices.

use model::{BatchId, Digest, FileState, Identity, RelativePath, SourcePath, Timestamp};

use super::super::device::FolderNumbers;

/// The number of a row in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub i64);

/// A file that was gathered before.
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
    /// How far it got.
    pub state: FileState,
}

/// A row whose file is stored, and is or was withdrawn on its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnRow {
    /// The row.
    pub row: RowId,
    /// The original path.
    pub path: RelativePath,
    /// The batch that it was withdrawn with.
    pub withdrawn: BatchId,
}

/// A file that was seen, and whose clock cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its current path: a withdrawn file is another one than its original.
    pub path: RelativePath,
    /// Its identity.
    pub identity: Identity,
}

/// What becomes of earlier sightings of files that were not seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// The listing was complete: those files are gone, and their sightings are dropped.
    Forget,
    /// The listing was cut off: those files may still be there, unchanged. At most [`super::MAX_SIGHTINGS`]
    /// of a source are kept; otherwise all of them are dropped.
    Retain,
}

/// When and how often a file was recorded as a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    /// Grows with every record, over all sources and devices.
    pub noted: i64,
    /// How often.
    pub times: u64,
}

/// A device's clock compared with the collector's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The device's clock minus the collector's, in nanoseconds.
    pub offset: i64,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// When it was read, by the collector's clock.
    pub at: Timestamp,
}

/// What a pass found out about compression on the way to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionFinding {
    /// Whether files arrived sooner.
    pub paid: bool,
    /// When that was found, by the collector's clock.
    pub at: Timestamp,
}

/// Which folder a source is, and its rank among the names that lead to that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The folder.
    pub folder: ClaimedFolder,
    /// Its rank, the earliest first: when it was first found to be that folder, by the collector's clock,
    /// unless it took the rank of another name.
    pub since: Timestamp,
}

/// Identifies a folder within the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimedFolder {
    /// The boot id of its kernel. Containers share it.
    pub boot_id: String,
    /// The folder within that kernel.
    pub numbers: FolderNumbers,
}

/// A file that is published and about to be recorded. Its pass and its device are those of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The source on the device.
    pub source: SourcePath,
    /// Its original path below the source.
    pub path: RelativePath,
    /// Its identity as verified; after it was withdrawn, if it was.
    pub identity: Identity,
    /// Its digest.
    pub digest: Digest,
    /// Whether the device made the same digest of its own bytes.
    pub device_digest: bool,
    /// Its name in the store.
    pub store_name: RelativePath,
    /// Whether that content was in the store before.
    pub already_stored: bool,
    /// The batch that it was withdrawn with. `None` if it was gathered in place.
    pub withdrawn: Option<BatchId>,
    /// When it was recorded.
    pub at: Timestamp,
}
