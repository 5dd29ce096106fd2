//! Looking at the visible store, and setting aside what was found bad.

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

/// What a stored copy is, compared with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyCheck {
    /// There, and the same.
    Same,
    /// There is nothing under that name.
    Missing,
    /// There is something else under that name.
    Different(String),
    /// It cannot be read.
    Unreadable(String),
}

/// Something in the visible store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleEntry {
    /// Its name.
    pub name: RelativePath,
    /// What it is; folders are walked and not told.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified.
    pub modified: Timestamp,
}

/// A part of the visible store that could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("failed to look at {name} in the store")]
pub struct WalkError {
    /// Which folder or file, escaped; empty for the store itself.
    pub name: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl<D: Disk> StoreFolder<D> {
    /// Reads a stored copy from the disk and compares it. Changes nothing and follows no links.
    pub fn check_copy(&self, name: &RelativePath, size: u64, digest: &Digest) -> CopyCheck {
        match self.digest_copy(name, size) {
            Ok((kind, _, _)) if kind != EntryKind::File => {
                CopyCheck::Different("it is no regular file".to_owned())
            }
            Ok((_, found, _)) if found != size => {
                CopyCheck::Different(format!("it has {found} bytes instead of {size}"))
            }
            Ok((_, _, Some(found))) if found == *digest => CopyCheck::Same,
            Ok((_, _, Some(found))) => CopyCheck::Different(format!("its digest is {found}")),
            Ok((_, _, None)) => CopyCheck::Different("it was cut while it was read".to_owned()),
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NOTDIR) => CopyCheck::Missing,
            Err(error) if is(&error, Errno::LOOP) => {
                CopyCheck::Different("it is a symbolic link, or lies behind one".to_owned())
            }
            Err(error) => CopyCheck::Unreadable(error.to_string()),
        }
    }

    fn digest_copy(&self, name: &RelativePath, size: u64) -> io::Result<(EntryKind, u64, Option<Digest>)> {
        let disk = &*self.disk;
        let file = match name.parent() {
            Some(parent) => {
                let folder = disk.open_folder(&self.root, parent.as_bytes())?;
                disk.open_file(&folder, name.file_name(), Access::Read)?
            }
            None => disk.open_file(&self.root, name.file_name(), Access::Read)?,
        };
        let status = disk.file_status(&file)?;
        if status.kind != EntryKind::File || status.size != size {
            return Ok((status.kind, status.size, None));
        }
        disk.drop_cache(&file, 0, size);
        let (digest, count) = digest_range(disk, &file, 0, size)?;
        Ok((status.kind, status.size, (count == size).then_some(digest)))
    }

    /// Walks everything that is visible in the store, without the control folder. Memory grows with the depth of the store, not with
    /// the number of files.
    pub fn walk(&self) -> Walk<D> {
        Walk {
            store: self.clone(),
            folders: Vec::new(),
            state: WalkState::NotBegun,
        }
    }
}

/// A walk over the visible store. Goes on after an error with what can be looked at.
pub struct Walk<D: Disk> {
    store: StoreFolder<D>,
    folders: Vec<WalkedFolder<D>>,
    state: WalkState,
}

enum WalkState {
    NotBegun,
    Begun,
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
        if matches!(self.state, WalkState::NotBegun) {
            self.state = WalkState::Begun;
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
                        && let Some(found) = self.look_at(&entry).transpose()
                    {
                        return Some(found);
                    }
                }
            }
        }
    }
}

impl<D: Disk> Walk<D> {
    /// Enters a folder, or answers what else it is; `None` also for what is gone by now.
    fn look_at(&mut self, entry: &FolderEntry) -> Result<Option<VisibleEntry>, WalkError> {
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

/// Whether a name in a folder is not part of the visible store: the control folder, and what gleaner keeps in
/// one of its name beside a folder of another file system.
fn is_hidden(folder: Option<&RelativePath>, name: &[u8]) -> bool {
    match folder {
        None => name == CONTROL_FOLDER,
        Some(folder) => folder.file_name() == CONTROL_FOLDER && (name == STAGING || name == QUARANTINE),
    }
}
