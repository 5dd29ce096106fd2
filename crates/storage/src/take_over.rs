//! Takes over the staging folders of a collector that is gone, or that may be only cut off.
//!
//! A partial file is copied, flushed, and only then removed: it is never renamed, because a collector that
//! still lives would continue to write it through its open descriptor. Only ranges that the name counts are
//! copied: they were flushed and read back, and nothing writes them again. Sealed files are removed: they are
//! published, or fetched again from the device. A collector that still lives misses its files and fetches
//! them again.
//!
//! Every step may be repeated. A crash before the removal of a file leaves both: the next call finds the copy
//! and only removes.

use std::collections::HashMap;
use std::io;

use engine::ports::StoreError;
use model::{Amount, CollectorId, Digest, escaped};
use rustix::io::Errno;

use crate::areas::{NOTES, note_name};
use crate::disk::{Access, Disk, EntryKind};
use crate::fault::is;
use crate::files::{read_range, write_all};
use crate::open_store::{Handles, OpenStore};
use crate::partial::PartialName;
use crate::staging_area::{PARTIAL, SEALED, StagingArea};
use crate::store::DirectoryStore;

/// What a collector took over from the staging folders of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Partial files that can be resumed, with the bytes that need not be fetched again.
    pub partial: Amount,
    /// Files removed without a copy: sealed ones, and partial ones without a flushed range.
    pub removed: u64,
    /// Staging folders beside folders of the store that were left. The next call finds them again.
    pub left: Vec<LeftArea>,
}

/// A staging folder beside a folder of the store that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftArea {
    /// The collector that made it.
    pub collector: CollectorId,
    /// The folder of the store, escaped.
    pub beside: String,
    /// Why: absent if the mount is away, otherwise an error of the disk.
    pub cause: String,
}

impl TakenOver {
    /// Whether there was nothing to take over.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl<D: Disk> DirectoryStore<D> {
    /// Takes over the staging folders of other collectors into this one's. See the module for what a crash
    /// leaves. An error leaves the rest for the next call.
    pub async fn take_over(&self, from: Vec<CollectorId>) -> Result<TakenOver, StoreError> {
        self.run(move |store| {
            let mut taken = TakenOver::default();
            for collector in from.iter().filter(|from| **from != store.settings.collector) {
                store.take_over(collector, &mut taken)?;
            }
            Ok(taken)
        })
        .await
    }
}

