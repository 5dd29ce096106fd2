//! The environment of a measurement, which leaves nothing behind however the measurement ends.
//!
//! A shell replaces this process, starts it again inside, waits, and cleans up. For root the inside is a
//! mount, a process and a network namespace: when its first process ends, the kernel kills all others and
//! removes the mounts and the network.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::getuid;

use super::groups::Groups;

const FOLDER: &str = "GLEANER_BENCH_FOLDER";
const COUNTING: &str = "GLEANER_BENCH_COUNTING_GROUP";
const LIMITING: &str = "GLEANER_BENCH_LIMITING_GROUP";

/// The folder and the control groups of one measurement.
#[derive(Debug)]
pub(super) struct Enclosure {
    pub(super) folder: PathBuf,
    /// Where the groups of its processes are made, if that is possible.
    pub(super) groups: Option<Groups>,
    pub(super) root: bool,
}

/// A terminal's Ctrl-C ends the inside, whose processes do not receive it themselves.
const KEEPER: &str = r#"
trap 'kill -KILL "$inside" 2>/dev/null' INT TERM HUP
mkfifo "$GLEANER_BENCH_FOLDER/alive" || exit
setsid sh -c "$0" &
cleaner=$!
exec 9>"$GLEANER_BENCH_FOLDER/alive"
"$@" &
inside=$!
wait "$inside"
status=$?
wait "$inside" 2>/dev/null
exec 9>&-
wait "$cleaner"
exit "$status"
"#;

/// Runs in a session of its own, so that it also cleans up after a keeper that was killed. Reading ends when
/// the keeper and the last process inside have ended. Control groups can be removed only then, and their
/// removal shows when the files can go.
const CLEANER: &str = r#"
cat "$GLEANER_BENCH_FOLDER/alive" >/dev/null
tries=0
for group in "$GLEANER_BENCH_COUNTING_GROUP" "$GLEANER_BENCH_LIMITING_GROUP"; do
    while [ -d "$group" ] && [ "$tries" -lt 100 ]; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
        tries=$((tries + 1))
    done
done
rm -rf --one-file-system "$GLEANER_BENCH_FOLDER"
"#;

/// The first process of a namespace must reap orphans, which a waiting shell does. In a new network namespace
/// even loopback is down.
const FIRST_PROCESS: &str = r#"ip link set lo up && "$@"; exit $?"#;

impl Enclosure {
    /// The environment that this process runs in, if any.
    pub(super) fn around_us() -> Option<Self> {
        let path = |name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        Some(Self {
            folder: path(FOLDER)?,
            groups: path(COUNTING).map(|counting| Groups {
                counting,
                limiting: path(LIMITING),
            }),
            root: getuid().is_root(),
        })
    }

    /// Starts this program again with the same arguments in a new environment, in place of this process.
    /// Returns only on an error.
    pub(super) fn enter(below: &Path) -> Result<()> {
        let folder = new_folder(below)?;
        let groups = Groups::create(Path::new(folder.file_name().unwrap_or_default()));
        let limiting = groups.as_ref().and_then(|groups| groups.limiting.clone());
        let counting = groups.map(|groups| groups.counting);
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, CLEANER, "setpriv", "--pdeathsig", "KILL"])
            .env(FOLDER, &folder)
            .env(COUNTING, counting.unwrap_or_default())
            .env(LIMITING, limiting.unwrap_or_default());
        if getuid().is_root() {
            keeper
                .args(["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"])
                .args(["--mount-proc", "sh", "-c", FIRST_PROCESS, "sh"]);
        }
        keeper
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1));
        Err(keeper.exec()).context("replace this process by a shell")
    }
}

/// Makes a new folder. Its name is short, because it will contain sockets, whose paths have a limit.
fn new_folder(below: &Path) -> Result<PathBuf> {
    let harmless = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if !below.is_absolute() || !below.to_string_lossy().chars().all(harmless) {
        bail!(
            "{}: the folder must be absolute and consist of letters, digits, `.`, `_` and `-`, because shell commands contain it",
            below.display()
        );
    }
    let folder = tempfile::Builder::new()
        .prefix("gleaner-bench-")
        .tempdir_in(below);
    let folder = folder.with_context(|| format!("make a folder in {}", below.display()))?;
    // The shell that is about to replace this process removes the folder.
    Ok(folder.keep())
}
