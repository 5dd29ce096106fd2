//! What a listing shows of the files that lie withdrawn, and which of them are gone.

use std::collections::HashSet;

use model::{LedgerId, RelativePath};

use super::MAX_NAMES;
use crate::ports::{RowId, WithdrawnRow};
use crate::visit::hash;
use crate::withdrawn;

/// Folders that cannot be listed that are kept in mind.
const MAX_UNLISTABLE: usize = 1000;

/// The withdrawn files of this collector, as far as a listing shows them.
#[derive(Debug, Default)]
pub(super) struct Withdrawn {
    /// Where they lie, by hash: a few batches.
    seen: HashSet<u64>,
    unlistable: Vec<RelativePath>,
}

impl Withdrawn {
    pub(super) fn note(&mut self, path: &RelativePath) {
        if self.seen.len() < MAX_NAMES {
            self.seen.insert(hash(path));
        }
    }

    pub(super) fn note_unlistable(&mut self, folder: &RelativePath) {
        if self.unlistable.len() < MAX_UNLISTABLE {
            self.unlistable.push(folder.clone());
        }
    }

    /// Those of these rows whose files were removed. None where more was shown than is kept in mind: any of them may be there.
    pub(super) fn gone(&self, rows: &[WithdrawnRow], ledger: &LedgerId) -> Vec<RowId> {
        if self.seen.len() >= MAX_NAMES || self.unlistable.len() >= MAX_UNLISTABLE {
            return Vec::new();
        }
        let gone = rows.iter().filter(|row| self.is_gone(row, ledger));
        gone.map(|row| row.row).collect()
    }

    fn is_gone(&self, row: &WithdrawnRow, ledger: &LedgerId) -> bool {
        // A listing refuses the name of what lies deeper than a path may be: it may be there unseen.
        if RelativePath::new(row.path.as_bytes()).is_err() {
            return false;
        }
        let places = [
            withdrawn::in_source(ledger, &row.withdrawn, &row.path).ok(),
            withdrawn::beside(ledger, &row.withdrawn, &row.path).ok(),
            withdrawn::hidden(ledger, &row.withdrawn, &row.path).ok(),
        ];
        let may_be_at = |place: &RelativePath| self.seen.contains(&hash(place)) || self.is_hidden(place);
        !places.iter().flatten().any(may_be_at)
    }

    /// Whether it would lie in a folder that could not be listed.
    fn is_hidden(&self, path: &RelativePath) -> bool {
        self.unlistable.iter().any(|folder| {
            let below = path.as_bytes().strip_prefix(folder.as_bytes());
            below.is_some_and(|below| below.starts_with(b"/"))
        })
    }
}
