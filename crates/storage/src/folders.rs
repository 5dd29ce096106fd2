//! The folders of the visible store: opened beneath the store, made if missing, and flushed with those above
//! them.

use std::collections::{BTreeMap, BTreeSet};

use engine::ports::{Obstacle, PublishFault, StoreError};
use model::RelativePath;
use model::names::CONTROL_FOLDER;
use rustix::io::Errno;

use crate::disk::{Disk, EntryKind, NodeIdentity};
use crate::fault::{PublishError, errno, is, is_gone};
use crate::open_store::{Handles, OpenStore};

/// A folder of the visible store as it was found. Its path is relative to the store, and empty for the store
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFolder {
    pub(crate) path: Vec<u8>,
    pub(crate) identity: NodeIdentity,
}

impl<D: Disk> OpenStore<D> {
    /// Opens a folder, making it and those above it if they are missing. Never follows a symbolic link.
    ///
    /// A crash leaves some of the new folders, empty; they stay in the store.
    pub(crate) fn open_or_make(&self, handles: &Handles<D>, path: &[u8]) -> Result<D::Folder, PublishError> {
        if let Ok(folder) = self.disk.open_folder(&handles.root, path) {
            return Ok(folder);
        }
        let mut folder: Option<D::Folder> = None;
        for (depth, component) in path.split(|byte| *byte == b'/').enumerate() {
            let above = folder.as_ref().unwrap_or(&handles.root);
            folder = Some(self.open_or_make_one(above, component, depth)?);
        }
        folder.ok_or_else(|| PublishError::failed("it has no folder"))
    }

    fn open_or_make_one(
        &self,
        above: &D::Folder,
        name: &[u8],
        depth: usize,
    ) -> Result<D::Folder, PublishError> {
        let mut was_made = false;
        let mut opened = self.disk.open_folder(above, name);
        if opened.as_ref().is_err_and(|error| is(error, Errno::NOENT)) {
            match self.disk.make_folder(above, name) {
                Ok(()) => was_made = true,
                // Another process made it meanwhile.
                Err(error) if is(&error, Errno::EXIST) => {}
                Err(error) => return Err(self.label.publish_error("make a folder", error)),
            }
            opened = self.disk.open_folder(above, name);
        }
        let folder = opened.map_err(|error| match errno(&error) {
            Some(Errno::NOTDIR | Errno::LOOP) => {
                PublishError::File(obstructed(&*self.disk, above, name, depth))
            }
            _ => self.label.publish_error("open a folder", error),
        })?;
        if let (true, Some(mode)) = (was_made, self.settings.dir_mode) {
            self.disk
                .set_folder_mode(&folder, mode)
                .map_err(|error| self.label.publish_error("set the mode of a folder", error))?;
        }
        Ok(folder)
    }

    /// Opens the folder that has this path now; `None` if none has.
    fn open_current(
        &self,
        handles: &Handles<D>,
        path: &[u8],
    ) -> Result<Option<(OpenFolder<D>, NodeIdentity)>, StoreError> {
        let folder = if path.is_empty() {
            OpenFolder::Root
        } else {
            match self.disk.open_folder(&handles.root, path) {
                Ok(folder) => OpenFolder::Beneath(folder),
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(self.label.fault("open a folder", error)),
            }
        };
        let status = self
            .disk
            .folder_status(folder.handle(handles))
            .map_err(|error| self.label.fault("inspect a folder", error))?;
        Ok(Some((folder, status.identity)))
    }

    /// The folders to flush so that names in `parents` are durable: these folders themselves, and the parent
    /// of each folder whose own name is not known to be durable.
    pub(crate) fn plan_flushes(
        &self,
        handles: &Handles<D>,
        parents: Vec<FoundFolder>,
    ) -> Result<FlushPlan, StoreError> {
        let mut plan = FlushPlan::default();
        for parent in &parents {
            plan.folders.insert(parent.path.clone(), parent.identity);
        }
        let mut visited = BTreeSet::new();
        for parent in parents {
            let mut at = parent;
            while !at.path.is_empty()
                && !self.durable_folders.contains(&at.path, at.identity)
                && visited.insert(at.path.clone())
            {
                let parent_path = parent_of(&at.path).to_vec();
                let identity = match plan.folders.get(&parent_path) {
                    Some(identity) => *identity,
                    None => match self.open_current(handles, &parent_path)? {
                        Some((_, identity)) => identity,
                        None => {
                            plan.gone.insert(parent_path);
                            break;
                        }
                    },
                };
                plan.folders.insert(parent_path.clone(), identity);
                at = FoundFolder {
                    path: parent_path,
                    identity,
                };
            }
        }
        Ok(plan)
    }

