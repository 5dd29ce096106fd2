//! The private folder: configuration and control sockets, for as long as this process lives.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The names of private folders begin with this; eight hexadecimal digits follow.
const PREFIX: &str = "gleaner-ssh-";
/// The room for the path of a Unix socket (108 in the kernel), less the 18 bytes that ssh appends while it
/// creates one, less `/gleaner-ssh-XXXXXXXX/1234567`.
const MAX_PARENT_LENGTH: usize = 108 - 1 - 18 - 29;

/// Why nothing can be started.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The private folder cannot be created.
    #[error("create a private folder for ssh in {}", path.display())]
    Folder {
        /// The last folder that was tried.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The given configuration cannot be read.
    #[error("read the ssh configuration {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The client cannot be started.
    #[error("start {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// A device's values must not be handed to ssh.
    #[error(transparent)]
    Target(#[from] crate::TargetError),
}

/// The private folder. It is removed when this is dropped. That of a killed process is removed when the next
/// one is created.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    /// Locked for as long as this process lives. The lock tells a folder in use from one left over.
    _lock: File,
    sockets: AtomicU32,
}

impl RuntimeDir {
    /// Creates a folder in the first suitable parent.
    pub(crate) fn create(preferred: Option<&Path>) -> Result<Self, SetupError> {
        let user = rustix::process::geteuid().as_raw();
        let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let candidates = [
            preferred.map(Path::to_owned),
            session,
            Some(PathBuf::from(format!("/run/user/{user}"))),
            Some(PathBuf::from("/tmp")),
        ];
        let mut problem = None;
        for parent in candidates
            .into_iter()
            .flatten()
            .filter(|parent| is_suitable(parent))
        {
            remove_stale(&parent, user);
            match Self::create_in(&parent) {
                Ok(runtime_dir) => return Ok(runtime_dir),
                Err(cause) => problem = Some(SetupError::Folder { path: parent, cause }),
            }
        }
        Err(problem.unwrap_or_else(|| SetupError::Folder {
            path: PathBuf::from("/tmp"),
            cause: io::ErrorKind::NotFound.into(),
        }))
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let path = parent.join(format!("{PREFIX}{}", &random_hex::<4>()?));
        // Fails if the name exists, even as a symbolic link.
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::create_new(path.join("lock"))?;
        lock.lock()?;
        Ok(Self {
            path,
            _lock: lock,
            sockets: AtomicU32::new(0),
        })
    }

    /// Writes the configuration. From then on, a folder whose lock is free counts as left over.
    pub(crate) fn write_configuration(&self, text: &str) -> Result<(), SetupError> {
        let path = self.configuration();
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|cause| SetupError::Folder { path, cause })
    }

    /// The path of the configuration.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path.join("config")
    }

    /// A path for a control socket, different for each connection.
    pub(crate) fn socket(&self) -> PathBuf {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        self.path.join(number.to_string())
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove the private folder of ssh");
        }
    }
}

/// Short enough for sockets, and without characters that are special to the shell that `ProxyJump` starts.
fn is_suitable(parent: &Path) -> bool {
    let bytes = parent.as_os_str().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@:".contains(byte);
    parent.is_absolute() && parent.is_dir() && bytes.len() <= MAX_PARENT_LENGTH && bytes.iter().all(is_plain)
}

/// Removes private folders whose owner was killed.
fn remove_stale(parent: &Path, user: u32) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user);
        // A folder without a configuration is just being created, and may not be locked yet, or was never
        // finished: it stays.
        let is_left_over = is_ours
            && path.join("config").exists()
            && File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_left_over && let Err(error) = fs::remove_dir_all(&path) {
            tracing::debug!(path = %path.display(), %error, "cannot remove a left-over folder of ssh");
        }
    }
}

/// `LENGTH` bytes from the kernel's random number generator, in hexadecimal.
pub(crate) fn random_hex<const LENGTH: usize>() -> io::Result<String> {
    let mut bytes = [0; LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let runtime_dir = RuntimeDir::create(Some(parent.path())).unwrap();
        let path = runtime_dir.path.clone();
        assert!(path.starts_with(parent.path()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(runtime_dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_left_over_by_a_killed_process_goes_and_one_in_use_stays() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let [stale, being_made] =
            ["gleaner-ssh-00000000", "gleaner-ssh-00000001"].map(|name| parent.path().join(name));
        for folder in [&stale, &being_made] {
            fs::create_dir(folder).unwrap();
            File::create(folder.join("lock")).unwrap();
        }
        File::create(stale.join("config")).unwrap();
        let one = RuntimeDir::create(Some(parent.path())).unwrap();
        assert!(!stale.exists() && being_made.exists());
        let other = RuntimeDir::create(Some(parent.path())).unwrap();
        assert!(one.path.exists());
        assert_ne!(one.path, other.path);
    }

    #[test]
    fn a_parent_that_is_too_long_for_a_socket_or_odd_is_skipped() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        for name in ["with blank", "x".repeat(80).as_str()] {
            let odd = parent.path().join(name);
            fs::create_dir(&odd).unwrap();
            let runtime_dir = RuntimeDir::create(Some(&odd)).unwrap();
            assert!(!runtime_dir.path.starts_with(&odd));
            assert!(runtime_dir.socket().as_os_str().len() + 18 < 108);
        }
    }
}
