//! The artifacts of a fleet after a violation: the output of gleaner and the servers, the ledger, and the
//! files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Fleet;
use crate::outcome::Outcome;

/// A folder that outlives the fleet if there is a violation to report.
#[derive(Debug)]
pub(crate) struct Artifacts {
    pub(crate) folder: PathBuf,
}

impl Artifacts {
    pub(crate) fn new(folder: &Path) -> Self {
        drop(fs::remove_dir_all(folder));
        fs::create_dir_all(folder).expect("making a folder for artifacts");
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Prints a line, and adds it to the log.
    pub(crate) fn note(&self, line: &str) {
        println!("  {line}");
        self.append(&format!("==== {line}\n"));
    }

    /// Adds gleaner's output to the log.
    pub(crate) fn log(&self, what: &str, outcome: &Outcome) {
        let said = String::from_utf8_lossy(&outcome.stderr);
        self.append(&format!(
            "---- {what}\n{}\n---- all that it logged\n{said}\n",
            outcome.transcript()
        ));
    }

    fn append(&self, text: &str) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        log.and_then(|mut log| log.write_all(text.as_bytes()))
            .expect("writing artifacts");
    }

    /// Copies what is left of the fleet.
    pub(crate) fn keep(&self, fleet: &Fleet) {
        for name in ["store", "ledger", "gleaner.toml", "jump/log"] {
            self.copy(&fleet.path(name), name);
        }
        for device in fleet.devices() {
            self.copy(&device.folder, &format!("{}/source", device.name));
            self.copy(
                &fleet.path(&device.name).join("log"),
                &format!("{}/log", device.name),
            );
        }
    }

    fn copy(&self, from: &Path, name: &str) {
        let to = self.folder.join(name);
        drop(fs::create_dir_all(to.parent().expect("a folder")));
        drop(Command::new("cp").arg("-a").arg(from).arg(&to).status());
    }

    /// Removes the folder after a trial without a violation.
    pub(crate) fn remove(&self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
