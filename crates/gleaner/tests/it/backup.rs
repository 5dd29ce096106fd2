//! Loses, copies and restores the ledger, as operators and their backups do while no gleaner runs.

use std::fs;
use std::path::Path;

use crate::context::Fleet;

impl Fleet {
    /// Removes the ledger and the files that belong to it. The folder stays: it may be a file system of its
    /// own.
    pub(crate) fn lose_ledger(&self) {
        for entry in fs::read_dir(self.path("ledger")).expect("the folder").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(entry.path()).expect("removing a part of the ledger");
            }
        }
    }

    /// Copies the ledger and the files that belong to it.
    pub(crate) fn copy_ledger_to(&self, folder: &Path) {
        // The log of an older copy would not belong to this ledger.
        drop(fs::remove_dir_all(folder));
        copy(&self.path("ledger"), folder);
    }

    /// Replaces the ledger by a copy of any age and origin.
    pub(crate) fn restore_ledger_from(&self, folder: &Path) {
        self.lose_ledger();
        copy(folder, &self.path("ledger"));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("making a folder");
    for entry in fs::read_dir(from).expect("the folder").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copying a part of the ledger");
        }
    }
}
