//! The failures of an unusable store or ledger, each with its exit status and remedy.

use engine::ports::{LedgerError, StoreError};

use crate::exit::{ExitStatus, Failure};

/// The failure of an unusable store, with its remedy.
pub(crate) fn store_failure(error: StoreError) -> Failure {
    let remedy = store_remedy(&error);
    Failure::new(ExitStatus::StoreOrLedger, error).help(remedy)
}

/// What the operator can do about an unusable store.
pub(crate) fn store_remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::NoMarker { .. } => {
            "mount the store; if this is its first use, prepare it with `gleaner store init`"
        }
        StoreError::OtherStore { .. } => {
            "mount the right store; if it was replaced on purpose, run `gleaner store init --replace OLD_ID`"
        }
        StoreError::DamagedMarker { .. } => "restore .gleaner/store.toml from a backup of the store",
        StoreError::NotWritable { .. } => {
            "give the user that runs gleaner write permission, and check that the store is not mounted read-only"
        }
        StoreError::Full { .. } => "free space in the store, or lower `store.min_free`",
        StoreError::CannotPublish { .. } => {
            "use a file system that has hard links, or renames that refuse to replace; rclone and sshfs mounts have neither"
        }
        StoreError::OfFile { .. } => "check that file, or the mount within the store that it belongs to",
        StoreError::ReadBack { .. } => {
            "check the disk and the mount: the stored bytes differ from the bytes written"
        }
        StoreError::System { .. } => "check the disk and the mount",
        StoreError::DryRun { .. } => "report this defect of gleaner; nothing was changed",
    }
}

/// The failure of an unusable ledger, with its remedy.
pub(crate) fn ledger_failure(error: LedgerError) -> Failure {
    let status = match &error {
        LedgerError::Busy { .. } => ExitStatus::Busy,
        _ => ExitStatus::StoreOrLedger,
    };
    let remedy = ledger::remedy(&error);
    Failure::new(status, error).help(remedy)
}
