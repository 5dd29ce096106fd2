//! Checks whether files can be published under their names, before anything is done to them on the device.
//!
//! Nothing visible is made. Probes are made in staging and removed at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use engine::ports::{Destination, PublishFault, Room, StoreError};
use model::escaped;
use rustix::io::Errno;

use crate::disk::{Disk, Status};
use crate::fault::{PublishError, StoreLabel, errno, is, is_store_wide};
use crate::folders::{folder_of, is_control_folder, obstructed};
use crate::open_store::{Handles, OpenStore};
use crate::staging_area::StagingArea;

type DestinationResult = Result<Room, PublishFault>;

/// Files of this size and more are probed. No file system in use has a lower limit: FAT16, and servers that
/// count in signed 32-bit numbers.
const MIN_PROBED_SIZE: u64 = (1 << 31) - 1;

/// Longer names are probed: encrypting file systems take 143 bytes.
const MAX_UNPROBED_NAME: usize = 100;

impl<D: Disk> OpenStore<D> {
    /// Checks each file; inspects each folder once and selects the staging area from which its files can be
    /// linked.
    pub(crate) fn check_destinations(
        &self,
        destinations: &[Destination],
    ) -> Result<Vec<DestinationResult>, StoreError> {
        let handles = self.handles();
        let mut folders: BTreeMap<Vec<u8>, Result<DestinationFolder<D>, PublishFault>> = BTreeMap::new();
        let mut results = Vec::with_capacity(destinations.len());
        for destination in destinations {
            let path = folder_of(&destination.name);
            if !folders.contains_key(&path) {
                let folder = split_store_error(self.check_folder(&handles, &path))?;
                folders.insert(path.clone(), folder);
            }
            results.push(match folders.get(&path) {
                Some(Ok(folder)) => split_store_error(self.check_file(folder, destination))?,
                Some(Err(fault)) => Err(fault.clone()),
                None => Err(PublishFault::Failed("its folder was not inspected".to_owned())),
            });
        }
        Ok(results)
    }

    fn check_folder(&self, handles: &Handles<D>, path: &[u8]) -> Result<DestinationFolder<D>, PublishError> {
        let disk = &*self.disk;
        let existing = self.open_existing_prefix(handles, path)?;
        let nearest = existing.folder.as_ref().unwrap_or(&handles.root);
        let shown = match existing.length {
            0 => "the store's own folder".to_owned(),
            length => escaped(path.get(..length).unwrap_or_default()),
        };
        let unusable = |error: io::Error| unusable(&self.label, &shown, error);
        disk.may_write(nearest).map_err(unusable)?;
        let status = disk.folder_status(nearest).map_err(unusable)?;
        let root_status = disk.folder_status(&handles.root).map_err(unusable)?;
        let is_whole = existing.length == path.len() && !path.is_empty();
        let area = if is_whole && self.is_noted(handles, path) {
            self.area_beside(handles, path).map_err(unusable)?
        } else if is_same_mount(&status, &root_status) {
            Arc::clone(&handles.own)
        } else {
            let existing_path = path.get(..existing.length).unwrap_or_default();
            self.area_on_mount(handles, existing_path, &status)
                .map_err(unusable)?
        };
        self.use_area(path, &area);
        let room = if area.beside.is_none() {
            Room::OfStore
        } else {
            let space = disk.space(nearest).map_err(unusable)?;
            Room::Other {
                file_system: status.identity.device_number,
                bytes: space.available.saturating_sub(self.settings.min_free),
            }
        };
        Ok(DestinationFolder {
            room,
            missing: path.get(existing.length..).unwrap_or_default().to_vec(),
            area,
        })
    }

