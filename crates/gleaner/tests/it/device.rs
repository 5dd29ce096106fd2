//! One device of a fleet: its server, its link, its card.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use testbed::{KeyPair, Session, Settings, Sshd, Tap};

use crate::recording::{self, Digest, Manifest};

/// The folder that cameras write to, on every device.
const SOURCE: &str = "beephotos";

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    session: Session,
    pub(crate) server: Sshd,
    tap: Mutex<Option<Tap>>,
    /// The path of the source folder in gleaner's configuration.
    pub(crate) source: String,
    /// The real path of that folder.
    pub(crate) folder: PathBuf,
    manifest: Arc<Manifest>,
    /// The root of the session. sshd accepts it only below folders that no other user may write.
    _chroot: Option<TempDir>,
}

impl Device {
    pub(crate) fn start(root: &Path, name: &str, session: Session, manifest: &Arc<Manifest>) -> Self {
        let chroot = (session == Session::Chroot).then(|| {
            tempfile::Builder::new()
                .prefix("gl-")
                .tempdir_in("/var/lib")
                .expect("a folder for the chroot")
        });
        let card = chroot
            .as_ref()
            .map_or_else(|| root.join(name).join("card"), |chroot| chroot.path().to_owned());
        let folder = card.join(SOURCE);
        fs::create_dir_all(&folder).expect("making the source folder");
        if chroot.is_some() {
            // A temporary folder is closed to other users, and the server's session may not be its owner.
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&card, open).expect("opening the chroot");
        }
        let (source, lines) = match session {
            Session::Chroot => (
                format!("/{SOURCE}"),
                format!("ChrootDirectory {}", card.display()),
            ),
            _ => (folder.to_str().expect("a plain path").to_owned(), String::new()),
        };
        let server = serve(root, name, session, lines);
        let device = Self {
            name: name.to_owned(),
            session,
            server,
            tap: Mutex::new(None),
            source,
            folder,
            manifest: Arc::clone(manifest),
            _chroot: chroot,
        };
        device.hand_over(&device.folder);
        device
    }

    /// Whether the device has all that it should have: a shell, GNU tools, a view of open files.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.session == Session::Gnu
    }

    /// The port that the jump host connects to.
    pub(crate) fn port(&self) -> u16 {
        self.tap().as_ref().map_or_else(|| self.server.port(), Tap::port)
    }

    pub(crate) fn tap(&self) -> MutexGuard<'_, Option<Tap>> {
        self.tap.lock().expect("lock")
    }

    /// Acts on the link to this device. `Fleet::tap` must have made one.
    pub(crate) fn link<R>(&self, act: impl FnOnce(&Tap) -> R) -> R {
        act(self.tap().as_ref().expect("a tap"))
    }

    /// Records a finished file, modified a minute ago. gleaner must account for it from now on.
    pub(crate) fn record(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        let path = path.as_ref();
        self.write(path, content.as_ref());
        self.manifest
            .add(&self.name, path, recording::digest(content.as_ref()));
        self
    }

    /// Records many finished files of the same size, each with content of its own.
    pub(crate) fn record_many(&self, folder: &str, count: usize, size: usize) -> &Self {
        for number in 0..count {
            let path = Path::new(folder).join(format!("img_{number:05}.jpg"));
            let seed = format!("{} {}", self.name, path.display());
            self.record(path, recording::content(&seed, size));
        }
        self
    }

    /// Writes a file, modified a minute ago, that no promise covers, such as one that will be overwritten.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> &Self {
        let full = self.folder.join(path);
        fs::create_dir_all(full.parent().expect("a parent")).expect("making folders on the device");
        fs::write(&full, content).expect("writing on the device");
        backdate(&full, a_minute_ago());
        for made in full.ancestors().take_while(|made| *made != self.folder) {
            self.hand_over(made);
        }
        self
    }

    /// Gives a file or folder to the user that an unprivileged device logs in as.
    fn hand_over(&self, path: &Path) {
        if self.session == Session::Unprivileged && rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).expect("giving to nobody");
        }
    }

    /// Adds an existing file of the device to the manifest as finished.
    pub(crate) fn count_as_recorded(&self, path: impl AsRef<Path>) -> &Self {
        let path = path.as_ref();
        let digest = recording::digest_of(&self.folder.join(path)).expect("reading on the device");
        self.manifest.add(&self.name, path, digest);
        self
    }

    /// Adds content to the manifest that gleaner has taken from this path, and must account for.
    pub(crate) fn record_taken(&self, path: impl AsRef<Path>, content: &[u8]) {
        self.manifest
            .add(&self.name, path.as_ref(), recording::digest(content));
    }

    pub(crate) fn set_modified(&self, path: impl AsRef<Path>, time: SystemTime) -> &Self {
        backdate(&self.folder.join(path), time);
        self
    }

    /// All regular files in the source, in place or withdrawn, by the path they had in place.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<Digest>> {
        let mut files: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, digest) in recording::files_below(&self.folder) {
            files.entry(recording::original(&path)).or_default().push(digest);
        }
        files
    }

    /// The current paths of all regular files in the source.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let files = recording::regular_files(&self.folder);
        let mut paths: Vec<PathBuf> = files
            .iter()
            .map(|path| path.strip_prefix(&self.folder).expect("below").to_owned())
            .collect();
        paths.sort();
        paths
    }

    pub(crate) fn is_empty(&self) -> bool {
        recording::regular_files(&self.folder).is_empty()
    }

    /// The time when any file of the source was last changed (ctime).
    pub(crate) fn last_touched(&self) -> Option<SystemTime> {
        let newest = recording::regular_files(&self.folder)
            .iter()
            .filter_map(|path| fs::symlink_metadata(path).ok())
            .map(|metadata| (metadata.ctime(), metadata.ctime_nsec()))
            .max()?;
        let seconds = Duration::from_secs(newest.0.try_into().ok()?);
        Some(SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(newest.1.try_into().ok()?))
    }
}

/// Starts the server of a device or, as `jump`, that of the jump host.
pub(crate) fn serve(root: &Path, name: &str, session: Session, lines: String) -> Sshd {
    Sshd::start(Settings {
        folder: root.join(name),
        session,
        lines,
        runner: Vec::new(),
        host_key: key(name),
        client_key: key("client"),
    })
}

/// A key pair that all tests share.
pub(crate) fn key(name: &str) -> KeyPair {
    KeyPair::kept_in(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys"), name)
}

/// A time long enough ago to be settled, and after the machine's start: gleaner rightly distrusts earlier
/// times.
pub(crate) fn a_minute_ago() -> SystemTime {
    let uptime = fs::read_to_string("/proc/uptime").expect("/proc/uptime");
    let uptime: f64 = uptime
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .expect("an uptime");
    SystemTime::now() - Duration::from_mins(1).min(Duration::from_secs_f64(uptime / 2.0))
}

pub(crate) fn backdate(file: &Path, time: SystemTime) {
    let file = File::options()
        .write(true)
        .open(file)
        .expect("opening to set the time");
    file.set_modified(time).expect("setting the time");
}
