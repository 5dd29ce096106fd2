//! What the measurement runs in, so that nothing of it is left however it ends.
//!
//! A shell takes our place, starts us anew inside, waits, and clears away. For root the inside is a mount and
//! a process namespace: when its first process goes, the kernel ends all others and takes the mounts down.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::getuid;

const FOLDER: &str = "GLEANER_BENCH_FOLDER";
const GROUP: &str = "GLEANER_BENCH_GROUP";

/// Where one measurement has its files and its processes.
#[derive(Debug)]
pub(super) struct Enclosure {
    pub(super) folder: PathBuf,
    /// Control group (version 2) for its processes, where one can be made.
    pub(super) group: Option<PathBuf>,
    pub(super) root: bool,
}

/// A terminal's Ctrl-C ends the inside, whose processes do not hear it themselves. The control group can go
/// when the last process has gone, so it tells when the files can.
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

/// The first process of a namespace has to see to the orphans; a shell that waits does.
const FIRST_PROCESS: &str = r#""$@"; exit $?"#;

impl Enclosure {
    /// The one that we are in, if we are.
    pub(super) fn around_us() -> Option<Self> {
        Some(Self {
            folder: std::env::var_os(FOLDER).map(PathBuf::from)?,
            group: std::env::var_os(GROUP)
                .filter(|group| !group.is_empty())
                .map(PathBuf::from),
            root: getuid().is_root(),
        })
    }

    /// Starts this program with the same arguments inside a new one, in our place. Comes back with an error
    /// only.
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
        Err(keeper.exec()).context("start a shell in our place")
    }
}

/// A folder of its own. Its name stays short, because there are sockets in it.
fn new_folder(below: &Path) -> Result<PathBuf> {
    let harmless = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if !below.is_absolute() || !below.to_string_lossy().chars().all(harmless) {
        bail!(
            "{}: the folder must be absolute and of letters, digits, `.`, `_` and `-` only, because shell lines name it",
            below.display()
        );
    }
    let folder = tempfile::Builder::new()
        .prefix("gleaner-bench-")
        .tempdir_in(below);
    let folder = folder.with_context(|| format!("make a folder in {}", below.display()))?;
    // The shell that is about to take our place removes it.
    Ok(folder.keep())
}

/// Our own control group, by the unified hierarchy.
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
