//! Checks that every waiting file arrived unchanged and left its device.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::contents::{Shape, each_chunk};
use super::work::Recorded;

/// How many files are missing, changed or left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Not in the store.
    pub(super) missing: usize,
    /// In the store, but with other bytes.
    pub(super) changed: usize,
    /// Still on the device.
    pub(super) left: usize,
}

impl Faults {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The result of a comparison, of one device or of several.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Comparison {
    pub(super) faults: Faults,
    /// When the last file got its name in the store, since 1970.
    pub(super) last_stored: Duration,
    pub(super) bytes: u64,
}

impl std::ops::AddAssign for Comparison {
    fn add_assign(&mut self, other: Self) {
        self.faults.missing += other.faults.missing;
        self.faults.changed += other.faults.changed;
        self.faults.left += other.faults.left;
        self.last_stored = self.last_stored.max(other.last_stored);
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.missing, "missing"),
            (self.changed, "changed"),
            (self.left, "left"),
        ];
        let counted: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        formatter.write_str(&counted.join(", "))
    }
}

/// Compares the files of one device with the files gathered from it, byte by byte.
pub(super) fn compare(
    files: impl Iterator<Item = Recorded>,
    shape: Shape,
    store: &Path,
    source: &Path,
    copies_only: bool,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let faults = &mut comparison.faults;
    for file in files {
        match File::open(store.join(&file.path)) {
            Ok(stored) => {
                let named = named_at(&stored)?;
                comparison.last_stored = comparison.last_stored.max(named);
                comparison.bytes += file.size;
                faults.changed += usize::from(!is_whole(stored, &file, shape)?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => faults.missing += 1,
            Err(error) => return Err(error).with_context(|| format!("open {} in the store", file.path)),
        }
    }
    if !copies_only {
        faults.left = count_files(source)?;
    }
    Ok(comparison)
}

/// When the file was last changed in any way. The last change is its name: every tool writes under another
/// name first.
fn named_at(stored: &File) -> Result<Duration> {
    let metadata = stored.metadata()?;
    let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
    Ok(Duration::new(
        seconds.try_into().unwrap_or_default(),
        nanos.try_into().unwrap_or_default(),
    ))
}

fn is_whole(mut stored: File, file: &Recorded, shape: Shape) -> Result<bool> {
    if stored.metadata()?.len() != file.size {
        return Ok(false);
    }
    let mut read = Vec::new();
    let mut same = true;
    each_chunk(file.seed, file.size, shape, |chunk| {
        read.resize(chunk.len(), 0);
        stored.read_exact(&mut read)?;
        same &= read == chunk;
        Ok(())
    })?;
    Ok(same)
}

/// Counts everything below `folder` except folders, hidden files included.
fn count_files(folder: &Path) -> Result<usize> {
    let mut count = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => bail!("list {}: {error}", folder.display()),
            Ok(entries) => entries,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        files: Vec<Recorded>,
    }

    fn all_came() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..4)
            .map(|number| Recorded {
                path: format!("day/{number}"),
                size: 300_000 * number,
                seed: number,
            })
            .collect();
        for name in ["store/day", "source/day"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for file in &files {
            let mut bytes = Vec::new();
            each_chunk(file.seed, file.size, Shape::Random, |chunk| {
                bytes.extend_from_slice(chunk);
                Ok(())
            })
            .unwrap();
            fs::write(folder.path().join("store").join(&file.path), bytes).unwrap();
        }
        Place { folder, files }
    }

    fn faults(place: &Place, copies_only: bool) -> String {
        compared(place, copies_only).faults.to_string()
    }

    fn compared(place: &Place, copies_only: bool) -> Comparison {
        let root = place.folder.path();
        let files = place.files.iter().cloned();
        compare(
            files,
            Shape::Random,
            &root.join("store"),
            &root.join("source"),
            copies_only,
        )
        .unwrap()
    }

    #[test]
    fn a_whole_run_has_no_faults() {
        assert_eq!(faults(&all_came(), false), "");
    }

    #[test]
    fn the_last_file_is_stored_when_it_gets_its_name() {
        let place = all_came();
        let store = place.folder.path().join("store/day");
        let named = |name| named_at(&File::open(store.join(name)).unwrap()).unwrap();
        // The time of a file has the resolution of the kernel's ticks.
        while named("1") <= named("3") {
            fs::rename(store.join("1"), store.join("hidden")).unwrap();
            fs::rename(store.join("hidden"), store.join("1")).unwrap();
        }
        let compared = compared(&place, false);
        assert_eq!(compared.last_stored, named("1"));
        assert_eq!(compared.bytes, 300_000 * 6);
    }

    #[test]
    fn a_missing_a_changed_a_cut_and_a_left_file_are_found() {
        let place = all_came();
        let root = place.folder.path();
        fs::remove_file(root.join("store/day/1")).unwrap();
        let mut bytes = fs::read(root.join("store/day/2")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(root.join("store/day/2"), bytes).unwrap();
        fs::write(root.join("store/day/3"), b"cut").unwrap();
        fs::create_dir_all(root.join("source/.hidden")).unwrap();
        fs::write(root.join("source/.hidden/0"), b"").unwrap();
        assert_eq!(faults(&place, false), "1 missing, 2 changed, 1 left");
        assert_eq!(faults(&place, true), "1 missing, 2 changed");
    }
}
