//! Reads the visible store: checks single copies against the record and lists what is stored. Changes
//! nothing.

use std::io;
use std::sync::Arc;

use engine::ports::{CopyCheck, ListedFile, Unlisted};
use model::names::CONTROL_FOLDER;
use model::{Digest, RelativePath, escaped};
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind, FolderEntry};
use crate::fault::is;
use crate::files::digest_range;
use crate::folder::StoreFolder;
use crate::quarantine::QUARANTINE;
use crate::staging_area::STAGING;

/// A stored copy as it was read.
struct ReadCopy {
    kind: EntryKind,
    size: u64,
    /// `None` if the copy is not a file of the expected size, or became shorter while it was read.
    digest: Option<Digest>,
}

impl<D: Disk> StoreFolder<D> {
    /// Reads a stored copy from the disk and compares it. Changes nothing and follows no links.
    pub(crate) fn check_copy(&self, name: &RelativePath, size: u64, digest: &Digest) -> CopyCheck {
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

    /// Walks all visible files of the store, without the control folder. Memory grows with the depth of the
    /// store, not with the number of files.
    pub(crate) fn walk(&self) -> Walk<D> {
        Walk {
            store: self.clone(),
            folders: Vec::new(),
            has_begun: false,
        }
    }
}

/// A walk over the visible files. After an error it continues with the next entry that can be read.
pub(crate) struct Walk<D: Disk> {
    store: StoreFolder<D>,
    folders: Vec<WalkedFolder<D>>,
    has_begun: bool,
}

struct WalkedFolder<D: Disk> {
    folder: Arc<D::Folder>,
    path: Option<RelativePath>,
    entries: D::Entries,
}

impl<D: Disk> Iterator for Walk<D> {
    type Item = Result<ListedFile, Unlisted>;

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
                Some(Err(error)) => {
                    let fault = unlisted_folder(current.path.as_ref(), &error);
                    self.folders.pop();
                    return Some(Err(fault));
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
    /// Enters a folder, or returns a regular file. `None` for any other entry, and for one that is gone.
    fn visit(&mut self, entry: &FolderEntry) -> Result<Option<ListedFile>, Unlisted> {
        let Some(current) = self.folders.last() else {
            return Ok(None);
        };
        let folder = Arc::clone(&current.folder);
        let shown = match &current.path {
            Some(path) => format!("{path}/{}", escaped(&entry.name)),
            None => escaped(&entry.name),
        };
        let fault = |error: io::Error| Unlisted {
            name: shown,
            reason: error.to_string(),
        };
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
        let is_file = status.kind == EntryKind::File;
        Ok(is_file.then_some(ListedFile {
            name,
            size: status.size,
        }))
    }

    fn enter(&mut self, folder: Arc<D::Folder>, path: Option<RelativePath>) -> Result<(), Unlisted> {
        let entries = self.store.disk.entries(&folder);
        let entries = entries.map_err(|error| unlisted_folder(path.as_ref(), &error))?;
        self.folders.push(WalkedFolder {
            folder,
            path,
            entries,
        });
        Ok(())
    }
}

fn unlisted_folder(path: Option<&RelativePath>, error: &io::Error) -> Unlisted {
    Unlisted {
        name: path.map(RelativePath::to_string).unwrap_or_default(),
        reason: error.to_string(),
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
