//! Files that remain on a device: all of them counted, some of them named.

use std::collections::BTreeMap;

use model::{Amount, LeaveReason, SourcePath, WaitReason};

use crate::ports::{FileFault, FileFaultKind, Reason, Remaining, RemainingFile};

/// Files of one reason that are named one by one. The totals count all.
const NAMED_PER_REASON: usize = 200;

/// The files that remain on a device, while they are being found.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemainingTally {
    files: Vec<RemainingFile>,
    totals: BTreeMap<Reason, Amount>,
}

impl RemainingTally {
    /// Records a file that remains. `path` is escaped.
    pub(crate) fn record(
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

    /// Counts files without naming them.
    pub(crate) fn add(&mut self, reason: Reason, more: Amount) {
        if !more.is_none() {
            self.totals.entry(reason).or_default().add(more);
        }
    }

    /// Adds another tally.
    pub(crate) fn merge(&mut self, other: Self) {
        for (reason, more) in other.totals {
            self.totals.entry(reason).or_default().add(more);
        }
        self.files.extend(other.files);
    }

    /// The amount over all reasons.
    pub(crate) fn count(&self) -> Amount {
        self.totals
            .values()
            .fold(Amount::ZERO, |sum, total| sum.plus(*total))
    }

    /// Whether any file needs an action by the operator.
    pub(crate) fn has_faults(&self) -> bool {
        self.totals.keys().any(|reason| reason.is_fault())
    }

    /// The form that the ledger and the reports take.
    pub(crate) fn into_remaining(self) -> Remaining {
        Remaining {
            files: self.files,
            totals: self.totals.into_iter().collect(),
        }
    }
}

/// Why a file remains that could not be gathered because of `fault`.
pub(crate) fn reason_of(fault: &FileFault) -> Reason {
    match fault.kind {
        FileFaultKind::Missing | FileFaultKind::Grown | FileFaultKind::NotAFile => {
            Reason::Wait(WaitReason::Changed)
        }
        FileFaultKind::Open => Reason::Wait(WaitReason::Open),
        FileFaultKind::Permission => Reason::Leave(LeaveReason::Unreadable),
        FileFaultKind::FolderUnwritable => Reason::Leave(LeaveReason::FolderUnwritable),
        FileFaultKind::Immutable => Reason::Leave(LeaveReason::Immutable),
        FileFaultKind::Sticky => Reason::Leave(LeaveReason::Sticky),
        FileFaultKind::ReadOnly
        | FileFaultKind::OtherFileSystem
        | FileFaultKind::Unsupported
        | FileFaultKind::Other => Reason::Wait(WaitReason::Unproved),
    }
}
