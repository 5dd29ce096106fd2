//! The lock that keeps a second gleaner away from a ledger.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use engine::ports::LedgerError;

use crate::fault::{refused, shown};

/// Held until it is dropped, or until the end of the process: the kernel releases it.
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock of the ledger at `path`: that of a file beside it, which is made with `mode` where there is none.
    pub(crate) fn take(path: &Path, mode: u32) -> Result<Self, LedgerError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let locking = |error: &std::io::Error| refused(error, "lock", path);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .open(name)
            .map_err(|error| locking(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Busy { path: shown(path) }),
            Err(TryLockError::Error(error)) => Err(locking(&error)),
        }
    }
}

impl Drop for Lock {
    /// Closing is not enough: flock(2) belongs to the open file, and a child process that another thread has just forked has it
    /// open, too, until it calls execve(2). Unlocking lets go of it whoever else has it open.
    fn drop(&mut self) {
        // What cannot be unlocked is released with the last process that has it open.
        self.0.unlock().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_is_just_being_started_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let lock = Lock::take(&path, 0o640).unwrap();
        let as_a_forked_child_has_it = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::take(&path, 0o640), Err(LedgerError::Busy { .. })));
        drop(lock);
        Lock::take(&path, 0o640).map(drop).unwrap();
        drop(as_a_forked_child_has_it);
    }
}
