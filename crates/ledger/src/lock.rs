//! The lock that lets only one gleaner write a ledger.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use engine::ports::LedgerError;

use crate::error::{display_path, from_io};

/// Held until it is dropped. The kernel releases it when the process ends.
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the ledger at `path`, without waiting: [`LedgerError::Busy`] if another process holds the lock.
    ///
    /// Locks a file beside the ledger, named as the ledger with `.lock` appended; creates it with `mode`.
    pub(crate) fn take(path: &Path, mode: u32) -> Result<Self, LedgerError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let locking = |error: &std::io::Error| from_io(error, "lock", path);
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
            Err(TryLockError::WouldBlock) => Err(LedgerError::Busy {
                location: display_path(path),
            }),
            Err(TryLockError::Error(error)) => Err(locking(&error)),
        }
    }
}

impl Drop for Lock {
    /// Unlocks explicitly, because closing does not release the lock while a copy of the descriptor is open:
    /// flock(2) locks the open file, and a child that another thread just forked keeps it open until
    /// execve(2).
    fn drop(&mut self) {
        // On failure the kernel releases the lock when the last process with the open file ends.
        self.0.unlock().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_process_between_fork_and_exec_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let lock = Lock::take(&path, 0o640).unwrap();
        let descriptor_of_a_forked_child = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::take(&path, 0o640), Err(LedgerError::Busy { .. })));
        drop(lock);
        Lock::take(&path, 0o640).map(drop).unwrap();
        drop(descriptor_of_a_forked_child);
    }
}
