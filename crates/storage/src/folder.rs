//! A store identified by its marker, before it is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ports::StoreError;
use model::StoreId;
use rustix::io::Errno;

use crate::disk::Disk;
use crate::fault::{StoreLabel, errno};
use crate::marker::{self, Marker};

/// A folder whose marker was read. Gives read access to its files; needs no permission to write.
pub struct StoreFolder<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) path: PathBuf,
    pub(crate) label: StoreLabel,
    pub(crate) root: Arc<D::Folder>,
    pub(crate) marker: Marker,
}

impl<D: Disk> StoreFolder<D> {
    /// Opens the store at `path`. With `expected`, refuses a store with another id.
    pub fn open(disk: Arc<D>, path: &Path, expected: Option<&StoreId>) -> Result<Self, StoreError> {
        let label = StoreLabel::new(path);
        let root = open_root(&*disk, path, &label)?;
        let marker = marker::read(&*disk, &root, &label)?;
        check_id(&marker, expected, &label)?;
        Ok(Self {
            disk,
            path: path.to_owned(),
            label,
            root: Arc::new(root),
            marker,
        })
    }

    /// The store's id.
    pub fn id(&self) -> &StoreId {
        &self.marker.id
    }
}

impl<D: Disk> Clone for StoreFolder<D> {
    fn clone(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            path: self.path.clone(),
            label: self.label.clone(),
            root: Arc::clone(&self.root),
            marker: self.marker.clone(),
        }
    }
}

impl<D: Disk> fmt::Debug for StoreFolder<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoreFolder")
            .field("path", &self.path)
            .field("marker", &self.marker)
            .finish_non_exhaustive()
    }
}

/// A missing path is reported like a folder without a marker: an unmounted store may look like either.
pub(crate) fn open_root<D: Disk>(disk: &D, path: &Path, label: &StoreLabel) -> Result<D::Folder, StoreError> {
    disk.open_root(path).map_err(|error| match errno(&error) {
        Some(Errno::NOENT | Errno::NOTDIR) => label.no_marker(),
        _ => label.fault("open the folder", error),
    })
}

pub(crate) fn check_id(
    marker: &Marker,
    expected: Option<&StoreId>,
    label: &StoreLabel,
) -> Result<(), StoreError> {
    match expected {
        Some(expected) if *expected != marker.id => Err(StoreError::OtherStore {
            location: label.location(),
            found: marker.id.clone(),
            expected: expected.clone(),
        }),
        _ => Ok(()),
    }
}
