//! What devices record: contents, digests, and the manifest of all that must not be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest in hexadecimal.
pub(crate) type Digest = String;

/// The folder in a source for the files that gleaner has withdrawn.
pub(crate) const WITHDRAWN: &str = ".gleaner-withdrawn";

/// Every content that was ever finished on a device, or was in the store before gleaner.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    recorded: Mutex<BTreeMap<(String, PathBuf), BTreeSet<Digest>>>,
    allowed: Mutex<BTreeSet<Digest>>,
}

/// A file that was finished on a device, or was in the store before gleaner.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) device: String,
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
}

impl Manifest {
    /// Adds content that was finished under this path of the device.
    pub(crate) fn add(&self, device: &str, path: &Path, digest: Digest) {
        let key = (device.to_owned(), path.to_owned());
        self.recorded
            .lock()
            .expect("lock")
            .entry(key)
            .or_default()
            .insert(digest);
    }

    /// Removes content again that did not get this path after all.
    pub(crate) fn forget(&self, device: &str, path: &Path, digest: &Digest) {
        let mut recorded = self.recorded.lock().expect("lock");
        if let Some(digests) = recorded.get_mut(&(device.to_owned(), path.to_owned())) {
            digests.remove(digest);
        }
    }

    /// Permits content in the store that need not be anywhere: its writer may have destroyed it.
    pub(crate) fn allow(&self, digest: Digest) {
        self.allowed.lock().expect("lock").insert(digest);
    }

    /// Every content that may be visible in the store.
    pub(crate) fn admissible(&self) -> BTreeSet<Digest> {
        let recorded = self.recorded.lock().expect("lock");
        let mut digests: BTreeSet<Digest> = recorded.values().flatten().cloned().collect();
        digests.extend(self.allowed.lock().expect("lock").iter().cloned());
        digests
    }

    /// Every recorded file.
    pub(crate) fn all(&self) -> Vec<Recorded> {
        let recorded = self.recorded.lock().expect("lock");
        let each = recorded.iter().flat_map(|((device, path), digests)| {
            digests.iter().map(|digest| Recorded {
                device: device.clone(),
                path: path.clone(),
                digest: digest.clone(),
            })
        });
        each.collect()
    }

    /// The number of files with different paths or contents.
    pub(crate) fn len(&self) -> usize {
        self.recorded
            .lock()
            .expect("lock")
            .values()
            .map(BTreeSet::len)
            .sum()
    }
}

/// The digest of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    hexadecimal(&Sha256::digest(bytes))
}

/// The digest of a file, read piece by piece.
pub(crate) fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> Digest {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

/// Pseudo-random bytes that depend only on the seed; incompressible like pictures.
pub(crate) fn content(seed: &str, length: usize) -> Vec<u8> {
    let start: [u8; 32] = Sha256::digest(seed.as_bytes()).into();
    let mut state = u64::from_le_bytes(start[..8].try_into().expect("8 bytes")) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// All regular files below a folder by their relative path, with their digests. Links are not followed.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    for path in regular_files(folder) {
        // While gleaner runs, a file may vanish between the listing and here.
        if let Ok(digest) = digest_of(&path) {
            found.insert(
                path.strip_prefix(folder).expect("below the folder").to_owned(),
                digest,
            );
        }
    }
    found
}

/// The paths of all regular files below a folder. Links are not followed.
pub(crate) fn regular_files(folder: &Path) -> Vec<PathBuf> {
    walk(folder).0
}

/// The paths of all folders below a folder.
pub(crate) fn folders_below(folder: &Path) -> Vec<PathBuf> {
    walk(folder).1
}

/// Regular files and folders.
fn walk(top: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut to_read = vec![top.to_owned()];
    while let Some(folder) = to_read.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    to_read.push(entry.path());
                    folders.push(entry.path());
                }
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    (files, folders)
}

/// The path of a file before it was withdrawn. A file in its place keeps its path.
pub(crate) fn original(path: &Path) -> PathBuf {
    let parts: Vec<_> = path.components().collect();
    let withdrawn = parts.iter().position(|part| part.as_os_str() == WITHDRAWN);
    match withdrawn {
        // <folder>/.gleaner-withdrawn/<ledger id>/<batch>/<original path>
        Some(position) if parts.len() > position + 3 => {
            parts[..position].iter().chain(&parts[position + 3..]).collect()
        }
        _ => path.to_owned(),
    }
}

/// A path made of any bytes.
pub(crate) fn path(bytes: impl Into<Vec<u8>>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.into()))
}

/// A path, escaped for display.
pub(crate) fn shown(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}
