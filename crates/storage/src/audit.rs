//! Reads the visible store: checks single copies against the record and lists what is stored. Changes
//! nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use model::names::CONTROL_FOLDER;
use model::{Digest, RelativePath, Timestamp, escaped};
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind, FolderEntry};
use crate::fault::is;
use crate::files::digest_range;
use crate::folder::StoreFolder;
use crate::quarantine::QUARANTINE;
use crate::staging_area::STAGING;

/// How a stored copy compares with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyCheck {
    /// The recorded size and digest.
    Same,
    /// Nothing has that name.
    Missing,
    /// The name has something else.
    Different(String),
    /// The copy cannot be read.
    Unreadable(String),
}

/// An entry of the visible store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleEntry {
    /// Its name in the store.
    pub name: RelativePath,
    /// What it is. Folders are walked, not returned.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time.
    pub modified: Timestamp,
}

/// A part of the visible store that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to inspect {name} in the store")]
pub struct WalkError {
    /// The folder or file, escaped; empty for the store itself.
    pub name: String,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

/// A stored copy as it was read.
struct ReadCopy {
    kind: EntryKind,
    size: u64,
    /// `None` if the copy is not a file of the expected size, or became shorter while it was read.
    digest: Option<Digest>,
}

impl<D: Disk> StoreFolder<D> {
    /// Reads a stored copy from the disk and compares it. Changes nothing and follows no links.
    pub fn check_copy(&self, name: &RelativePath, size: u64, digest: &Digest) -> CopyCheck {
        match self.digest_copy(name, size) {
            Ok(copy) if copy.kind != EntryKind::File => {
                CopyCheck::Different("it is not a regular file".to_owned())
            }
            Ok(copy) if copy.size != size => {
                CopyCheck::Different(format!("it has {} bytes instead of {size}", copy.size))
            }
            Ok(copy) => match copy.digest {
                Some(found) if found == *digest => CopyCheck::Same,
                Some(found) => CopyCheck::Different(format!("its digest is {found}")),
                None => CopyCheck::Different("it was truncated while it was read".to_owned()),
            },
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NOTDIR) => CopyCheck::Missing,
            Err(error) if is(&error, Errno::LOOP) => {
                CopyCheck::Different("it is a symbolic link, or its path contains one".to_owned())
            }
            Err(error) => CopyCheck::Unreadable(error.to_string()),
        }
    }

    fn digest_copy(&self, name: &RelativePath, size: u64) -> io::Result<ReadCopy> {
        let disk = &*self.disk;
        let file = match name.parent() {
            Some(parent) => {
                let folder = disk.open_folder(&self.root, parent.as_bytes())?;
                disk.open_file(&folder, name.file_name(), Access::Read)?
            }
            None => disk.open_file(&self.root, name.file_name(), Access::Read)?,
        };
        let status = disk.file_status(&file)?;
        let copy = |digest| ReadCopy {
            kind: status.kind,
            size: status.size,
            digest,
        };
        if status.kind != EntryKind::File || status.size != size {
            return Ok(copy(None));
        }
        disk.drop_cache(&file, 0, size);
        let (digest, count) = digest_range(disk, &file, 0, size)?;
        Ok(copy((count == size).then_some(digest)))
    }

    /// Walks all visible entries of the store, without the control folder. Memory grows with the depth of the
    /// store, not with the number of files.
    pub fn walk(&self) -> Walk<D> {
        Walk {
            store: self.clone(),
            folders: Vec::new(),
            has_begun: false,
        }
    }
}

/// A walk over the visible store. After an error it continues with the next entry that can be read.
pub struct Walk<D: Disk> {
    store: StoreFolder<D>,
    folders: Vec<WalkedFolder<D>>,
    has_begun: bool,
}

struct WalkedFolder<D: Disk> {
    folder: Arc<D::Folder>,
    path: Option<RelativePath>,
    entries: D::Entries,
}

impl<D: Disk> fmt::Debug for Walk<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Walk {{ depth: {} }}", self.folders.len())
    }
}

impl<D: Disk> Iterator for Walk<D> {
    type Item = Result<VisibleEntry, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.has_begun {
            self.has_begun = true;
            let root = Arc::clone(&self.store.root);
            if let Err(error) = self.enter(root, None) {
                return Some(Err(error));
            }
        }
        loop {
            let current = self.folders.last_mut()?;
            match current.entries.next() {
                None => {
                    self.folders.pop();
                }
                Some(Err(source)) => {
                    let name = current
                        .path
                        .as_ref()
                        .map(RelativePath::to_string)
                        .unwrap_or_default();
                    self.folders.pop();
                    return Some(Err(WalkError { name, source }));
                }
                Some(Ok(entry)) => {
                    if !is_hidden(current.path.as_ref(), &entry.name)
                        && let Some(found) = self.visit(&entry).transpose()
                    {
                        return Some(found);
                    }
                }
            }
        }
    }
}

impl<D: Disk> Walk<D> {
    /// Enters a folder, or returns any other entry. `None` for a folder, and for an entry that is gone.
    fn visit(&mut self, entry: &FolderEntry) -> Result<Option<VisibleEntry>, WalkError> {
        let Some(current) = self.folders.last() else {
            return Ok(None);
        };
        let folder = Arc::clone(&current.folder);
        let shown = match &current.path {
            Some(path) => format!("{path}/{}", escaped(&entry.name)),
            None => escaped(&entry.name),
        };
        let fault = |source| WalkError { name: shown, source };
        let name = RelativePath::new(entry.name.clone()).map(|name| match &current.path {
            Some(path) => path.join(&name),
            None => name,
        });
        let name = match name.and_then(|name| RelativePath::new(name.as_bytes())) {
            Ok(name) => name,
            Err(error) => return Err(fault(io::Error::other(error))),
        };
        let status = match self.store.disk.status_at(&folder, &entry.name) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            Err(error) => return Err(fault(error)),
            Ok(status) => status,
        };
        if status.kind == EntryKind::Folder {
            let below = self.store.disk.open_folder(&folder, &entry.name).map_err(fault)?;
            self.enter(Arc::new(below), Some(name))?;
            return Ok(None);
        }
        Ok(Some(VisibleEntry {
            name,
            kind: status.kind,
            size: status.size,
            modified: status.modified,
        }))
    }

    fn enter(&mut self, folder: Arc<D::Folder>, path: Option<RelativePath>) -> Result<(), WalkError> {
        let entries = self.store.disk.entries(&folder).map_err(|source| WalkError {
            name: path.as_ref().map(RelativePath::to_string).unwrap_or_default(),
            source,
        })?;
        self.folders.push(WalkedFolder {
            folder,
            path,
            entries,
        });
        Ok(())
    }
}

/// Whether a name in a folder is not part of the visible store: the control folder, and gleaner's own folders
/// in a control folder on another file system.
fn is_hidden(folder: Option<&RelativePath>, name: &[u8]) -> bool {
    match folder {
        None => name == CONTROL_FOLDER,
        Some(folder) => folder.file_name() == CONTROL_FOLDER && (name == STAGING || name == QUARANTINE),
    }
}
