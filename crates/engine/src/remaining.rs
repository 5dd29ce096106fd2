//! What is left on a device: all of it counted, some of it named.

use std::collections::BTreeMap;

use model::{Amount, SourcePath};

use crate::ports::{Reason, Remaining, RemainingFile};

/// How many files of one reason are named one by one; the totals count all.
const NAMED_PER_REASON: usize = 200;

/// What is left on a device, as it is found out.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemainingTally {
    files: Vec<RemainingFile>,
    totals: BTreeMap<Reason, Amount>,
}

impl RemainingTally {
    /// Notes a file that is left. `path` is escaped.
    pub(crate) fn note(
        &mut self,
        source: &SourcePath,
        path: String,
        reason: Reason,
        size: u64,
        detail: Option<String>,
    ) {
        let total = self.totals.entry(reason).or_default();
        total.add(Amount::of_file(size));
        if total.files <= u64::try_from(NAMED_PER_REASON).unwrap_or(u64::MAX) {
            self.files.push(RemainingFile {
                source: source.clone(),
                path,
                reason,
                size,
                detail,
            });
        }
    }

    /// Counts files that cannot be named.
    pub(crate) fn add(&mut self, reason: Reason, more: Amount) {
        if !more.is_none() {
            self.totals.entry(reason).or_default().add(more);
        }
    }

    /// Adds what another book says.
    pub(crate) fn merge(&mut self, other: Self) {
        for (reason, more) in other.totals {
            self.totals.entry(reason).or_default().add(more);
        }
        self.files.extend(other.files);
    }

    /// All files and bytes.
    pub(crate) fn count(&self) -> Amount {
        self.totals
            .values()
            .fold(Amount::ZERO, |sum, total| sum.plus(*total))
    }

    /// Whether any file needs somebody to act.
    pub(crate) fn has_faults(&self) -> bool {
        self.totals.keys().any(|reason| reason.is_fault())
    }

    /// As the ledger takes it.
    pub(crate) fn into_remaining(self) -> Remaining {
        Remaining {
            files: self.files,
            totals: self.totals.into_iter().collect(),
        }
    }
}
