//! A file system of its own for a folder of the fleet, which a test can fill, detach or break. It needs root.
//!
//! The file system is mounted out of sight, and a folder of it is shown at the path that gleaner uses. A disk
//! that is detached during a run therefore keeps its files, and a writer that fills the disk leaves nothing
//! in the folder itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use testbed::wait_until;

use crate::mounts::Mount;

/// The medium of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// tmpfs.
    Memory,
    /// ext4 in a file, through a loop device.
    Image,
}

#[derive(Debug)]
pub(crate) struct Disk {
    // Dropped, and so unmounted, in this order.
    shown: Option<Mount>,
    hidden: Option<Mount>,
    medium: Medium,
    at: PathBuf,
}

impl Disk {
    /// Puts an empty file system in the place of the folder. `None`, after a message, where mounting is not
    /// possible.
    pub(crate) fn at(at: &Path, medium: Medium, megabytes: u32) -> Option<Self> {
        let place = at.with_extension("disk");
        let hidden = match medium {
            Medium::Memory => Mount::tmpfs(&place, megabytes)?,
            Medium::Image => Mount::ext4(&place, megabytes)?,
        };
        let mut disk = Self {
            shown: None,
            hidden: Some(hidden),
            medium,
            at: at.to_owned(),
        };
        fs::create_dir(disk.folder()).expect("making the folder on the disk");
        disk.attach();
        Some(disk)
    }

    pub(crate) fn medium(&self) -> Medium {
        self.medium
    }

    /// Fills the disk, as another writer would. Has no effect on a read-only disk.
    pub(crate) fn fill(&self) {
        let Ok(file) = File::options().create(true).append(true).open(self.filler()) else {
            return;
        };
        // Ever smaller pieces, down to a block.
        for length in [16 << 20, 1 << 20, 64 << 10, 4 << 10] {
            let mut end = file.metadata().expect("the filler").len();
            while fallocate(&file, FallocateFlags::empty(), end, length).is_ok() {
                end += length;
            }
        }
    }

    /// Removes the file that fills the disk.
    pub(crate) fn make_room(&self) {
        drop(fs::remove_file(self.filler()));
    }

    /// Remounts the disk read-only. False if it was busy all the time: files were open for writing.
    pub(crate) fn make_read_only(&self, limit: Duration) -> bool {
        wait_until(limit, || self.mount().try_remount("ro"))
    }

    pub(crate) fn make_writable(&self) {
        self.mount().remount("rw");
    }

    /// Triggers a fault of the disk, upon which the kernel stops all writing. False if this kernel cannot
    /// trigger one.
    pub(crate) fn trigger_error(&self) -> bool {
        let device = Command::new("findmnt")
            .args(["--noheadings", "--output", "SOURCE", "--target"])
            .arg(&self.mount().at)
            .output()
            .expect("running findmnt");
        let device = String::from_utf8_lossy(&device.stdout)
            .trim()
            .replace("/dev/", "");
        self.medium == Medium::Image
            && fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "soak").is_ok()
    }

    /// Repairs the disk, as an operator does after a fault: unmounts, checks, mounts again. No process may
    /// use the disk.
    pub(crate) fn repair(&mut self) {
        self.detach();
        let mut hidden = self.hidden.take().expect("mounted");
        let free = wait_until(Duration::from_secs(10), || hidden.try_unmount());
        assert!(free, "{} is in use and cannot be checked", self.at.display());
        let place = hidden.at.clone();
        let image = place.with_extension("image");
        let image = image.to_str().expect("a plain path");
        let checked = Command::new("e2fsck")
            .args(["-fy", image])
            .output()
            .expect("running e2fsck");
        // Status 1 means that errors were corrected.
        assert!(
            matches!(checked.status.code(), Some(0 | 1)),
            "e2fsck: {}",
            String::from_utf8_lossy(&checked.stdout)
        );
        self.hidden = Mount::image(&place, image);
        self.attach();
    }

    /// Detaches the disk, as when a cable is pulled: an empty folder is left, and open handles still reach
    /// the old files.
    pub(crate) fn detach(&mut self) {
        self.shown = None;
    }

    /// Unmounts the disk regularly. False if it was busy.
    pub(crate) fn try_unmount(&mut self) -> bool {
        let gone = self.shown.as_mut().is_none_or(Mount::try_unmount);
        if gone {
            self.shown = None;
        }
        gone
    }

    /// Mounts the disk at its path, unless it is mounted.
    pub(crate) fn attach(&mut self) {
        if self.shown.is_none() {
            self.shown = Mount::bind(&self.at, &self.folder());
            assert!(self.shown.is_some(), "{} cannot be mounted", self.at.display());
        }
    }

    /// Whether an empty folder is at its path.
    pub(crate) fn is_detached(&self) -> bool {
        self.shown.is_none()
    }

    fn mount(&self) -> &Mount {
        self.hidden.as_ref().expect("mounted")
    }

    fn folder(&self) -> PathBuf {
        self.mount().at.join("shown")
    }

    fn filler(&self) -> PathBuf {
        self.mount().at.join("filler")
    }
}
