//! The withdrawn files in a listing, and which of the recorded ones are gone.

use std::collections::HashSet;

use model::{LedgerId, RelativePath};

use super::MAX_NAMES;
use crate::path_hash::hash;
use crate::ports::{RowId, WithdrawnRow};
use crate::withdrawn;

/// Unlistable folders that are remembered.
const MAX_UNLISTABLE: usize = 1000;

/// The withdrawn files of this collector in a listing.
#[derive(Debug, Default)]
pub(super) struct WithdrawnFiles {
    /// Their current paths, by hash: those of a few batches.
    seen: HashSet<u64>,
    unlistable: Vec<RelativePath>,
}

impl WithdrawnFiles {
    pub(super) fn record(&mut self, path: &RelativePath) {
        if self.seen.len() < MAX_NAMES {
            self.seen.insert(hash(path));
        }
    }

    pub(super) fn record_unlistable(&mut self, folder: &RelativePath) {
        if self.unlistable.len() < MAX_UNLISTABLE {
            self.unlistable.push(folder.clone());
        }
    }

    /// The rows whose files were removed. Empty if the listing had more than is remembered: any of the files
    /// may be there.
    pub(super) fn gone(&self, rows: &[WithdrawnRow], ledger: &LedgerId) -> Vec<RowId> {
        if self.seen.len() >= MAX_NAMES || self.unlistable.len() >= MAX_UNLISTABLE {
            return Vec::new();
        }
        let gone = rows.iter().filter(|row| self.is_gone(row, ledger));
        gone.map(|row| row.row).collect()
    }

    fn is_gone(&self, row: &WithdrawnRow, ledger: &LedgerId) -> bool {
        // A listing refuses paths that are too long: the file may be there unseen.
        if RelativePath::new(row.path.as_bytes()).is_err() {
            return false;
        }
        let paths = [
            withdrawn::in_source(ledger, &row.withdrawn, &row.path).ok(),
            withdrawn::beside(ledger, &row.withdrawn, &row.path).ok(),
            withdrawn::hidden(ledger, &row.withdrawn, &row.path).ok(),
        ];
        let may_be_at = |path: &RelativePath| self.seen.contains(&hash(path)) || self.is_hidden(path);
        !paths.iter().flatten().any(may_be_at)
    }

    /// Whether it would be in a folder that could not be listed.
    fn is_hidden(&self, path: &RelativePath) -> bool {
        self.unlistable.iter().any(|folder| {
            let below = path.as_bytes().strip_prefix(folder.as_bytes());
            below.is_some_and(|below| below.starts_with(b"/"))
        })
    }
}
