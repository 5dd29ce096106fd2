//! Small file systems for one test. They need root; without it the test reports that it is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when dropped.
pub(crate) struct Mount {
    at: PathBuf,
    mounted: bool,
}

impl Mount {
    /// `None` if mounting is not possible; reports that first.
    pub(crate) fn tmpfs(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Self {
            at: at.to_owned(),
            mounted: false,
        };
        mount.mount(megabytes).then_some(mount)
    }

    fn mount(&mut self, megabytes: u32) -> bool {
        if !rustix::process::getuid().is_root() {
            return skip("mounting needs root");
        }
        let size = format!("size={megabytes}m");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "storage-it"])
            .arg(&self.at)
            .output()
            .unwrap();
        self.mounted = done.status.success();
        self.mounted || skip(&String::from_utf8_lossy(&done.stderr))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.at)
            .status()
            .unwrap();
        assert!(done.success(), "mount -o {options} fails");
    }

    /// Unmounts the file system: an empty folder is left in its place.
    pub(crate) fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            let done = Command::new("umount").arg("-l").arg(&self.at).status().unwrap();
            assert!(done.success(), "umount fails");
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn skip(reason: &str) -> bool {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("SKIPPED: {test}: {reason}");
    false
}
