//! What is left on a device: all of it counted, some of it named.

use std::collections::BTreeMap;

use model::SourcePath;

use crate::ports::{Reason, Remaining, RemainingFile};

/// How many files of one reason are named one by one; the totals count all.
const NAMED_PER_REASON: usize = 200;

/// What is left on a device, as it is found out.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemainingTally {
    files: Vec<RemainingFile>,
    totals: BTreeMap<Reason, (u64, u64)>,
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
        total.0 += 1;
        total.1 = total.1.saturating_add(size);
        if total.0 <= u64::try_from(NAMED_PER_REASON).unwrap_or(u64::MAX) {
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
    pub(crate) fn add(&mut self, reason: Reason, (files, bytes): (u64, u64)) {
        if files > 0 {
            let total = self.totals.entry(reason).or_default();
            *total = (total.0 + files, total.1.saturating_add(bytes));
        }
    }

    /// Adds what another book says.
    pub(crate) fn merge(&mut self, other: Self) {
        for (reason, (files, bytes)) in other.totals {
            let total = self.totals.entry(reason).or_default();
            *total = (total.0 + files, total.1.saturating_add(bytes));
        }
        self.files.extend(other.files);
    }

    /// All files and bytes.
    pub(crate) fn count(&self) -> (u64, u64) {
        self.totals.values().fold((0, 0), |sum, total| {
            (sum.0 + total.0, sum.1.saturating_add(total.1))
        })
    }

    /// Whether any file needs somebody to act.
    pub(crate) fn has_faults(&self) -> bool {
        self.totals.keys().any(|reason| reason.is_fault())
    }

    /// As the ledger takes it.
    pub(crate) fn into_remaining(self) -> Remaining {
        let totals = self
            .totals
            .into_iter()
            .map(|(reason, (files, bytes))| (reason, files, bytes))
            .collect();
        Remaining {
            files: self.files,
            totals,
        }
    }
}
