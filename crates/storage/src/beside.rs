//! A sealed file is brought to where it can be linked from, when that could not be foreseen.

use std::io;
use std::sync::Arc;

use engine::ports::{Publication, PublishFault, StoreError};
use model::RelativePath;
use rustix::io::Errno;

use crate::disk::{Access, Disk};
use crate::fault::errno;
use crate::files::{digest_range, read_range, write_all};
use crate::folders::Trouble;
use crate::partial::PartialName;
use crate::publish::Sealed;
use crate::shared::{Handles, Shared};

impl<D: Disk> Shared<D> {
    /// Copies a sealed file into the area beside the folder that it is bound for, flushes the copy, reads it
    /// back and seals it. From then on, files for that folder are received there.
    ///
    /// A crash on the way leaves a partial or a sealed file there, which the next sweep removes: the area is
    /// noted.
    pub(crate) fn bring_beside(
        &self,
        handles: &Handles<D>,
        sealed: &Sealed<D>,
        publication: &Publication,
    ) -> Result<Sealed<D>, Trouble> {
        let folder = publication.name.parent();
        let folder = folder.as_ref().map_or(&b""[..], RelativePath::as_bytes);
        let area = self
            .area_beside(handles, folder)
            .map_err(|error| self.trouble_beside("make a staging folder beside its folder", error))?;
        let token = self.new_token();
        let name = PartialName {
            key: publication.digest,
            ranges: 0,
            token: token.as_str().to_owned(),
        }
        .to_bytes();
        let copied = self.copy(sealed, (&area.partial, &name), publication);
        let copied = copied.and_then(|()| {
            let token = token.as_str().as_bytes();
            self.disk
                .rename(&area.partial, &name, &area.sealed, token)
                .map_err(|error| self.trouble_beside("seal the copy of a staged file", error))
        });
        if let Err(trouble) = copied {
            self.disk.remove_file(&area.partial, &name).unwrap_or_default();
            return Err(trouble);
        }
        self.use_area(folder, &area);
        Ok(Sealed {
            area: Arc::clone(&area),
            name: token.as_str().as_bytes().to_vec(),
            is_copy: true,
        })
    }

    fn copy(
        &self,
        sealed: &Sealed<D>,
        (folder, name): (&D::Folder, &[u8]),
        publication: &Publication,
    ) -> Result<(), Trouble> {
        let disk = &*self.disk;
        let fault = |error| self.trouble_beside("copy a staged file beside its folder", error);
        let from = disk
            .open_file(&sealed.area.sealed, &sealed.name, Access::Read)
            .map_err(fault)?;
        let modified = disk.file_status(&from).map_err(fault)?.modified;
        let to = disk.create_file(folder, name).map_err(fault)?;
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
            let text = "the copy of it beside its folder is not what was written";
            Err(Trouble::One(PublishFault::Failed(text.to_owned())))
        }
    }

    /// What a failed call means: every name on that file system may meet it, but not every other.
    fn trouble_beside(&self, operation: &str, error: io::Error) -> Trouble {
        match errno(&error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS) => {
                match self.place.fault_beside(operation, error) {
                    StoreError::OfFile { fault, .. } => Trouble::One(fault),
                    error => Trouble::All(error),
                }
            }
            _ => self.trouble(operation, error),
        }
    }
}
