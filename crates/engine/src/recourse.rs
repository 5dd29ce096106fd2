//! What ends a pass, and what follows from it.

use model::FailureClass;

use crate::ports::{DeviceFailure, LedgerError, PassOutcome, StoreError};

/// Why a pass ended before its end. Faults of single files are none of these: they go to the record of what is left.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The device failed: the others go on, and the next pass tries it again.
    #[error(transparent)]
    Device(#[from] DeviceFailure),
    /// A listing had no end: what it had named was gathered, and other sources go on.
    #[error(transparent)]
    Endless(DeviceFailure),
    /// The store failed: the sweep ends.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger failed: the sweep ends.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl PassError {
    /// Whether the whole sweep must end, since no device could be served any more.
    pub const fn ends_sweep(&self) -> bool {
        !matches!(self, Self::Device(_) | Self::Endless(_))
    }

    /// As the ledger and the reports take it, causes included.
    pub fn into_outcome(self) -> PassOutcome {
        match self {
            Self::Device(failure) | Self::Endless(failure) => PassOutcome::Failed {
                class: failure.class,
                message: failure.message,
                remedy: failure.remedy,
            },
            Self::Store(error) => PassOutcome::CollectorFailed {
                message: error_chain(&error),
            },
            Self::Ledger(error) => PassOutcome::CollectorFailed {
                message: error_chain(&error),
            },
            Self::Interrupted => PassOutcome::Interrupted,
        }
    }
}

/// Whether a session goes on after such a failure: another source may be well.
pub(crate) const fn concerns_source_only(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::SourceMissing | FailureClass::SameDevice | FailureClass::Permission
    )
}

/// An error and its causes on one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
