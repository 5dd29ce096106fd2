//! Staging areas: where files are received, so that from there they can get their name.
//!
//! The store's own staging serves where a link leads from there to every folder. It does not into a file
//! system that is mounted within the store, nor from one branch of a union of disks to another, nor across
//! quota projects. There a file is received beside its place, into `.gleaner/staging/<ledger>` of a folder of
//! the visible store: the outermost folder of a mount, or the very folder. Device files cannot have such a
//! name anywhere.
//!
//! Which folders have an area of this ledger is noted in the store's own staging, before the area is made: so
//! what a crash leaves there is found and tidied.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use model::names::CONTROL_FOLDER;
use model::{LedgerId, Timestamp};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::disk::Disk;
use crate::fault::is;
use crate::files::{digest_of, open_or_make_folder, read_small_file, replace_file};
use crate::shared::{Handles, PARTIAL, SEALED, STAGING, Shared};

/// The folders of one staging area, held open.
pub(crate) struct Area<D: Disk> {
    /// The folder of the visible store that it is beside; none for the store's own.
    pub(crate) beside: Option<Vec<u8>>,
    pub(crate) partial: D::Folder,
    pub(crate) sealed: D::Folder,
}

impl<D: Disk> Area<D> {
    /// Opens the area of a ledger in an open staging folder, making it where it is missing. Its names need
    /// not be durable: what is lost with them is fetched again.
    pub(crate) fn open(
        disk: &D,
        staging: &D::Folder,
        ledger: &LedgerId,
        beside: Option<Vec<u8>>,
    ) -> io::Result<Self> {
        let own = open_or_make_folder(disk, staging, ledger.as_str().as_bytes())?;
        Ok(Self {
            beside,
            partial: open_or_make_folder(disk, &own, PARTIAL)?,
            sealed: open_or_make_folder(disk, &own, SEALED)?,
        })
    }

    /// What a sealed file is called outside of this crate: its name, and which area it is in.
    pub(crate) fn token(&self, name: &str) -> String {
        match &self.beside {
            None => name.to_owned(),
            Some(folder) => format!("{}/{name}", hex(folder)),
        }
    }
}

/// The areas beside folders that this process has used.
pub(crate) struct Areas<D: Disk> {
    open: Mutex<HashMap<Vec<u8>, Arc<Area<D>>>>,
    /// For a folder of the store: the one beside which its files are received, where not in the store's own
    /// area.
    for_folder: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl<D: Disk> Default for Areas<D> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            for_folder: Mutex::default(),
        }
    }
}

/// Each holds two folders open. Beyond this many, those that no file is in are closed.
const MAX_OPEN: usize = 64;

/// Beyond this many folders, all are forgotten: their files may have to be copied once.
const MAX_FOLDERS: usize = 50_000;

/// The note of an area is written again when it is older: an area that is empty and was not used for long
/// goes.
const REWRITE_AFTER: Duration = Duration::from_hours(24);

const NOTES: &[u8] = b"beside";
const MAX_PATH: u64 = 64 << 10;

impl<D: Disk> Shared<D> {
    /// The area that a file is to be received in that is bound for a folder, as far as was foreseen.
    pub(crate) fn area_for(&self, folder: Option<&[u8]>) -> io::Result<Arc<Area<D>>> {
        let foreseen = folder.and_then(|folder| lock(&self.areas.for_folder).get(folder).cloned());
        match foreseen {
            Some(beside) => self.area_beside(&self.handles(), &beside),
            None => Ok(Arc::clone(&self.handles().own)),
        }
    }

    /// From now on, files that are bound for that folder are received in that area.
    pub(crate) fn use_area(&self, folder: &[u8], area: &Area<D>) {
        let mut for_folder = lock(&self.areas.for_folder);
        let Some(beside) = &area.beside else {
            for_folder.remove(folder);
            return;
        };
        if for_folder.len() >= MAX_FOLDERS {
            for_folder.clear();
        }
        for_folder.insert(folder.to_vec(), beside.clone());
    }

    /// Closes all areas but the store's own.
    pub(crate) fn forget_areas(&self) {
        lock(&self.areas.for_folder).clear();
        lock(&self.areas.open).clear();
    }

    /// The area beside a folder that is there, made where it is missing.
    pub(crate) fn area_beside(&self, handles: &Handles<D>, folder: &[u8]) -> io::Result<Arc<Area<D>>> {
        let mut open = lock(&self.areas.open);
        if let Some(area) = open.get(folder) {
            return Ok(Arc::clone(area));
        }
        self.note_area(handles, folder)?;
        let disk = &*self.disk;
        let beside = disk.open_folder(&handles.root, folder)?;
        let control = open_or_make_folder(disk, &beside, CONTROL_FOLDER)?;
        let staging = open_or_make_folder(disk, &control, STAGING)?;
        let area = Area::open(disk, &staging, &self.settings.ledger, Some(folder.to_vec()))?;
        let area = Arc::new(area);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(folder.to_vec(), Arc::clone(&area));
        Ok(area)
    }

    /// An area that is there, without noting its use. A power cut may have taken one of its two folders.
    pub(crate) fn area_beside_as_noted(&self, handles: &Handles<D>, area: &NotedArea) -> io::Result<Area<D>> {
        let ledger = self.settings.ledger.as_str().as_bytes();
        let own = [
            &area.folder[..],
            b"/",
            CONTROL_FOLDER,
            b"/",
            STAGING,
            b"/",
            ledger,
        ]
        .concat();
        let own = self.disk.open_folder(&handles.root, &own)?;
        Ok(Area {
            beside: Some(area.folder.clone()),
            partial: open_or_make_folder(&*self.disk, &own, PARTIAL)?,
            sealed: open_or_make_folder(&*self.disk, &own, SEALED)?,
        })
    }

