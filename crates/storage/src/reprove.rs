//! Checks that the stored copy of an earlier pass is still there and intact.

use std::io;

use engine::ports::{Reproof, StoreError};
use model::{Digest, RelativePath};
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind};
use crate::fault::{errno, is, is_store_wide};
use crate::files::digest_range;
use crate::folders::{FoundFolder, folder_of};
use crate::open_store::OpenStore;

impl<D: Disk> OpenStore<D> {
    /// Flushes the copy, digests it from the disk, and flushes its folder and those above it.
    pub(crate) fn reprove(
        &self,
        name: &RelativePath,
        size: u64,
        digest: &Digest,
    ) -> Result<Reproof, StoreError> {
        let handles = self.handles();
        let path = folder_of(name);
        let opened;
        let folder = if path.is_empty() {
            &*handles.root
        } else {
            match self.disk.open_folder(&handles.root, &path) {
                Ok(folder) => opened = folder,
                Err(error) => return self.reproof_of_error(error),
            }
            &opened
        };
        let file = match self.disk.open_file(folder, name.file_name(), Access::Read) {
            Ok(file) => file,
            Err(error) => return self.reproof_of_error(error),
        };
        match self.matches_record(&file, size, digest) {
            Ok(true) => {}
            Ok(false) => return Ok(Reproof::Other),
            Err(error) => return self.reproof_of_error(error),
        }
        let status = self
            .disk
            .folder_status(folder)
            .map_err(|error| self.label.fault("inspect a folder", error))?;
        let found = FoundFolder {
            path,
            identity: status.identity,
        };
        let is_durable = self.flush_with_ancestors(&handles, found)?;
        Ok(if is_durable {
            Reproof::Same
        } else {
            Reproof::Missing
        })
    }

    fn matches_record(&self, file: &D::File, size: u64, digest: &Digest) -> io::Result<bool> {
        let status = self.disk.file_status(file)?;
        if status.kind != EntryKind::File || status.size != size {
            return Ok(false);
        }
        self.disk.flush_file(file)?;
        self.disk.drop_cache(file, 0, size);
        Ok(digest_range(&*self.disk, file, 0, size)? == (*digest, size))
    }

    /// An unreadable copy counts as a different one: its file is fetched again. Only an error that every file
    /// would meet ends the sweep.
    fn reproof_of_error(&self, error: io::Error) -> Result<Reproof, StoreError> {
        if is(&error, Errno::NOENT) || is(&error, Errno::NOTDIR) {
            return Ok(Reproof::Missing);
        }
        let is_about_the_copy = matches!(errno(&error), Some(Errno::IO | Errno::NXIO));
        if is_store_wide(&error) && !is_about_the_copy {
            return Err(self.label.fault("read a stored copy", error));
        }
        Ok(Reproof::Other)
    }
}