    /// The area in the outermost folder of the mount of `status` in which an area can be made.
    fn area_on_mount(
        &self,
        handles: &Handles<D>,
        path: &[u8],
        status: &Status,
    ) -> io::Result<Arc<StagingArea<D>>> {
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        let mut last: io::Error = Errno::NOENT.into();
        for prefix in ends.filter_map(|end| path.get(..end)) {
            let folder = self.disk.open_folder(&handles.root, prefix)?;
            if !is_same_mount(&self.disk.folder_status(&folder)?, status) {
                continue;
            }
            match self.area_beside(handles, prefix) {
                Ok(area) => return Ok(area),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether the folder can hold a file of that name and size.
    fn check_file(
        &self,
        folder: &DestinationFolder<D>,
        destination: &Destination,
    ) -> Result<Room, PublishError> {
        if is_control_folder(destination.name.as_bytes()) {
            return Err(PublishError::File(PublishFault::Unacceptable(
                "it would be in the folder that belongs to gleaner".to_owned(),
            )));
        }
        let missing = folder
            .missing
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty());
        for name in missing.chain([destination.name.file_name()]) {
            if needs_probe(name) {
                self.probe_name(&folder.area, name)?;
            }
        }
        if let Some(limit) = self.disk.largest_file().filter(|limit| destination.size > *limit) {
            let detail =
                format!("gleaner's process cannot write files above {limit} bytes (see `ulimit -f`)");
            return Err(PublishError::File(PublishFault::TooLarge(detail)));
        }
        if destination.size >= MIN_PROBED_SIZE {
            self.probe_size(&folder.area, destination.size)?;
        }
        Ok(folder.room)
    }

    /// Makes a file of that name in staging, where it is not visible, and removes it. A crash between the two
    /// leaves an empty file that a sweep removes once it is old.
    fn probe_name(&self, area: &StagingArea<D>, name: &[u8]) -> Result<(), PublishError> {
        match self.with_naming_lock(|| self.disk.create_file(&area.partial, name)) {
            Err(error) if is(&error, Errno::EXIST) => Ok(()),
            Err(error) => Err(self.label.publish_error("try a name in staging", error)),
            Ok(file) => {
                drop(file);
                let removed = self.with_naming_lock(|| self.disk.remove_file(&area.partial, name));
                removed.map_err(|error| {
                    self.label
                        .publish_error("remove a tried name from staging", error)
                })
            }
        }
    }

    /// Reserves room for a file of that size and frees it again. Where room cannot be reserved, writes the
    /// last byte instead. Errors other than a size that is too large are left for when the file is received.
    fn probe_size(&self, area: &StagingArea<D>, size: u64) -> Result<(), PublishError> {
        let disk = &*self.disk;
        let name = format!("probe-{}", self.new_token().as_str()).into_bytes();
        let file = disk
            .create_file(&area.partial, &name)
            .map_err(|error| self.label.publish_error("make a file in staging", error))?;
        let reserved = match disk.preallocate(&file, size) {
            Err(error) if is(&error, Errno::OPNOTSUPP) || is(&error, Errno::NOSYS) => {
                disk.write_at(&file, &[0], size.saturating_sub(1)).map(drop)
            }
            reserved => reserved,
        };
        drop(file);
        // A crash before this leaves a probe that the next sweep removes.
        disk.remove_file(&area.partial, &name).unwrap_or_default();
        match reserved {
            Err(error) if is(&error, Errno::FBIG) => {
                let detail = format!("its file system cannot hold a file of {size} bytes");
                Err(PublishError::File(PublishFault::TooLarge(detail)))
            }
            _ => Ok(()),
        }
    }

    /// Opens the folder, or its longest part that exists.
    fn open_existing_prefix(
        &self,
        handles: &Handles<D>,
        path: &[u8],
    ) -> Result<ExistingPrefix<D>, PublishError> {
        let (disk, root) = (&*self.disk, &*handles.root);
        let mut existing = ExistingPrefix {
            folder: None,
            length: 0,
        };
        if path.is_empty() {
            return Ok(existing);
        }
        if let Ok(folder) = disk.open_folder(root, path) {
            existing.folder = Some(folder);
            existing.length = path.len();
            return Ok(existing);
        }
        for (depth, name) in path.split(|byte| *byte == b'/').enumerate() {
            let above = existing.folder.as_ref().unwrap_or(root);
            match disk.open_folder(above, name) {
                Ok(folder) => {
                    existing.length += name.len() + usize::from(depth > 0);
                    existing.folder = Some(folder);
                }
                // A name that no folder there can have is probed in staging, which gives the reason.
                Err(error) if is_absent(&error) => break,
                Err(error) if is(&error, Errno::NOTDIR) || is(&error, Errno::LOOP) => {
                    return Err(PublishError::File(obstructed(disk, above, name, depth)));
                }
                Err(error) => {
                    let end = existing.length + name.len() + usize::from(depth > 0);
                    let shown = escaped(path.get(..end).unwrap_or_default());
                    return Err(unusable(&self.label, &shown, error));
                }
            }
        }
        Ok(existing)
    }
}

/// What is known of the folder of some destinations.
struct DestinationFolder<D: Disk> {
    /// Where its files are received.
    area: Arc<StagingArea<D>>,
    room: Room,
    /// The folders that publishing must make, as a path below the last one that exists.
    missing: Vec<u8>,
}

/// The part of a folder's path that exists.
struct ExistingPrefix<D: Disk> {
    /// The last folder that exists; `None` for the root of the store.
    folder: Option<D::Folder>,
    /// Bytes of the path up to that folder.
    length: usize,
}

/// Whether some file systems refuse this name.
fn needs_probe(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>:\"|?*\\".contains(byte) || *byte == b' ';
    name.len() > MAX_UNPROBED_NAME || matches!(name.last(), Some(b'.' | b' ')) || !name.iter().all(is_plain)
}

/// Whether nothing has a name, or nothing can have it.
fn is_absent(error: &io::Error) -> bool {
    let numbers = [Errno::NOENT, Errno::NAMETOOLONG, Errno::INVAL, Errno::ILSEQ];
    errno(error).is_some_and(|number| numbers.contains(&number))
}

fn is_same_mount(one: &Status, other: &Status) -> bool {
    one.identity.device_number == other.identity.device_number && one.mount == other.mount
}

fn unusable(label: &StoreLabel, shown: &str, error: io::Error) -> PublishError {
    if is_store_wide(&error) && !is(&error, Errno::ROFS) {
        return PublishError::Store(label.fault("inspect a folder", error));
    }
    PublishError::File(PublishFault::Unusable(format!("{shown}: {error}")))
}

/// Separates the faults of single files from an error of the store, which ends the check.
fn split_store_error<T>(result: Result<T, PublishError>) -> Result<Result<T, PublishFault>, StoreError> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(PublishError::File(fault)) => Ok(Err(fault)),
        Err(PublishError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::needs_probe;

    #[test]
    fn ordinary_names_need_no_probe() {
        for name in ["img_2026-12-01 12.00.00.jpg", "a+b=c (1).np", "day"] {
            assert!(!needs_probe(name.as_bytes()), "{name}");
        }
        for name in ["a:b", "end.", "end ", "\u{e9}", &"x".repeat(101), "tab\t"] {
            assert!(needs_probe(name.as_bytes()), "{name}");
        }
    }
}
