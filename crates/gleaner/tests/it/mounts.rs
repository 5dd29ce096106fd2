//! Small and broken file systems for the store. They need root; without it the test reports that it is
//! skipped.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// A file system mounted for one test; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
    mounted: bool,
}

impl Mount {
    /// A file system in memory. `None`, after a message, where mounting is not possible.
    pub(crate) fn tmpfs(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).expect("making a mount point");
        let size = format!("size={megabytes}m");
        mount(&["-t", "tmpfs", "-o", &size, "gleaner-it"], at)
    }

    /// An ext4 file system in an image beside the mount point. `None`, after a message, where mounting is not
    /// possible.
    pub(crate) fn ext4(at: &Path, megabytes: u32) -> Option<Self> {
        Self::ext4_with(at, megabytes, &[])
    }

    /// An ext4 file system made by `mkfs.ext4` with further options.
    pub(crate) fn ext4_with(at: &Path, megabytes: u32, options: &[&str]) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return skip("needs root to mount");
        }
        fs::create_dir_all(at).expect("making a mount point");
        let image = at.with_extension("image");
        let file = fs::File::create(&image).expect("making an image");
        file.set_len(u64::from(megabytes) << 20)
            .expect("sizing the image");
        let image = image.to_str().expect("a plain path");
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0"])
            .args(options)
            .arg(image)
            .output()
            .expect("mkfs.ext4");
        assert!(made.status.success(), "mkfs.ext4 fails");
        Self::image(at, image)
    }

    /// An existing folder, seen through sshfs: no hard links, and no rename that refuses to replace.
    pub(crate) fn sshfs(at: &Path, folder: &Path) -> Option<Self> {
        let server = at.with_extension("server");
        fs::write(&server, "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n").expect("writing a script");
        fs::set_permissions(&server, PermissionsExt::from_mode(0o755)).expect("making it a program");
        let options = format!("ssh_command={},disable_hardlink", server.display());
        let from = format!("x:{}", folder.display());
        Self::fuse("sshfs", &["-o", &options, &from], at)
    }

    /// Several folders shown as one. Each new file goes to the one that has its folder, which is the default
    /// of mergerfs.
    pub(crate) fn union(at: &Path, folders: &[&Path]) -> Option<Self> {
        let folders: Vec<_> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        Self::fuse(
            "mergerfs",
            &["-o", "category.create=epmfs", &folders.join(":")],
            at,
        )
    }

    /// An existing folder, seen through bindfs: a name that is not text cannot be made, as on file systems
    /// that keep names as text.
    pub(crate) fn latin1(at: &Path, folder: &Path) -> Option<Self> {
        let options = "modules=iconv,from_code=ISO-8859-1,to_code=UTF-8";
        let folder = folder.to_str().expect("a plain path");
        Self::fuse("bindfs", &["-o", options, folder], at)
    }

    /// The file system of a FUSE program. `arguments` come before the mount point.
    fn fuse(program: &str, arguments: &[&str], at: &Path) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return skip("needs root to mount");
        }
        if !Path::new("/usr/bin").join(program).exists() {
            return skip(&format!("{program} is missing: apt-get install {program}"));
        }
        fs::create_dir_all(at).expect("making a mount point");
        let done = Command::new(program)
            .args(arguments)
            .arg(at)
            .output()
            .expect("running the program");
        if !done.status.success() {
            return skip(&format!("{program}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let mount = Self {
            at: at.to_owned(),
            mounted: true,
        };
        Some(mount)
    }

    /// The file system in an existing image. A fault of its disk turns it read-only, as Debian's installer
    /// configures it.
    pub(crate) fn image(at: &Path, image: &str) -> Option<Self> {
        mount(&["-o", "loop,errors=remount-ro", image], at)
    }

    /// An existing folder, bound to a second path.
    pub(crate) fn bind(at: &Path, folder: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("making a mount point");
        mount(&["--bind", folder.to_str().expect("a plain path")], at)
    }

    /// An overlay over an existing folder: writes go to another folder, as on a device that spares its card.
    pub(crate) fn overlay(at: &Path) -> Option<Self> {
        let layer = |name: &str| {
            let layer = at.with_extension(name);
            fs::create_dir_all(&layer).expect("making a layer");
            layer.to_str().expect("a plain path").to_owned()
        };
        let lower = at.to_str().expect("a plain path");
        let layers = format!(
            "lowerdir={lower},upperdir={},workdir={}",
            layer("upper"),
            layer("work")
        );
        mount(&["-t", "overlay", "-o", &layers, "gleaner-it"], at)
    }

    pub(crate) fn remount(&self, options: &str) {
        assert!(self.try_remount(options), "mount -o remount,{options} fails");
    }

    /// False if the remount is refused, as `ro` is while a file is open for writing.
    pub(crate) fn try_remount(&self, options: &str) -> bool {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.at)
            .output()
            .expect("running mount");
        done.status.success()
    }

    /// Unmounts the file system if no process uses it. False if one does.
    pub(crate) fn try_unmount(&mut self) -> bool {
        let done = Command::new("umount")
            .arg(&self.at)
            .output()
            .expect("running umount");
        self.mounted = self.mounted && !done.status.success();
        !self.mounted
    }

    /// Unmounts the file system lazily: an empty folder is left in its place.
    pub(crate) fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            let done = Command::new("umount")
                .arg("-l")
                .arg(&self.at)
                .status()
                .expect("running umount");
            assert!(
                done.success() || thread::panicking(),
                "umount {} fails",
                self.at.display()
            );
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn mount(arguments: &[&str], at: &Path) -> Option<Mount> {
    if !rustix::process::getuid().is_root() {
        return skip("needs root to mount");
    }
    let done = Command::new("mount")
        .args(arguments)
        .arg(at)
        .output()
        .expect("running mount");
    if !done.status.success() {
        return skip(&format!(
            "mount {arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        ));
    }
    Some(Mount {
        at: at.to_owned(),
        mounted: true,
    })
}

/// Reports that a test is skipped, and why.
pub(crate) fn skip<T>(reason: &str) -> Option<T> {
    let test = thread::current().name().unwrap_or_default().to_owned();
    // Written past the capture of output, which would hide the line.
    drop(writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}"));
    None
}
