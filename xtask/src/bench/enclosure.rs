//! The environment of a measurement, which leaves nothing behind however the measurement ends.
//!
//! A shell replaces this process, starts it again inside, waits, and cleans up. For root the inside is a
//! mount and a process namespace: when its first process ends, the kernel kills all others and unmounts the
//! file systems.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::getuid;

const FOLDER: &str = "GLEANER_BENCH_FOLDER";
const GROUP: &str = "GLEANER_BENCH_GROUP";

/// The folder and the control group of one measurement.
#[derive(Debug)]
pub(super) struct Enclosure {
    pub(super) folder: PathBuf,
    /// The control group (version 2) of its processes, if one can be made.
    pub(super) group: Option<PathBuf>,
    pub(super) root: bool,
}

/// A terminal's Ctrl-C ends the inside, whose processes do not receive it themselves. The control group can
/// be removed only after the last process has ended, so its removal shows when the files can go.
const KEEPER: &str = r#"
trap 'kill -KILL "$inside" 2>/dev/null' INT TERM HUP
"$@" &
inside=$!
wait "$inside"
status=$?
wait "$inside" 2>/dev/null
tries=0
while [ -d "$GLEANER_BENCH_GROUP" ] && [ "$tries" -lt 100 ]; do
    find "$GLEANER_BENCH_GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    tries=$((tries + 1))
done
rm -rf --one-file-system "$GLEANER_BENCH_FOLDER"
exit "$status"
"#;

/// The first process of a namespace must reap orphans, which a waiting shell does.
const FIRST_PROCESS: &str = r#""$@"; exit $?"#;

impl Enclosure {
    /// The environment that this process runs in, if any.
    pub(super) fn around_us() -> Option<Self> {
        Some(Self {
            folder: std::env::var_os(FOLDER).map(PathBuf::from)?,
            group: std::env::var_os(GROUP)
                .filter(|group| !group.is_empty())
                .map(PathBuf::from),
            root: getuid().is_root(),
        })
    }

    /// Starts this program again with the same arguments in a new environment, in place of this process.
    /// Returns only on an error.
    pub(super) fn enter(below: &Path) -> Result<()> {
        let folder = new_folder(below)?;
        let name = folder.file_name().unwrap_or_default();
        let group = own_group()
            .map(|own| own.join(name))
            .filter(|group| fs::create_dir(group).is_ok());
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "sh", "setpriv", "--pdeathsig", "KILL"])
            .env(FOLDER, &folder)
            .env(GROUP, group.unwrap_or_default());
        if getuid().is_root() {
            keeper
                .args(["unshare", "--mount", "--pid", "--fork", "--kill-child"])
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

/// This process's control group in the unified hierarchy.
fn own_group() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then_some(place)
    })?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new(mount).join(own))
}
