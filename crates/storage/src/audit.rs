//! Looking at the visible store, and setting aside what was found bad.

use std::fmt;
use std::io;
use std::sync::Arc;

use engine::ports::StoreError;
use model::names::CONTROL_FOLDER;
use model::{Digest, RelativePath, Timestamp, escaped};
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind, FolderEntry};
use crate::fault::is;
use crate::files::{digest_range, open_or_make_folder};
use crate::folder::StoreFolder;
use crate::folders::FoundFolder;
use crate::shared::{STAGING, Shared};

/// What a stored copy is, compared with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
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
    pub fn check_copy(&self, name: &RelativePath, size: u64, digest: &Digest) -> Finding {
        match self.digest_copy(name, size) {
            Ok((kind, _, _)) if kind != EntryKind::File => {
                Finding::Different("it is no regular file".to_owned())
            }
            Ok((_, found, _)) if found != size => {
                Finding::Different(format!("it has {found} bytes instead of {size}"))
            }
            Ok((_, _, Some(found))) if found == *digest => Finding::Same,
            Ok((_, _, Some(found))) => Finding::Different(format!("its digest is {found}")),
            Ok((_, _, None)) => Finding::Different("it was cut while it was read".to_owned()),
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NOTDIR) => Finding::Missing,
            Err(error) if is(&error, Errno::LOOP) => {
                Finding::Different("it is a symbolic link, or lies behind one".to_owned())
            }
            Err(error) => Finding::Unreadable(error.to_string()),
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

const QUARANTINE: &[u8] = b"quarantine";

impl<D: Disk> Shared<D> {
    /// Moves a stored file to `.gleaner/quarantine/<number>/<name>`, into a folder made for it: so the rename can replace nothing. A crash on
    /// the way leaves the file under one of its two names.
    pub(crate) fn quarantine(&self, name: &RelativePath) -> Result<(), StoreError> {
        let fault = |error| self.place.fault(format!("move {name} into quarantine"), error);
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
            return Err(fault(io::Error::other("it is no regular file")));
        }
        match self.move_into_quarantine(&handles.control, name, from) {
            // Another file system is mounted there: it has a quarantine of its own.
            Err(error) if is(&error, Errno::XDEV) => {
                let control = open_or_make_folder(disk, from, CONTROL_FOLDER).map_err(fault)?;
                self.move_into_quarantine(&control, name, from).map_err(fault)?;
            }
            moved => moved.map_err(fault)?,
        }
        let path = parent.map_or_else(Vec::new, |parent| parent.as_bytes().to_vec());
        let identity = disk.folder_status(from).map_err(fault)?.identity;
        self.flush_with_those_above(&handles, FoundFolder { path, identity })?;
        Ok(())
    }

    /// Leaves no new folders where the file cannot be moved there.
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
