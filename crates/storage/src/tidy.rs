//! Tidies this collector's staging and counts old files in the staging of others.

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

/// A staged file of another collector counts as a leftover once it is older than this: a running gleaner
/// leaves none that long.
const MIN_FOREIGN_AGE: Duration = Duration::from_hours(7 * 24);

impl<D: Disk> OpenStore<D> {
    /// Removes sealed names. A crash before leaves them for the next sweep to tidy. Published names are not
    /// touched.
    pub(crate) fn retire(&self, sealed: &[SealedFile]) -> Result<(), StoreError> {
        let handles = self.handles();
        for file in sealed {
            // If the file system of its area is away, a later sweep tidies the file.
            let Some((area, name)) = self.sealed_at(&handles, &file.token) else {
                continue;
            };
            match self.with_naming_lock(|| self.disk.remove_file(&area.sealed, name.as_bytes())) {
                // The file was renamed instead of linked.
                Err(error) if is(&error, Errno::NOENT) => {}
                removed => removed
                    .map_err(|error| self.label.fault(format!("remove the sealed file {name}"), error))?,
            }
        }
        Ok(())
    }

    /// Removes sealed files of earlier processes, and partial files that are too old or cannot be resumed.
    /// Never removes a file that is being received.
    ///
    /// This process's own sealed files may be about to be published, so they are removed only if as old. Ages
    /// go by the change time, which no user can set. Empty areas beside folders that were unused as long are
    /// removed too.
    pub(crate) fn tidy_staging(&self, keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        let handles = self.handles();
        self.tidy_area(&handles.own, keep_partial_since)?;
        let noted = self.noted_areas(&handles.own_folder);
        let noted =
            noted.map_err(|error| self.label.fault("list the staging areas beside folders", error))?;
        for area in noted {
            // An area whose file system is away or read-only keeps its files; other devices must not wait for
            // it.
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
                // A probe that a killed process left.
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
        // Collected first, because a listing may skip entries while others are removed. Bounded by the files
        // that one process has under way.
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

    /// Does not touch the files: their collector may be slow, or restored from a backup. Unreadable entries
    /// are not counted.
    fn count_foreign_leftovers(&self) -> Result<u64, StoreError> {
        let fault = |error| self.label.fault("inspect the staging of other collectors", error);
        let handles = self.handles();
        let oldest = self.settings.clock.now().minus(MIN_FOREIGN_AGE);
        let mut count = 0;
        for entry in self.disk.entries(&handles.staging).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.name == self.settings.collector.as_str().as_bytes() {
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
