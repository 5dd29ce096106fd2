//! What ends a pass early, and what follows from it.

use model::FailureClass;

use crate::ports::{DeviceFailure, LedgerError, PassOutcome, StoreError};

/// Why a pass ended early. Faults of single files are not among these: such files remain, with a reason.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The device failed. Other devices continue, and the next pass tries it again.
    #[error(transparent)]
    Device(#[from] DeviceFailure),
    /// A listing had no end. The files that it listed were gathered, and other sources continue.
    #[error(transparent)]
    Endless(DeviceFailure),
    /// The store failed: the sweep ends.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger failed: the sweep ends.
    #[error(transparent)]
    Ledger(LedgerError),
    /// A later pass over the device has begun elsewhere: this one ends, and other devices continue.
    #[error("{message}")]
    TakenOver {
        /// What happened.
        message: String,
    },
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted,
}

impl From<LedgerError> for PassError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::LeaseLost { .. } => Self::TakenOver {
                message: error_chain(&error),
            },
            error => Self::Ledger(error),
        }
    }
}

impl PassError {
    /// The form that the ledger and the reports take, with all causes.
    pub fn into_outcome(self) -> PassOutcome {
        match self {
            Self::Device(failure) | Self::Endless(failure) => PassOutcome::Failed {
                class: failure.class,
                message: failure.text(),
                remedy: failure.remedy,
            },
            Self::Store(error) => PassOutcome::CollectorFailed {
                message: error_chain(&error),
            },
            Self::Ledger(error) => PassOutcome::CollectorFailed {
                message: error_chain(&error),
            },
            Self::TakenOver { message } => PassOutcome::Failed {
                class: FailureClass::TakenOver,
                message,
                remedy: None,
            },
            Self::Interrupted => PassOutcome::Interrupted,
        }
    }
}

/// Whether a session continues after such a failure with its other sources.
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
