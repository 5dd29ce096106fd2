//! The folders of one staging area: where files are received and sealed, so that a link leads from there to
//! their final name.
//!
//! Most files use the store's own area. A link from it does not lead into a file system mounted within the
//! store, to another branch of a union of disks, or across quota projects. Files for such a folder are
//! received beside it, in `.gleaner/staging/<collector>` of a visible folder: the outermost folder of a
//! mount, or the destination folder itself. No device file can have such a name.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use engine::ports::{Publication, StoreError};
use model::{RelativePath, Timestamp};
use rustix::io::Errno;

use crate::disk::Disk;
use crate::fault::{StoreLabel, is};
use crate::files::open_or_make_folder;
use crate::settings::StoreSettings;

pub(crate) const STAGING: &[u8] = b"staging";
pub(crate) const PARTIAL: &[u8] = b"partial";
pub(crate) const SEALED: &[u8] = b"sealed";

/// The folders of one staging area, held open.
pub(crate) struct StagingArea<D: Disk> {
    /// The visible folder that contains the area; `None` for the store's own area.
    pub(crate) beside: Option<Vec<u8>>,
    pub(crate) partial: D::Folder,
    pub(crate) sealed: D::Folder,
}

impl<D: Disk> StagingArea<D> {
    /// Opens this collector's area in an open staging folder, making it if it is missing. The new folders
    /// need not be durable: files lost with them are fetched again.
    pub(crate) fn open(
        disk: &D,
        staging: &D::Folder,
        settings: &StoreSettings,
        beside: Option<Vec<u8>>,
    ) -> io::Result<Self> {
        let own = match open_own(disk, staging, settings) {
            Err(error) if is(&error, Errno::NOENT) => {
                open_or_make_folder(disk, staging, settings.collector.as_str().as_bytes())?
            }
            opened => opened?,
        };
        Self::within(disk, &own, beside)
    }

    /// The area whose folders are in this open folder. A missing one of the two is made: a power cut may have
    /// removed it.
    pub(crate) fn within(disk: &D, own: &D::Folder, beside: Option<Vec<u8>>) -> io::Result<Self> {
        Ok(Self {
            beside,
            partial: open_or_make_folder(disk, own, PARTIAL)?,
            sealed: open_or_make_folder(disk, own, SEALED)?,
        })
    }

    /// The token of a sealed file as callers of this crate see it: its area and its name there.
    pub(crate) fn token(&self, name: &str) -> String {
        match &self.beside {
            None => name.to_owned(),
            Some(folder) => format!("{}/{name}", to_hex(folder)),
        }
    }

    /// The error for a failed call on the staged file of that token.
    pub(crate) fn fault(
        &self,
        label: &StoreLabel,
        operation: &str,
        token: &str,
        error: io::Error,
    ) -> StoreError {
        let operation = format!("{operation} the staged file {token}");
        if self.beside.is_some() {
            label.fault_on_mount(&operation, error)
        } else {
            label.fault(operation, error)
        }
    }
}

/// Opens this collector's folder in an open staging folder.
///
/// A folder with the former name is renamed first, unless both exist. The rename need not be durable: after a
/// power cut that undoes it, the next open renames again.
pub(crate) fn open_own<D: Disk>(
    disk: &D,
    staging: &D::Folder,
    settings: &StoreSettings,
) -> io::Result<D::Folder> {
    let own = settings.collector.as_str().as_bytes();
    match (disk.open_folder(staging, own), &settings.former_staging) {
        (Err(error), Some(former)) if is(&error, Errno::NOENT) => {
            disk.rename(staging, former.as_str().as_bytes(), staging, own)?;
            disk.open_folder(staging, own)
        }
        (opened, _) => opened,
    }
}

/// The areas beside folders that this process has used.
pub(crate) struct StagingAreas<D: Disk> {
    pub(crate) open: Mutex<HashMap<Vec<u8>, Arc<StagingArea<D>>>>,
    /// By destination folder: the folder beside which its files are received. A folder without an entry uses
    /// the store's own area.
    pub(crate) for_folder: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl<D: Disk> Default for StagingAreas<D> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            for_folder: Mutex::default(),
        }
    }
}

/// The name of a sealed file.
pub(crate) struct SealedEntry<D: Disk> {
    pub(crate) area: Arc<StagingArea<D>>,
    pub(crate) name: Vec<u8>,
    /// Whether it is a copy that was made beside its destination folder.
    pub(crate) is_copy: bool,
}

impl<D: Disk> SealedEntry<D> {
    /// Whether its area is beside the destination folder itself, the nearest that an area can be.
    pub(crate) fn is_beside(&self, publication: &Publication) -> bool {
        let folder = publication.name.parent();
        let folder = folder.as_ref().map(RelativePath::as_bytes);
        // The store's own area is beside the root.
        self.area.beside.as_deref() == folder
    }
}

/// An area beside a folder, as its note describes it.
#[derive(Debug)]
pub(crate) struct NotedArea {
    pub(crate) folder: Vec<u8>,
    /// When the note was last written.
    pub(crate) noted: Timestamp,
}

/// A path as text: paths are bytes, and notes and tokens are text.
pub(crate) fn to_hex(path: &[u8]) -> String {
    use std::fmt::Write as _;
    path.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// The reverse of [`to_hex`]; `None` for any other text.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_read_as_it_was_written() {
        for path in [&b"raspberry1"[..], b"a/\xff\n/..", b""] {
            assert_eq!(from_hex(&to_hex(path)).as_deref(), Some(path));
        }
        assert_eq!(from_hex("0g"), None);
    }
}
