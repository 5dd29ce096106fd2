//! Copies a sealed file to a staging area from which it can be linked, where no link leads from its own area.

use std::sync::Arc;

use engine::ports::Publication;

use crate::disk::{Access, Disk};
use crate::fault::PublishError;
use crate::files::{digest_range, read_range, write_all};
use crate::folders::folder_of;
use crate::open_store::{Handles, OpenStore};
use crate::partial::PartialName;
use crate::staging_area::SealedEntry;

impl<D: Disk> OpenStore<D> {
    /// Copies a sealed file into the area beside its destination folder, flushes the copy, reads it back and
    /// seals it. Later files for that folder are received in that area.
    ///
    /// A crash leaves a partial or a sealed copy there. The next sweep removes it: the area is noted.
    pub(crate) fn relocate(
        &self,
        handles: &Handles<D>,
        sealed: &SealedEntry<D>,
        publication: &Publication,
    ) -> Result<SealedEntry<D>, PublishError> {
        let folder = folder_of(&publication.name);
        let area = self.area_beside(handles, &folder).map_err(|error| {
            self.label
                .publish_error_on_mount("make a staging folder beside its folder", error)
        })?;
        let token = self.new_token();
        let name = PartialName {
            key: publication.digest,
            ranges: 0,
            token: token.as_str().to_owned(),
        }
        .to_bytes();
        let copied = self.copy(sealed, &area.partial, &name, publication);
        let copied = copied.and_then(|()| {
            let token = token.as_str().as_bytes();
            self.disk
                .rename(&area.partial, &name, &area.sealed, token)
                .map_err(|error| {
                    self.label
                        .publish_error_on_mount("seal the copy of a staged file", error)
                })
        });
        if let Err(error) = copied {
            self.disk.remove_file(&area.partial, &name).unwrap_or_default();
            return Err(error);
        }
        self.use_area(&folder, &area);
        Ok(SealedEntry {
            area: Arc::clone(&area),
            name: token.as_str().as_bytes().to_vec(),
            is_copy: true,
        })
    }

    fn copy(
        &self,
        sealed: &SealedEntry<D>,
        to_folder: &D::Folder,
        to_name: &[u8],
        publication: &Publication,
    ) -> Result<(), PublishError> {
        let disk = &*self.disk;
        let fault = |error| {
            self.label
                .publish_error_on_mount("copy a staged file beside its folder", error)
        };
        let from = disk
            .open_file(&sealed.area.sealed, &sealed.name, Access::Read)
            .map_err(fault)?;
        let modified = disk.file_status(&from).map_err(fault)?.modified;
        let to = disk.create_file(to_folder, to_name).map_err(fault)?;
        let (mut at, mut written) = (0, Ok(()));
        read_range(disk, &from, 0, publication.size, |part| {
            if written.is_ok() {
                written = write_all(disk, &to, part, at);
                at += u64::try_from(part.len()).unwrap_or(u64::MAX);
            }
        })
        .and(written)
        .map_err(fault)?;
        if let Some(mode) = self.settings.file_mode {
            disk.set_file_mode(&to, mode).map_err(fault)?;
        }
        disk.set_modified(&to, modified).map_err(fault)?;
        disk.flush_file(&to).map_err(fault)?;
        disk.drop_cache(&to, 0, publication.size);
        let found = digest_range(disk, &to, 0, publication.size).map_err(fault)?;
        if found == (publication.digest, publication.size) {
            Ok(())
        } else {
            let text = "its copy beside its folder differs from the bytes that were written";
            Err(PublishError::failed(text))
        }
    }
}
