//! Clearing the own staging, and counting what others have left in theirs.

use std::io;
use std::time::Duration;

use engine::ports::{SealedFile, StoreError};
use model::Timestamp;
use rustix::io::Errno;

use crate::disk::{Disk, EntryKind};
use crate::fault::is;
use crate::open_store::OpenStore;
use crate::partial::PartialName;
use crate::staging_area::{PARTIAL, SEALED, StagingArea};

/// A foreign file in staging is worth a word once it is older than this: no gleaner leaves one that long unless it is gone.
const FOREIGN_AFTER: Duration = Duration::from_hours(7 * 24);

impl<D: Disk> OpenStore<D> {
    /// Unlinks sealed names. A crash before leaves them to be tidied; published names are not touched.
    pub(crate) fn retire(&self, sealed: &[SealedFile]) -> Result<(), StoreError> {
        let handles = self.handles();
        for file in sealed {
            // Where the file system is gone that it was in, tidying finds it when it is back.
            let Some((area, name)) = self.sealed_at(&handles, &file.token) else {
                continue;
            };
            match self.with_naming_lock(|| self.disk.remove_file(&area.sealed, name.as_bytes())) {
                // Renamed instead of linked.
                Err(error) if is(&error, Errno::NOENT) => {}
                removed => removed
                    .map_err(|error| self.label.fault(format!("remove the sealed file {name}"), error))?,
            }
        }
        Ok(())
    }

    /// Removes sealed files of earlier processes, and partial files that are too old to be worth resuming or
    /// that nobody can resume; never one that is being received. Of this process's sealed files, which may be
    /// about to be published, only what is that old. Ages go by the time that nobody can set. StagingAreas beside
    /// folders that were not used for as long, and are empty, go.
    pub(crate) fn tidy_staging(&self, keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        let handles = self.handles();
        self.tidy_area(&handles.own, keep_partial_since)?;
        let noted = self.noted_areas(&handles);
        let noted = noted.map_err(|error| self.label.fault("look for staging beside folders", error))?;
        for area in noted {
            // One whose file system is away or read-only keeps what it has, and no other device waits for
            // that.
            if let Ok(open) = self.area_beside_as_noted(&handles, &area) {
                self.tidy_area(&open, keep_partial_since).unwrap_or_default();
            }
            if area.noted < keep_partial_since {
                self.forget_areas();
                self.remove_area(&handles, &area.folder);
            }
        }
        self.count_foreign_leftovers()
    }

    fn tidy_area(&self, area: &StagingArea<D>, keep_partial_since: Timestamp) -> Result<(), StoreError> {
        let is_old = |changed: Timestamp| changed < keep_partial_since;
        self.remove_where(&area.sealed, |name, changed| {
            !self.is_own_token(name) || is_old(changed)
        })?;
        self.remove_where(&area.partial, |name, changed| {
            let is_of_use = match PartialName::parse(name) {
                Some(name) if self.is_in_use(&name.token) => return false,
                Some(name) => name.ranges > 0,
                // A probe that a kill left behind.
                None => !name.starts_with(b"probe-"),
            };
            !is_of_use || is_old(changed)
        })
    }

    fn remove_where(
        &self,
        folder: &D::Folder,
        is_unwanted: impl Fn(&[u8], Timestamp) -> bool,
    ) -> Result<(), StoreError> {
        let fault = |error| self.label.fault("tidy the staging folder", error);
        // Collected first: a listing may skip entries while others are removed. Bounded by what one process has under way.
        let entries: io::Result<Vec<_>> = self.disk.entries(folder).map_err(fault)?.collect();
        for entry in entries.map_err(fault)? {
            let changed = match self.disk.status_at(folder, &entry.name) {
                Err(error) if is(&error, Errno::NOENT) => continue,
                status => status.map_err(fault)?.changed,
            };
            if is_unwanted(&entry.name, changed) {
                match self.disk.remove_file(folder, &entry.name) {
                    Err(error) if is(&error, Errno::NOENT) => {}
                    removed => removed.map_err(fault)?,
                }
            }
        }
        Ok(())
    }

    /// Never touches them: their collector may be slow, or its disk restored. What cannot be read is not counted.
    fn count_foreign_leftovers(&self) -> Result<u64, StoreError> {
        let fault = |error| self.label.fault("look at the staging of other collectors", error);
        let handles = self.handles();
        let oldest = self.settings.clock.now().minus(FOREIGN_AFTER);
        let mut count = 0;
        for entry in self.disk.entries(&handles.staging).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.name == self.settings.ledger.as_str().as_bytes() {
                continue;
            }
            for kind in [PARTIAL, SEALED] {
                let path = [&entry.name, b"/".as_slice(), kind].concat();
                if let Ok(folder) = self.disk.open_folder(&handles.staging, &path) {
                    count += self.count_older(&folder, oldest);
                }
            }
        }
        Ok(count)
    }

    fn count_older(&self, folder: &D::Folder, oldest: Timestamp) -> u64 {
        let Ok(entries) = self.disk.entries(folder) else {
            return 0;
        };
        let is_leftover = |name: &[u8]| {
            let status = self.disk.status_at(folder, name);
            status.is_ok_and(|status| status.kind == EntryKind::File && status.changed < oldest)
        };
        let leftovers = entries.flatten().filter(|entry| is_leftover(&entry.name));
        u64::try_from(leftovers.count()).unwrap_or(u64::MAX)
    }
}