    /// Flushes one folder; `false` if another folder, or none, has its path now. A failure ends the sweep: no
    /// file in the folder may count as stored.
    pub(crate) fn flush(&self, handles: &Handles<D>, folder: &FoundFolder) -> Result<bool, StoreError> {
        let Some((open, identity)) = self.open_current(handles, &folder.path)? else {
            return Ok(false);
        };
        if identity != folder.identity {
            return Ok(false);
        }
        self.disk
            .flush_folder(open.handle(handles))
            .map_err(|error| self.label.fault("flush a folder", error))?;
        Ok(true)
    }

    /// Remembers the folders whose names a plan has made durable.
    pub(crate) fn remember_flushed(&self, plan: &FlushPlan) {
        let durable = plan.folders.iter().filter(|(path, _)| !plan.is_gone(path));
        self.durable_folders
            .extend(durable.map(|(path, identity)| (path.clone(), *identity)));
    }

    /// Flushes a folder and those above it in turn; `false` if it was moved or removed meanwhile.
    pub(crate) fn flush_with_ancestors(
        &self,
        handles: &Handles<D>,
        folder: FoundFolder,
    ) -> Result<bool, StoreError> {
        let path = folder.path.clone();
        let mut plan = self.plan_flushes(handles, vec![folder])?;
        for folder in plan.to_flush() {
            if !self.flush(handles, &folder)? {
                plan.gone.insert(folder.path);
            }
        }
        self.remember_flushed(&plan);
        Ok(!plan.is_gone(&path))
    }
}

enum OpenFolder<D: Disk> {
    Root,
    Beneath(D::Folder),
}

impl<D: Disk> OpenFolder<D> {
    fn handle<'a>(&'a self, handles: &'a Handles<D>) -> &'a D::Folder {
        match self {
            Self::Root => &handles.root,
            Self::Beneath(folder) => folder,
        }
    }
}

/// The folders to flush, and those that another process was found to have moved or removed.
#[derive(Debug, Default)]
pub(crate) struct FlushPlan {
    folders: BTreeMap<Vec<u8>, NodeIdentity>,
    pub(crate) gone: BTreeSet<Vec<u8>>,
}

impl FlushPlan {
    pub(crate) fn to_flush(&self) -> Vec<FoundFolder> {
        let folders = self.folders.iter();
        folders
            .map(|(path, identity)| FoundFolder {
                path: path.clone(),
                identity: *identity,
            })
            .collect()
    }

    /// Whether a folder, or one above it, was moved or removed.
    pub(crate) fn is_gone(&self, path: &[u8]) -> bool {
        let beneath = |gone: &Vec<u8>| match path.strip_prefix(gone.as_slice()) {
            Some(rest) => gone.is_empty() || matches!(rest.first(), None | Some(b'/')),
            None => false,
        };
        self.gone.iter().any(beneath)
    }
}

/// The fault for a component of a path that is not a folder.
pub(crate) fn obstructed<D: Disk>(disk: &D, above: &D::Folder, name: &[u8], depth: usize) -> PublishFault {
    let there = disk.status_at(above, name);
    let by = if there.is_ok_and(|status| status.kind == EntryKind::Link) {
        Obstacle::Link
    } else {
        Obstacle::File
    };
    PublishFault::Obstructed { depth, by }
}

/// The path of the folder that contains a file; empty for the store itself.
pub(crate) fn folder_of(name: &RelativePath) -> Vec<u8> {
    let folder = name.parent();
    folder.map_or_else(Vec::new, |folder| folder.as_bytes().to_vec())
}

/// The path of the folder that contains a folder; empty for the store itself.
fn parent_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

/// Whether a path leads into a control folder, including on file systems that fold case or drop trailing dots
/// and blanks. A control folder can be inside any folder, because files are received beside folders. The
/// engine never requests such a name; this is a second check.
pub(crate) fn is_control_folder(path: &[u8]) -> bool {
    let is_control = |name: &[u8]| {
        let end = name
            .trim_ascii_end()
            .iter()
            .rposition(|byte| !matches!(byte, b'.' | b' '))
            .map_or(0, |last| last + 1);
        name.get(..end)
            .is_some_and(|name| name.eq_ignore_ascii_case(CONTROL_FOLDER))
    };
    path.split(|byte| *byte == b'/').any(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_a_folder_that_is_gone_is_gone() {
        let mut plan = FlushPlan::default();
        plan.gone.insert(b"a/b".to_vec());
        for (path, gone) in [
            (&b"a/b"[..], true),
            (b"a/b/c", true),
            (b"a/bc", false),
            (b"a", false),
            (b"", false),
        ] {
            assert_eq!(plan.is_gone(path), gone, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn the_control_folder_is_recognised_in_every_equivalent_spelling() {
        for name in [
            ".gleaner",
            ".GLEANER/a",
            ".Gleaner. ./b/c",
            ".gleaner ",
            "a/.gleaner/b",
        ] {
            assert!(is_control_folder(name.as_bytes()), "{name}");
        }
        for name in [
            ".gleaner~",
            "a/.gleaner-x",
            ".gleaner-withdrawn/x",
            "gleaner",
            "...",
        ] {
            assert!(!is_control_folder(name.as_bytes()), "{name}");
        }
    }
}
