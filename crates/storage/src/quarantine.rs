//! Sets a damaged stored file aside, for an operator who requests it.

use std::io;

use engine::ports::StoreError;
use model::RelativePath;
use model::names::CONTROL_FOLDER;
use rustix::io::Errno;

use crate::disk::{Disk, EntryKind, FolderEntry};
use crate::fault::is;
use crate::files::open_or_make_folder;
use crate::folder::StoreFolder;
use crate::folders::{FoundFolder, folder_of};
use crate::open_store::OpenStore;

/// The folder for such files, in a control folder.
pub(crate) const QUARANTINE: &[u8] = b"quarantine";

impl<D: Disk> StoreFolder<D> {
    /// Where the latest copy of a name is in the quarantine. If that cannot be read, a hint is missing and
    /// nothing else.
    pub(crate) fn find_quarantined(&self, name: &RelativePath) -> Option<String> {
        let disk = &*self.disk;
        let control = disk.open_folder(&self.root, CONTROL_FOLDER).ok()?;
        let all = disk.open_folder(&control, QUARANTINE).ok()?;
        let entries = disk.entries(&all).ok()?.flatten();
        let number_of = |entry: FolderEntry| std::str::from_utf8(&entry.name).ok()?.parse().ok();
        let mut numbers: Vec<u64> = entries.filter_map(number_of).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        let parent = name.parent();
        let has_copy = |number: &u64| {
            let mut path = number.to_string().into_bytes();
            if let Some(parent) = &parent {
                path.push(b'/');
                path.extend_from_slice(parent.as_bytes());
            }
            let folder = disk.open_folder(&all, &path);
            folder.is_ok_and(|folder| disk.status_at(&folder, name.file_name()).is_ok())
        };
        let number = numbers.into_iter().find(has_copy)?;
        Some(format!(".gleaner/quarantine/{number}/{name}"))
    }
}

impl<D: Disk> OpenStore<D> {
    /// Moves a stored file to `.gleaner/quarantine/<number>/<name>`. The numbered folder is new, so the
    /// rename replaces nothing. A crash leaves the file under one of its two names.
    pub(crate) fn quarantine(&self, name: &RelativePath) -> Result<(), StoreError> {
        let fault = |error| self.label.fault(format!("move {name} into quarantine"), error);
        let disk = &*self.disk;
        let handles = self.handles();
        let parent = name.parent();
        let opened = match &parent {
            Some(parent) => Some(
                disk.open_folder(&handles.root, parent.as_bytes())
                    .map_err(fault)?,
            ),
            None => None,
        };
        let from = opened.as_ref().unwrap_or(&handles.root);
        let status = disk.status_at(from, name.file_name()).map_err(fault)?;
        if status.kind != EntryKind::File {
            return Err(fault(io::Error::other("it is not a regular file")));
        }
        match self.move_into_quarantine(&handles.control, name, from) {
            // The file is on a file system mounted within the store, which has a quarantine of its own.
            Err(error) if is(&error, Errno::XDEV) => {
                let control = open_or_make_folder(disk, from, CONTROL_FOLDER).map_err(fault)?;
                self.move_into_quarantine(&control, name, from).map_err(fault)?;
            }
            moved => moved.map_err(fault)?,
        }
        let path = folder_of(name);
        let identity = disk.folder_status(from).map_err(fault)?.identity;
        self.flush_with_ancestors(&handles, FoundFolder { path, identity })?;
        Ok(())
    }

    /// Removes the new folders again if the file cannot be moved.
    fn move_into_quarantine(
        &self,
        control: &D::Folder,
        name: &RelativePath,
        from: &D::Folder,
    ) -> io::Result<()> {
        let disk = &*self.disk;
        let all = open_or_make_folder(disk, control, QUARANTINE)?;
        let (number, folder) = self.make_numbered_folder(&all)?;
        let mut made = vec![folder];
        let mut names = vec![number];
        for component in name.parent().iter().flat_map(RelativePath::components) {
            let above = made.last().unwrap_or(&all);
            disk.make_folder(above, component)?;
            let below = disk.open_folder(above, component)?;
            names.push(component.to_vec());
            made.push(below);
        }
        let to = made.last().unwrap_or(&all);
        if let Err(error) = disk.rename(from, name.file_name(), to, name.file_name()) {
            while let (Some(_), Some(name)) = (made.pop(), names.pop()) {
                let above = made.last().unwrap_or(&all);
                disk.remove_folder(above, &name).unwrap_or_default();
            }
            return Err(error);
        }
        for folder in made.iter().rev().chain([&all, control]) {
            disk.flush_folder(folder)?;
        }
        Ok(())
    }

    fn make_numbered_folder(&self, at: &D::Folder) -> io::Result<(Vec<u8>, D::Folder)> {
        let mut number = 1_u64;
        loop {
            let name = number.to_string().into_bytes();
            match self.disk.make_folder(at, &name) {
                Err(error) if is(&error, Errno::EXIST) => number += 1,
                made => {
                    made?;
                    let folder = self.disk.open_folder(at, &name)?;
                    return Ok((name, folder));
                }
            }
        }
    }
}