impl<D: Disk> OpenStore<D> {
    fn take_over(&self, from: &CollectorId, taken: &mut TakenOver) -> Result<(), StoreError> {
        let handles = self.handles();
        let name = from.as_str().as_bytes();
        let theirs = match self.disk.open_folder(&handles.staging, name) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(()),
            opened => opened.map_err(|error| self.take_over_fault(error))?,
        };
        let area = self.take_area(&theirs, &handles.own, taken);
        area.map_err(|error| self.take_over_fault(error))?;
        self.take_areas_beside(&handles, &theirs, from, taken)?;
        // Stays if the other collector lives and made a file meanwhile, or if areas are left: it has their
        // notes.
        self.disk
            .remove_folder(&handles.staging, name)
            .unwrap_or_default();
        Ok(())
    }

    /// Takes over each area beside a folder that the other collector noted. The note goes last: it is how the
    /// next call finds the area. An area whose file system is away, full or read-only is left.
    fn take_areas_beside(
        &self,
        handles: &Handles<D>,
        theirs: &D::Folder,
        from: &CollectorId,
        taken: &mut TakenOver,
    ) -> Result<(), StoreError> {
        let name = from.as_str().as_bytes();
        let areas = self.noted_areas(theirs);
        for area in areas.map_err(|error| self.take_over_fault(error))? {
            match self.take_area_beside(handles, &area.folder, name, taken) {
                Ok(()) => {
                    if let Ok(notes) = self.disk.open_folder(theirs, NOTES) {
                        let note = note_name(&area.folder);
                        self.disk.remove_file(&notes, &note).unwrap_or_default();
                    }
                }
                Err(error) => taken.left.push(LeftArea {
                    collector: from.clone(),
                    beside: escaped(&area.folder),
                    cause: error.to_string(),
                }),
            }
        }
        self.disk.remove_folder(theirs, NOTES).unwrap_or_default();
        Ok(())
    }

    fn take_area_beside(
        &self,
        handles: &Handles<D>,
        folder: &[u8],
        name: &[u8],
        taken: &mut TakenOver,
    ) -> io::Result<()> {
        let staging = self.staging_beside(handles, folder)?;
        // Absent if a crash came between its removal and that of its note.
        if let Some(theirs) = self.open_if_there(&staging, name)? {
            self.take_area(&theirs, &*self.area_beside(handles, folder)?, taken)?;
        }
        self.disk.remove_folder(&staging, name).unwrap_or_default();
        Ok(())
    }

    /// Takes over the files of one area, and removes its two folders.
    fn take_area(&self, theirs: &D::Folder, own: &StagingArea<D>, taken: &mut TakenOver) -> io::Result<()> {
        if let Some(partial) = self.open_if_there(theirs, PARTIAL)? {
            let mut known = self.ranges_by_key(own)?;
            for name in self.file_names(&partial)? {
                let wanted = PartialName::parse(&name).filter(|name| name.ranges > 0);
                let wanted =
                    wanted.filter(|name| known.get(&name.key).is_none_or(|known| *known < name.ranges));
                let copied = match &wanted {
                    Some(name) => self.copy_partial(&partial, name, own)?,
                    None => None,
                };
                match (copied, wanted) {
                    (Some(bytes), Some(name)) => {
                        taken.partial = taken.partial.plus(Amount::of_file(bytes));
                        known.insert(name.key, name.ranges);
                    }
                    _ => taken.removed += 1,
                }
                self.remove_if_there(&partial, &name)?;
            }
            self.disk.remove_folder(theirs, PARTIAL).unwrap_or_default();
        }
        if let Some(sealed) = self.open_if_there(theirs, SEALED)? {
            for name in self.file_names(&sealed)? {
                taken.removed += 1;
                self.remove_if_there(&sealed, &name)?;
            }
            self.disk.remove_folder(theirs, SEALED).unwrap_or_default();
        }
        Ok(())
    }

    /// Copies the counted ranges of a partial file and flushes the copy. Returns the number of bytes; `None`
    /// if the file cannot be read or is gone: its bytes are fetched again.
    ///
    /// The copy has a name that counts no range until its bytes are durable. A crash before leaves a file
    /// that the next sweep tidies.
    fn copy_partial(
        &self,
        from: &D::Folder,
        name: &PartialName,
        own: &StagingArea<D>,
    ) -> io::Result<Option<u64>> {
        let disk = &*self.disk;
        let length = name.ranges.saturating_mul(self.settings.range_length);
        let Ok(source) = disk.open_file(from, &name.to_bytes(), Access::Read) else {
            return Ok(None);
        };
        let fits = disk
            .file_status(&source)
            .is_ok_and(|status| status.kind == EntryKind::File && status.size >= length);
        if !fits {
            return Ok(None);
        }
        let token = self.new_token();
        let copy_of = |ranges| PartialName {
            key: name.key,
            ranges,
            token: token.as_str().to_owned(),
        };
        let unfinished = copy_of(0).to_bytes();
        let copy = disk.create_file(&own.partial, &unfinished)?;
        let copied = self.copy_bytes(&source, &copy, length).and_then(|is_whole| {
            if is_whole {
                disk.flush_file(&copy)?;
                disk.rename(
                    &own.partial,
                    &unfinished,
                    &own.partial,
                    &copy_of(name.ranges).to_bytes(),
                )?;
                disk.flush_folder(&own.partial)?;
            }
            Ok(is_whole)
        });
        if !matches!(copied, Ok(true)) {
            disk.remove_file(&own.partial, &unfinished).unwrap_or_default();
        }
        Ok(copied?.then_some(length))
    }

    /// Returns whether the source could be read. An error is one of the copy.
    fn copy_bytes(&self, source: &D::File, copy: &D::File, length: u64) -> io::Result<bool> {
        let disk = &*self.disk;
        let (mut written, mut done) = (Ok(()), 0);
        let read = read_range(disk, source, 0, length, |part| {
            if written.is_ok() {
                written = write_all(disk, copy, part, done);
                done += u64::try_from(part.len()).unwrap_or(u64::MAX);
            }
        });
        written?;
        Ok(read.is_ok_and(|count| count == length))
    }

    /// The most ranges of this collector's partial files of each key.
    fn ranges_by_key(&self, own: &StagingArea<D>) -> io::Result<HashMap<Digest, u64>> {
        let mut known = HashMap::new();
        for name in self.file_names(&own.partial)? {
            if let Some(name) = PartialName::parse(&name) {
                let ranges: &mut u64 = known.entry(name.key).or_default();
                *ranges = name.ranges.max(*ranges);
            }
        }
        Ok(known)
    }

    /// Collected first, because a listing may skip entries while others are removed. Bounded by the files
    /// that one process has under way.
    fn file_names(&self, folder: &D::Folder) -> io::Result<Vec<Vec<u8>>> {
        let entries = self.disk.entries(folder)?;
        entries.map(|entry| entry.map(|entry| entry.name)).collect()
    }

    fn open_if_there(&self, at: &D::Folder, name: &[u8]) -> io::Result<Option<D::Folder>> {
        match self.disk.open_folder(at, name) {
            Err(error) if is(&error, Errno::NOENT) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// The other collector may have removed it meanwhile.
    fn remove_if_there(&self, at: &D::Folder, name: &[u8]) -> io::Result<()> {
        match self.disk.remove_file(at, name) {
            Err(error) if is(&error, Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    fn take_over_fault(&self, error: io::Error) -> StoreError {
        self.label
            .fault("take over the staging folder of another collector", error)
    }
}