    /// Where a sealed file is, and its name there; `None` if its area is gone.
    pub(crate) fn sealed_at<'t>(
        &self,
        handles: &Handles<D>,
        token: &'t str,
    ) -> Option<(Arc<Area<D>>, &'t str)> {
        let Some((folder, name)) = token.split_once('/') else {
            return Some((Arc::clone(&handles.own), token));
        };
        let area = self.area_beside(handles, &unhex(folder)?).ok()?;
        Some((area, name))
    }

    /// Whether an earlier process found that the files of this folder must be received beside it.
    pub(crate) fn is_noted(&self, handles: &Handles<D>, folder: &[u8]) -> bool {
        let notes = self.disk.open_folder(&handles.own_folder, NOTES);
        notes.is_ok_and(|notes| self.disk.status_at(&notes, &note_name(folder)).is_ok())
    }

    fn note_area(&self, handles: &Handles<D>, folder: &[u8]) -> io::Result<()> {
        let disk = &*self.disk;
        let notes = open_or_make_folder(disk, &handles.own_folder, NOTES)?;
        let name = note_name(folder);
        let oldest = self.settings.clock.now().minus(REWRITE_AFTER);
        // Paths are bytes, and the note is text.
        let text = hex(folder);
        let is_fresh = disk
            .status_at(&notes, &name)
            .is_ok_and(|status| status.changed >= oldest);
        // One that a disk has spoiled would hide what a crash leaves in the area.
        let written = read_small_file(disk, &notes, &name, MAX_PATH);
        if is_fresh && written.is_ok_and(|written| written.as_deref() == Some(text.as_bytes())) {
            return Ok(());
        }
        replace_file(disk, &notes, &name, &text)?;
        // The names of the staging folders are not durable by themselves.
        for folder in [&handles.own_folder, &handles.staging, &handles.control] {
            disk.flush_folder(folder)?;
        }
        Ok(())
    }

    /// Every area beside a folder that is noted and still there, with the time of its note.
    pub(crate) fn noted_areas(&self, handles: &Handles<D>) -> io::Result<Vec<NotedArea>> {
        let disk = &*self.disk;
        let notes = match disk.open_folder(&handles.own_folder, NOTES) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut found = Vec::new();
        for entry in disk.entries(&notes)? {
            let name = entry?.name;
            // One that cannot be read is written again when its area is used again.
            let text = read_small_file(disk, &notes, &name, MAX_PATH).unwrap_or_default();
            let folder = text.and_then(|text| unhex(std::str::from_utf8(&text).ok()?));
            let status = disk.status_at(&notes, &name);
            if let (Some(folder), Ok(status)) = (folder, status) {
                found.push(NotedArea {
                    folder,
                    noted: status.changed,
                });
            }
        }
        Ok(found)
    }

    /// Removes an area that is empty, with its note. Folders that somebody else uses, or that hold anything,
    /// stay.
    pub(crate) fn remove_area(&self, handles: &Handles<D>, folder: &[u8]) {
        let disk = &*self.disk;
        let ledger = self.settings.ledger.as_str().as_bytes();
        let staging = [CONTROL_FOLDER, b"/", STAGING].concat();
        let own = [&staging[..], b"/", ledger].concat();
        let beside = disk.open_folder(&handles.root, folder);
        if let Ok(beside) = &beside {
            // Innermost first. One that is not empty refuses, and so do those above it.
            for (above, name) in [
                (Some(&own[..]), PARTIAL),
                (Some(&own), SEALED),
                (Some(&staging), ledger),
                (Some(CONTROL_FOLDER), STAGING),
                (None, CONTROL_FOLDER),
            ] {
                match above.map(|above| disk.open_folder(beside, above)) {
                    None => disk.remove_folder(beside, name).unwrap_or_default(),
                    Some(Ok(above)) => disk.remove_folder(&above, name).unwrap_or_default(),
                    Some(Err(_)) => {}
                }
            }
        }
        let is_gone = beside.is_err_and(|error| crate::folders::is_gone(&error));
        let is_removed = is_gone || self.area_is_gone(handles, folder, &own);
        if let (true, Ok(notes)) = (is_removed, disk.open_folder(&handles.own_folder, NOTES)) {
            disk.remove_file(&notes, &note_name(folder)).unwrap_or_default();
        }
    }

    fn area_is_gone(&self, handles: &Handles<D>, folder: &[u8], own: &[u8]) -> bool {
        let path = [folder, b"/", own].concat();
        let found = self.disk.open_folder(&handles.root, &path);
        found.is_err_and(|error| is(&error, Errno::NOENT))
    }
}

/// An area beside a folder, as noted.
#[derive(Debug)]
pub(crate) struct NotedArea {
    pub(crate) folder: Vec<u8>,
    pub(crate) noted: Timestamp,
}

/// A path may be too long for a name, and hold what a file system does not take.
fn note_name(folder: &[u8]) -> Vec<u8> {
    digest_of(Sha256::new_with_prefix(folder)).to_hex().into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_was_noted_whatever_bytes_it_has() {
        for path in [&b"raspberry1"[..], b"a/\xff\n/..", b""] {
            assert_eq!(unhex(&hex(path)).as_deref(), Some(path));
        }
        assert_eq!(unhex("0g"), None);
    }
}
