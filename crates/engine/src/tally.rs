//! What a visit has done with files: stored, released, left on the device.
//!
//! Every stage adds to it; the pass reports it at its end. It reports nothing itself.

mod handled;
mod remaining;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Amount, RelativePath, SourcePath, WaitReason};
use parking_lot::Mutex;

use crate::path_hash::hash_in_source;
use crate::ports::Reason;
use handled::Handled;
pub(crate) use remaining::{RemainingTally, reason_of};

/// Replaced folders of the store that are reported one by one. A device may have any number of them.
const MAX_REPLACED: usize = 1000;

/// What a visit has done with files.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stored: Counter,
    pub(crate) released: Counter,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Files that batches left on the device. What surveys left is counted by the survey.
    remaining: RemainingTally,
    handled: Handled,
    /// Folders of the store whose replacement was reported.
    replaced: HashSet<RelativePath>,
}

/// A file that stays on the device for now.
#[derive(Debug)]
pub(crate) struct LeftFile<'a> {
    pub(crate) source: &'a SourcePath,
    pub(crate) original: &'a RelativePath,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) reason: Reason,
    /// What the device or the system said.
    pub(crate) detail: Option<String>,
}

impl Tally {
    /// Records a file that stays on the device for now.
    pub(crate) fn record_remaining(&self, file: &LeftFile<'_>) {
        let mut files = self.files.lock();
        let path = file.original.to_string();
        files
            .remaining
            .record(file.source, path, file.reason, file.size, file.detail.clone());
        files.handled.leave(hash_in_source(file.source, file.original));
    }

    /// Records a file that is gone from the device.
    pub(crate) fn record_released(&self, source: &SourcePath, original: &RelativePath, size: u64) {
        self.files
            .lock()
            .handled
            .release(hash_in_source(source, original));
        self.released.add(size);
    }

    /// Records a file that this visit did not reach.
    pub(crate) fn record_not_reached(&self, source: &SourcePath, original: &RelativePath, size: u64) {
        record_not_reached(&mut self.files.lock().remaining, source, original, size);
    }

    /// Closes a batch. If it failed, those of its files that were neither released nor left were not reached.
    pub(crate) fn close_batch(&self, source: &SourcePath, batch: &[(RelativePath, u64)], failed: bool) {
        let mut files = self.files.lock();
        for (original, size) in batch {
            let is_handled = files.handled.close(hash_in_source(source, original));
            if failed && !is_handled {
                record_not_reached(&mut files.remaining, source, original, *size);
            }
        }
    }

    /// Whether this visit has left that file behind. It is not tried again before the next visit.
    pub(crate) fn has_left(&self, source: &SourcePath, original: &RelativePath) -> bool {
        let files = self.files.lock();
        files.handled.left() > 0 && files.handled.has_left(hash_in_source(source, original))
    }

    /// Number of files released or left so far. Grows with every progress.
    pub(crate) fn handled(&self) -> u64 {
        let left = self.files.lock().handled.left();
        self.released.amount().files.saturating_add(left)
    }

    /// Whether the replacement of this store folder is still to be reported. Marks it as reported.
    ///
    /// `false` for every folder after the first thousand.
    pub(crate) fn claim_replaced(&self, folder: &RelativePath) -> bool {
        let replaced = &mut self.files.lock().replaced;
        replaced.len() < MAX_REPLACED && replaced.insert(folder.clone())
    }

    /// The files that batches left on the device.
    pub(crate) fn take_remaining(&self) -> RemainingTally {
        std::mem::take(&mut self.files.lock().remaining)
    }
}

fn record_not_reached(
    remaining: &mut RemainingTally,
    source: &SourcePath,
    original: &RelativePath,
    size: u64,
) {
    let reason = Reason::Wait(WaitReason::NotReached);
    remaining.record(source, original.to_string(), reason, size, None);
}

/// An [`Amount`] that batches running at the same time add to.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    /// Adds one file of this size in bytes.
    pub(crate) fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The amount so far.
    pub(crate) fn amount(&self) -> Amount {
        Amount::new(
            self.files.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}
