//! Control groups: all processes of one side, their processor time, and a limit on it.
//!
//! A group of version 2 lists and counts its processes. The limit needs the controller `cpu`, which a machine
//! has in either version 1 or version 2.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The file of version 2 with the controllers that a group hands down to those below it.
const SUBTREE_CONTROL: &str = "cgroup.subtree_control";
/// How long the processes of a group may take to end after they were killed.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// The two folders in which the groups of a measurement are made.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    /// Of version 2.
    pub(super) counting: PathBuf,
    /// Of version 1, if the controller `cpu` is there.
    pub(super) limiting: Option<PathBuf>,
}

impl Groups {
    /// Makes the folders, with this name. `None` without the permission.
    pub(super) fn create(name: &Path) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let counting = parent(&own_counting(&mounts, &own)?).join(name);
        fs::create_dir(&counting).ok()?;
        let limiting = own_limiting(&mounts, &own).map(|own| own.join(name));
        let limiting = limiting.filter(|limiting| fs::create_dir(limiting).is_ok());
        Some(Self { counting, limiting })
    }

    /// Whether a group can have a limit.
    pub(super) fn have_limits(&self) -> bool {
        self.limiting.is_some() || names_cpu(&self.counting.join("cgroup.controllers"))
    }
}

/// The group where a new one gets the controller `cpu`: this one or the nearest above it that hands the
/// controller down. Usually a service manager has seen to that at the root. Otherwise this group.
fn parent(own: &Path) -> PathBuf {
    let mut above = own
        .ancestors()
        .take_while(|group| group.join("cgroup.procs").exists());
    above
        .find(|group| names_cpu(&group.join(SUBTREE_CONTROL)))
        .unwrap_or(own)
        .to_owned()
}

fn names_cpu(list: &Path) -> bool {
    let controllers = fs::read_to_string(list);
    controllers.is_ok_and(|text| text.split_whitespace().any(|word| word == "cpu"))
}

/// This process's group of version 2. `mounts` and `own` are texts of the kernel.
fn own_counting(mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mount_where(mounts, |kind, _| kind == "cgroup2")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mount.join(own))
}

/// This process's group of version 1 with the controller `cpu`.
fn own_limiting(mounts: &str, own: &str) -> Option<PathBuf> {
    let has_cpu = |list: &str| list.split(',').any(|word| word == "cpu");
    let mount = mount_where(mounts, |kind, options| kind == "cgroup" && has_cpu(options))?;
    let own = own.lines().find_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(":/")?;
        has_cpu(controllers).then_some(group)
    })?;
    Some(mount.join(own))
}

fn mount_where(mounts: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
        is_it(kind, options).then(|| place.into())
    })
}

/// A control group. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    /// The folder of version 2 and, for a group with a limit, that of version 1.
    folders: Vec<PathBuf>,
    /// The file that handed the controller `cpu` down to the group in version 2.
    handed_down_by: Option<PathBuf>,
}

impl Group {
    pub(super) fn create(groups: &Groups, name: &str) -> Result<Self> {
        let mut group = Self {
            folders: Vec::new(),
            handed_down_by: None,
        };
        group.make(groups.counting.join(name))?;
        Ok(group)
    }

    /// A group whose processes get this part of a core, all together: not more, and also not less while
    /// others compete for it, because a device shares its processor with no other machine.
    pub(super) fn limited(groups: &Groups, name: &str, percent_of_core: u64) -> Result<Self> {
        // So short that processes are slow and do not pause. The kernel accounts in milliseconds.
        const PERIOD_MICROS: u64 = 10_000;
        let mut group = Self::create(groups, name)?;
        let quota = PERIOD_MICROS * percent_of_core / 100;
        if let Some(limiting) = &groups.limiting {
            let folder = limiting.join(name);
            group.make(folder.clone())?;
            write(&folder.join("cpu.cfs_period_us"), &PERIOD_MICROS.to_string())?;
            write(&folder.join("cpu.cfs_quota_us"), &quota.to_string())?;
            write(&folder.join("cpu.shares"), "262144")?;
        } else {
            let control = groups.counting.join(SUBTREE_CONTROL);
            write(&control, "+cpu")?;
            group.handed_down_by = Some(control);
            write(
                &group.counting().join("cpu.max"),
                &format!("{quota} {PERIOD_MICROS}"),
            )?;
            write(&group.counting().join("cpu.weight"), "10000")?;
        }
        Ok(group)
    }

    fn make(&mut self, folder: PathBuf) -> Result<()> {
        fs::create_dir(&folder).with_context(|| format!("make the control group {}", folder.display()))?;
        self.folders.push(folder);
        Ok(())
    }

    fn counting(&self) -> &Path {
        self.folders.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// The words that run the command after them in the group.
    pub(super) fn runner(&self) -> Vec<OsString> {
        const ENTER: &str = r#"for group in $0; do echo $$ >"$group/cgroup.procs" || exit; done; exec "$@""#;
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.as_os_str()).collect();
        vec!["sh".into(), "-c".into(), ENTER.into(), folders.join(" ".as_ref())]
    }

    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let file = self.counting().join("cpu.stat");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let micros: f64 = micros.context("read the processor time of a group")?.parse()?;
        Ok(micros / 1e6)
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.counting().join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    pub(super) fn kill(&self) {
        // Kernels before 5.14 do not have this file. The process group is killed as well.
        drop(fs::write(self.counting().join("cgroup.kill"), "1"));
    }

    /// Whether all processes end within the time.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while !self.processes().is_empty() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(control) = &self.handed_down_by {
            // The next table is scheduled as if there were no groups.
            drop(fs::write(control, "-cpu"));
        }
        let deadline = Instant::now() + END_DEADLINE;
        for folder in &self.folders {
            // The group no longer lists a process that is dying, but cannot be removed yet.
            while fs::remove_dir(folder).is_err() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn write(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).with_context(|| format!("write {value} to {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_groups_are_found_with_either_version() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let own = "2:cpuset:/\n1:cpu,cpuacct:/a\n0::/b/c\n";
        assert_eq!(
            own_counting(mounts, own),
            Some("/sys/fs/cgroup/unified/b/c".into())
        );
        assert_eq!(own_limiting(mounts, own), Some("/sys/fs/cgroup/cpu/a".into()));
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(own_counting(mounts, "0::/b\n"), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(own_limiting(mounts, "0::/b\n"), None);
    }

    #[test]
    fn a_new_group_is_made_where_it_gets_the_controller() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("user/session");
        fs::create_dir_all(&own).unwrap();
        for (group, controllers) in [("", "cpu memory"), ("user", "memory"), ("user/session", "")] {
            fs::write(root.path().join(group).join("cgroup.procs"), "").unwrap();
            fs::write(
                root.path().join(group).join("cgroup.subtree_control"),
                controllers,
            )
            .unwrap();
        }
        assert_eq!(parent(&own), root.path());
        fs::write(root.path().join("cgroup.subtree_control"), "cpuset").unwrap();
        assert_eq!(parent(&own), own);
    }
}
