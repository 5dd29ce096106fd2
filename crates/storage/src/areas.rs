//! The staging areas of an open store: which area a file uses, and how areas are made, noted and removed.
//!
//! Each folder with an area of this collector has a note in the store's own staging, written before the area
//! is made. The next sweep finds and tidies by it what a crash leaves there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use model::names::CONTROL_FOLDER;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::disk::Disk;
use crate::fault::{is, is_gone};
use crate::files::{digest_of, open_or_make_folder, read_small_file, replace_file};
use crate::open_store::{Handles, OpenStore};
use crate::staging_area::{NotedArea, PARTIAL, SEALED, STAGING, StagingArea, from_hex, open_own, to_hex};

/// Areas held open at most, with two folders each. Beyond this number, all that no staged file uses are
/// closed.
const MAX_OPEN_AREAS: usize = 64;

/// Destination folders remembered at most. Beyond this number all are forgotten: their files may then be
/// copied once.
const MAX_FOLDERS: usize = 50_000;

/// A note older than this is written again: its age shows how long its area has been unused.
const REWRITE_AFTER: Duration = Duration::from_hours(24);

/// The folder of the notes, in the staging folder of a collector.
pub(crate) const NOTES: &[u8] = b"beside";
/// Bytes of a note that are read at most.
const MAX_NOTE_LENGTH: u64 = 64 << 10;

impl<D: Disk> OpenStore<D> {
    /// The area in which files for a destination folder are received, as [`Self::use_area`] last set it.
    pub(crate) fn area_for(&self, folder: Option<&[u8]>) -> io::Result<Arc<StagingArea<D>>> {
        let known = folder.and_then(|folder| self.areas.for_folder.lock().get(folder).cloned());
        match known {
            Some(beside) => self.area_beside(&self.handles(), &beside),
            None => Ok(Arc::clone(&self.handles().own)),
        }
    }

    /// Makes later files for that destination folder use that area.
    pub(crate) fn use_area(&self, folder: &[u8], area: &StagingArea<D>) {
        let mut for_folder = self.areas.for_folder.lock();
        let Some(beside) = &area.beside else {
            for_folder.remove(folder);
            return;
        };
        if for_folder.len() >= MAX_FOLDERS {
            for_folder.clear();
        }
        for_folder.insert(folder.to_vec(), beside.clone());
    }

    /// Closes all areas except the store's own.
    pub(crate) fn forget_areas(&self) {
        self.areas.for_folder.lock().clear();
        self.areas.open.lock().clear();
    }

    /// The area beside an existing folder, made if it is missing.
    ///
    /// The note is durable before the area is made. A crash between the two leaves a note without an area; a
    /// crash after them leaves an area that the next sweep finds by its note.
    pub(crate) fn area_beside(&self, handles: &Handles<D>, folder: &[u8]) -> io::Result<Arc<StagingArea<D>>> {
        let mut open = self.areas.open.lock();
        if let Some(area) = open.get(folder) {
            return Ok(Arc::clone(area));
        }
        self.note_area(handles, folder)?;
        let disk = &*self.disk;
        let beside = disk.open_folder(&handles.root, folder)?;
        let control = open_or_make_folder(disk, &beside, CONTROL_FOLDER)?;
        let staging = open_or_make_folder(disk, &control, STAGING)?;
        let area = StagingArea::open(disk, &staging, &self.settings, Some(folder.to_vec()))?;
        let area = Arc::new(area);
        if open.len() >= MAX_OPEN_AREAS {
            open.clear();
        }
        open.insert(folder.to_vec(), Arc::clone(&area));
        Ok(area)
    }

    /// An existing area, without renewing its note. A power cut may have removed one of its two folders,
    /// which is then made again.
    pub(crate) fn area_beside_as_noted(
        &self,
        handles: &Handles<D>,
        area: &NotedArea,
    ) -> io::Result<StagingArea<D>> {
        let disk = &*self.disk;
        let staging = self.staging_beside(handles, &area.folder)?;
        let own = open_own(disk, &staging, &self.settings)?;
        StagingArea::within(disk, &own, Some(area.folder.clone()))
    }

    /// The existing staging folder beside a folder, which all collectors share.
    pub(crate) fn staging_beside(&self, handles: &Handles<D>, folder: &[u8]) -> io::Result<D::Folder> {
        let path = [folder, b"/", CONTROL_FOLDER, b"/", STAGING].concat();
        self.disk.open_folder(&handles.root, &path)
    }

