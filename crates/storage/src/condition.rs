//! Whether the store can be used.

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::ports::{Condition, StoreError};
use model::StoreId;
use rustix::io::Errno;

use crate::disk::{Disk, Space};
use crate::fault::{StoreLabel, not_writable};
use crate::folder::{check_id, open_root};
use crate::marker;
use crate::open_store::{Handles, OpenStore};

impl<D: Disk> OpenStore<D> {
    /// Opens the store by its path and compares it with the folders held open, so that an unmounted or newly
    /// mounted store is noticed. The handles move to the new mount if it is the same store.
    pub(crate) fn condition(&self) -> Result<Condition, StoreError> {
        let disk = &*self.disk;
        let (found, condition) = inspect(disk, &self.path, &self.label, &self.id, self.settings.min_free)?;
        let identity = |folder: &D::Folder| {
            let status = disk.folder_status(folder);
            Ok::<_, StoreError>(
                status
                    .map_err(|error| inspect_fault(&self.label, error))?
                    .identity,
            )
        };
        let is_the_one_held = identity(&found)? == identity(&self.handles().root)?;
        if !is_the_one_held || self.try_to_write().is_err() {
            let settings = &self.settings;
            let handles =
                Handles::open(disk, Arc::new(found), settings, &self.label).map_err(not_writable)?;
            self.replace_handles(handles);
            self.try_to_write()?;
        }
        Ok(condition)
    }

    /// Creates a file in this collector's staging and removes it: permission bits alone do not tell, least of
    /// all on network file systems. A crash leaves an empty probe, which the next sweep removes.
    fn try_to_write(&self) -> Result<(), StoreError> {
        let handles = self.handles();
        let name = format!("probe-{}", self.new_token().as_str()).into_bytes();
        self.disk
            .create_file(&handles.own.partial, &name)
            .and_then(|file| {
                drop(file);
                self.disk.remove_file(&handles.own.partial, &name)
            })
            .map_err(|error| not_writable(self.label.fault("make a file in staging", error)))
    }
}

/// Opens the folder at `path` and checks that it is the store `id` and has room, without writing.
pub(crate) fn inspect<D: Disk>(
    disk: &D,
    path: &Path,
    label: &StoreLabel,
    id: &StoreId,
    min_free: u64,
) -> Result<(D::Folder, Condition), StoreError> {
    let found = open_root(disk, path, label)?;
    let marker = marker::read(disk, &found, label)?;
    check_id(&marker, Some(id), label)?;
    let space = disk.space(&found).map_err(|error| inspect_fault(label, error))?;
    check_space(space, min_free, label)?;
    let condition = Condition {
        id: marker.id,
        room: Some(space.available - min_free),
    };
    Ok((found, condition))
}

fn inspect_fault(label: &StoreLabel, error: io::Error) -> StoreError {
    label.fault("inspect the folder", error)
}

fn check_space(space: Space, min_free: u64, label: &StoreLabel) -> Result<(), StoreError> {
    if space.read_only {
        return Err(StoreError::NotWritable {
            location: label.location(),
            source: io::Error::from(Errno::ROFS).into(),
        });
    }
    if space.available <= min_free {
        return Err(StoreError::Full {
            location: label.location(),
            detail: format!(
                "{} of {} free, and `min_free` is {}",
                bytes(space.available),
                bytes(space.total),
                bytes(min_free)
            ),
        });
    }
    if space.files_available == Some(0) {
        return Err(StoreError::Full {
            location: label.location(),
            detail: "its file system can hold no more files (no free inode)".to_owned(),
        });
    }
    Ok(())
}

/// A number of bytes in a readable unit.
fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match UNITS.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", count / unit, count % unit * 10 / unit),
        None => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_shown_in_readable_units() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes((1 << 30) - 1), "1023.9 MiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
    }
}
