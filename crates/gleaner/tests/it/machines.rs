//! Further machines that run gleaner on the same fleet and store: each has a machine id and a ledger folder
//! of its own, at the same paths, in a mount namespace of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Fleet;
use crate::mounts::skip;
use crate::outcome::{Call, Outcome, PATH, Running};

/// Mounts the machine's own files over those of this one, then becomes gleaner.
const ENTER: &str = r#"mount --bind "$1" /etc/machine-id && mount --bind "$2" "$3" && shift 3 && exec "$@""#;

/// Another machine that runs gleaner.
#[derive(Debug)]
pub(crate) struct Machine<'f> {
    fleet: &'f Fleet,
    id: String,
    id_file: PathBuf,
    ledger_folder: PathBuf,
}

impl Fleet {
    /// Another machine, with the fleet's configuration and store, and without a ledger. `None`, after a
    /// message, where a process cannot have mounts of its own.
    pub(crate) fn machine(&self, name: &str) -> Option<Machine<'_>> {
        let machine = Machine {
            fleet: self,
            id: format!("{:0>32}", name.len()).replace('0', "e"),
            id_file: self.path(&format!("{name}.machine-id")),
            ledger_folder: self.path(&format!("{name}.ledger")),
        };
        fs::write(&machine.id_file, format!("{}\n", machine.id)).expect("writing the machine id");
        fs::create_dir(&machine.ledger_folder).expect("making the folder of the ledger");
        let probe = machine.command().arg("true").output().expect("running unshare");
        if !probe.status.success() {
            return skip(&format!("unshare: {}", String::from_utf8_lossy(&probe.stderr)));
        }
        Some(machine)
    }
}

impl Machine<'_> {
    /// Its machine id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Its ledger, as seen from outside.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.ledger_folder.join("ledger.db")
    }

    /// Runs gleaner there to its end.
    pub(crate) fn gleaner<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Outcome {
        self.call(arguments).run()
    }

    /// Starts gleaner there.
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Running {
        self.call(arguments).start()
    }

    fn call<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Call {
        let gleaner = Path::new(env!("CARGO_BIN_EXE_gleaner"));
        let path = format!("{}:{PATH}", self.fleet.path("bin").display());
        Call::new(self.fleet.root(), Path::new("unshare"))
            .env("GLEANER_CONFIG", self.fleet.path("gleaner.toml"))
            .env("PATH", path)
            .arguments(self.entering())
            .arguments([gleaner])
            .arguments(arguments)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.entering());
        command
    }

    /// The arguments of unshare(1) before the program. Each program replaces the one before, so that the
    /// process keeps its id.
    fn entering(&self) -> Vec<PathBuf> {
        let user = if rustix::process::getuid().is_root() {
            "-m"
        } else {
            "-rm"
        };
        let mut arguments: Vec<_> = [user, "sh", "-c", ENTER, "sh"].map(PathBuf::from).into();
        arguments.push(self.id_file.clone());
        arguments.push(self.ledger_folder.clone());
        arguments.push(self.fleet.path("ledger"));
        arguments
    }
}