    /// The area of a sealed file and its name there; `None` if the area cannot be opened.
    pub(crate) fn sealed_at<'t>(
        &self,
        handles: &Handles<D>,
        token: &'t str,
    ) -> Option<(Arc<StagingArea<D>>, &'t str)> {
        let Some((folder, name)) = token.split_once('/') else {
            return Some((Arc::clone(&handles.own), token));
        };
        let area = self.area_beside(handles, &from_hex(folder)?).ok()?;
        Some((area, name))
    }

    /// Whether an area beside this folder is noted: its files must be received there.
    pub(crate) fn is_noted(&self, handles: &Handles<D>, folder: &[u8]) -> bool {
        let notes = self.disk.open_folder(&handles.own_folder, NOTES);
        notes.is_ok_and(|notes| self.disk.status_at(&notes, &note_name(folder)).is_ok())
    }

    fn note_area(&self, handles: &Handles<D>, folder: &[u8]) -> io::Result<()> {
        let disk = &*self.disk;
        let notes = open_or_make_folder(disk, &handles.own_folder, NOTES)?;
        let name = note_name(folder);
        let oldest = self.settings.clock.now().minus(REWRITE_AFTER);
        let text = to_hex(folder);
        let is_fresh = disk
            .status_at(&notes, &name)
            .is_ok_and(|status| status.changed >= oldest);
        // A damaged note would hide the files that a crash leaves in the area.
        let written = read_small_file(disk, &notes, &name, MAX_NOTE_LENGTH);
        if is_fresh && written.is_ok_and(|written| written.as_deref() == Some(text.as_bytes())) {
            return Ok(());
        }
        replace_file(disk, &notes, &name, &text)?;
        // The names of the staging folders are not durable otherwise.
        for folder in [&handles.own_folder, &handles.staging, &handles.control] {
            disk.flush_folder(folder)?;
        }
        Ok(())
    }

    /// Every area with a readable note in this staging folder of a collector.
    pub(crate) fn noted_areas(&self, own_folder: &D::Folder) -> io::Result<Vec<NotedArea>> {
        let disk = &*self.disk;
        let notes = match disk.open_folder(own_folder, NOTES) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut found = Vec::new();
        for entry in disk.entries(&notes)? {
            let name = entry?.name;
            // An unreadable note is written again when its area is next used.
            let text = read_small_file(disk, &notes, &name, MAX_NOTE_LENGTH).unwrap_or_default();
            let folder = text.and_then(|text| from_hex(std::str::from_utf8(&text).ok()?));
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

    /// Removes an empty area, then its note. Folders that are not empty, or that other collectors use, stay,
    /// and so does the note of an area that stays.
    pub(crate) fn remove_area(&self, handles: &Handles<D>, folder: &[u8]) {
        let disk = &*self.disk;
        let collector = self.settings.collector.as_str().as_bytes();
        let staging = [CONTROL_FOLDER, b"/", STAGING].concat();
        let own = [&staging[..], b"/", collector].concat();
        let beside = disk.open_folder(&handles.root, folder);
        if let Ok(beside) = &beside {
            // Innermost first. A folder that is not empty cannot be removed, nor can those above it.
            for (above, name) in [
                (Some(&own[..]), PARTIAL),
                (Some(&own), SEALED),
                (Some(&staging), collector),
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
        let is_gone = beside.is_err_and(|error| is_gone(&error));
        let is_removed = is_gone || self.is_area_gone(handles, folder, &own);
        if let (true, Ok(notes)) = (is_removed, disk.open_folder(&handles.own_folder, NOTES)) {
            disk.remove_file(&notes, &note_name(folder)).unwrap_or_default();
        }
    }

    fn is_area_gone(&self, handles: &Handles<D>, folder: &[u8], own: &[u8]) -> bool {
        let path = [folder, b"/", own].concat();
        let found = self.disk.open_folder(&handles.root, &path);
        found.is_err_and(|error| is(&error, Errno::NOENT))
    }
}

/// The note's name is a digest: a path may be too long for a name, or hold bytes that a file system refuses.
pub(crate) fn note_name(folder: &[u8]) -> Vec<u8> {
    digest_of(Sha256::new_with_prefix(folder)).to_hex().into_bytes()
}
