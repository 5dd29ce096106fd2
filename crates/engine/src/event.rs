//! The closed list of events. Log, progress, JSON, metrics and the page consume it, side by side.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Amount, DeviceName, Digest, RelativePath, SourcePath, Timestamp};

use crate::ports::{DeviceFacts, Obstacle, PassOutcome, Placement, Reason, Remaining};
use crate::rules::Mode;

/// Consumes events. Called from the main path of every device: it returns at once and never blocks.
pub trait Reporter: Send + Sync + 'static {
    /// Consumes one event, which happened at `at` by the collector's wall clock.
    fn report(&self, at: Timestamp, event: &Event);
}

/// Several reporters, each of which consumes every event, in this order.
#[derive(Default)]
pub struct Reporters(Vec<Box<dyn Reporter>>);

impl Reporters {
    /// Adds a reporter.
    pub fn add(&mut self, reporter: impl Reporter) {
        self.0.push(Box::new(reporter));
    }
}

impl Reporter for Reporters {
    fn report(&self, at: Timestamp, event: &Event) {
        for reporter in &self.0 {
            reporter.report(at, event);
        }
    }
}

impl<R: Reporter> Reporter for Arc<R> {
    fn report(&self, at: Timestamp, event: &Event) {
        (**self).report(at, event);
    }
}

impl fmt::Debug for Reporters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} reporters", self.0.len())
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A sweep began.
    SweepBegan {
        /// How many devices it visits.
        devices: usize,
        /// Whether it changes anything.
        mode: Mode,
    },
    /// Other collectors have left files in the store's staging that are older than a week. They may be gone.
    ForeignStaging {
        /// Number of files, at least one.
        files: u64,
    },
    /// Connecting to a device.
    Connecting {
        /// The device.
        device: DeviceName,
    },
    /// A device is connected.
    Connected {
        /// The device.
        device: DeviceName,
        /// What it said about itself.
        facts: DeviceFacts,
        /// What it lacks, in words.
        shortcomings: Vec<&'static str>,
    },
    /// A source was listed.
    Surveyed {
        /// The device.
        device: DeviceName,
        /// Its source.
        source: SourcePath,
        /// Files that are ready to be gathered.
        ready: Amount,
        /// Files that this survey leaves on the device.
        remaining: Amount,
        /// Whether more is ready than one plan holds. Then the source is surveyed again.
        more: bool,
    },
    /// What a sweep would do with a file (dry run only).
    Planned {
        /// The device.
        device: DeviceName,
        /// Its source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its size in bytes.
        size: u64,
        /// The action, as a stable code: `gather`, `gather-in-place`, `resume-withdrawn` or
        /// `prove-again`.
        action: &'static str,
    },
    /// Bytes were received.
    Received {
        /// The device.
        device: DeviceName,
        /// Number of bytes.
        bytes: u64,
    },
    /// A partial file of an earlier pass was resumed.
    Resumed {
        /// The device.
        device: DeviceName,
        /// Its original path.
        path: RelativePath,
        /// Bytes that need not be fetched again.
        bytes: u64,
    },
    /// A folder of the store cannot be used, because a link or a file has its name. Another folder replaces it.
    FolderReplaced {
        /// The device. Reported once in its pass.
        device: DeviceName,
        /// The path of the folder in the store.
        folder: RelativePath,
        /// What has its name.
        obstacle: Obstacle,
        /// The folder that replaces it.
        replacement: RelativePath,
    },
    /// A file is stored, but the store's file system did not keep its mtime. The ledger has the true one.
    TimeNotKept {
        /// The device.
        device: DeviceName,
        /// Its original path.
        path: RelativePath,
        /// Its name in the store.
        store_name: RelativePath,
        /// Its mtime, as far as gleaner can tell.
        modified: Timestamp,
        /// Its mtime in the store.
        kept: Timestamp,
    },
    /// A file is published and recorded.
    Stored {
        /// The device.
        device: DeviceName,
        /// Its source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its name in the store.
        store_name: RelativePath,
        /// Its size in bytes.
        size: u64,
        /// Its digest.
        digest: Digest,
        /// Whether the name was free, or had that content already.
        placed: Placement,
        /// Whether other content had its first name.
        conflict: bool,
    },
    /// A file was removed from its device.
    Released {
        /// The device.
        device: DeviceName,
        /// Its source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Its size in bytes.
        size: u64,
    },
    /// A file that was ready stays on the device for now.
    LeftBehind {
        /// The device.
        device: DeviceName,
        /// Its source.
        source: SourcePath,
        /// Its original path.
        path: RelativePath,
        /// Why it stays.
        reason: Reason,
        /// What the device or the system said.
        detail: Option<String>,
    },
    /// A pass ended.
    PassEnded {
        /// The device.
        device: DeviceName,
        /// Its summary.
        summary: PassSummary,
    },
    /// A sweep ended.
    SweepEnded {
        /// How long it took.
        took: Duration,
        /// Devices that were not visited, because the store or the ledger failed or a stop was requested.
        not_visited: Vec<DeviceName>,
        /// Why the ledger failed during the sweep, if it did.
        ledger_failure: Option<String>,
    },
}

/// The summary of a pass.
#[derive(Debug, Clone)]
pub struct PassSummary {
    /// How it ended.
    pub outcome: PassOutcome,
    /// Files whose content is new in the store.
    pub stored: Amount,
    /// Files removed from the device.
    pub released: Amount,
    /// Bytes received over the link, as far as the transport can tell.
    pub received: u64,
    /// The files that remain on the device, if the survey was complete.
    pub remaining: Option<Remaining>,
    /// How long it took.
    pub took: Duration,
}
