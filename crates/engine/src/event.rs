//! The closed list of what can be reported. Log, progress, JSON and later metrics consume it.

use std::time::Duration;

use model::{Amount, DeviceName, Digest, RelativePath, SourcePath, Timestamp};

use crate::ports::{DeviceFacts, Obstacle, PassOutcome, Placement, Reason, Remaining};
use crate::rules::Mode;

/// Takes events. Called from the main path of every device: it returns at once and never blocks.
pub trait Reporter: Send + Sync + 'static {
    /// Takes one event.
    fn report(&self, event: &Event);
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A sweep began.
    SweepBegan {
        /// How many devices it visits.
        devices: usize,
        /// Whether it acts.
        mode: Mode,
    },
    /// Other collectors have left files in the store's staging area that are older than a week: they may never come back for them.
    ForeignStaging {
        /// How many files. Never none.
        files: u64,
    },
    /// A device is being connected to.
    Connecting {
        /// Which.
        device: DeviceName,
    },
    /// A device is connected.
    Connected {
        /// Which.
        device: DeviceName,
        /// What it said about itself.
        facts: DeviceFacts,
        /// What it lacks, in words.
        shortcomings: Vec<&'static str>,
    },
    /// A source was listed.
    Surveyed {
        /// Which device.
        device: DeviceName,
        /// Which source.
        source: SourcePath,
        /// Files to be gathered now, and their bytes.
        ready: Amount,
        /// Files that are left on the device by this survey, and their bytes.
        remaining: Amount,
        /// Whether there is more to gather than one plan holds: then the source is surveyed again.
        more: bool,
    },
    /// What would be done with a file (dry run only).
    Planned {
        /// Which device.
        device: DeviceName,
        /// Which source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its size in bytes.
        size: u64,
        /// What would be done, as a stable code: `gather`, `gather-in-place`, `resume-withdrawn` or `prove-again`.
        action: &'static str,
    },
    /// Bytes came in.
    Received {
        /// From which device.
        device: DeviceName,
        /// How many.
        bytes: u64,
    },
    /// A partial file of an earlier pass is gone on with.
    Resumed {
        /// Which device.
        device: DeviceName,
        /// Its original path.
        path: RelativePath,
        /// How many bytes need not be fetched again.
        bytes: u64,
    },
    /// A folder of the store cannot be used, since a link or a file is there: another one takes its place.
    FolderReplaced {
        /// For which device, the first time in its pass.
        device: DeviceName,
        /// The folder, by its path in the store.
        folder: RelativePath,
        /// What is there.
        obstacle: Obstacle,
        /// The folder in its place.
        replacement: RelativePath,
    },
    /// A file is stored, and the store's file system did not take its time of last modification. The ledger
    /// has the true one.
    TimeNotKept {
        /// From which device.
        device: DeviceName,
        /// Its original path.
        path: RelativePath,
        /// Its name in the store.
        store_name: RelativePath,
        /// When it was last modified, as far as gleaner can tell.
        modified: Timestamp,
        /// The time that it has in the store.
        kept: Timestamp,
    },
    /// A file is published and recorded.
    Stored {
        /// Which device.
        device: DeviceName,
        /// Which source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its name in the store.
        store_name: RelativePath,
        /// Its size in bytes.
        size: u64,
        /// Its digest.
        digest: Digest,
        /// Whether the name was free or had that content already.
        placed: Placement,
        /// Whether its first choice of name was taken by other content.
        conflict: bool,
    },
    /// A file is gone from its device.
    Released {
        /// Which device.
        device: DeviceName,
        /// Which source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its size in bytes.
        size: u64,
    },
    /// A file that was to be gathered is left on the device for now.
    LeftBehind {
        /// Which device.
        device: DeviceName,
        /// Which source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Why.
        reason: Reason,
        /// What the device or the system said.
        detail: Option<String>,
    },
    /// A pass ended.
    PassEnded {
        /// Which device.
        device: DeviceName,
        /// How it went.
        summary: PassSummary,
    },
    /// A sweep ended.
    SweepEnded {
        /// How long it took.
        took: Duration,
        /// Devices that were not visited any more, since the store or the ledger failed or somebody asked to stop.
        not_visited: Vec<DeviceName>,
        /// Why the ledger failed in the midst of the sweep, if it did.
        ledger_failure: Option<String>,
    },
}

/// How a pass went.
#[derive(Debug, Clone)]
pub struct PassSummary {
    /// How it ended.
    pub outcome: PassOutcome,
    /// Files whose content is new in the store, and their bytes.
    pub stored: Amount,
    /// Files gone from the device, and their bytes.
    pub released: Amount,
    /// Bytes that came over the wire, as far as the transport can tell.
    pub received: u64,
    /// What is left on the device, where the survey came to its end.
    pub remaining: Option<Remaining>,
    /// How long it took.
    pub took: Duration,
}
