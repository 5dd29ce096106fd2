//! The folders of the visible store: opened beneath the store, made where missing, and flushed with those above them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use engine::ports::{PublishFault, StoreError};
use rustix::io::Errno;

use crate::disk::{Disk, NodeIdentity};
use crate::fault::{errno, is};
use crate::foresee::obstructed;
use crate::shared::{Handles, Shared};

/// What went wrong: with one name, or with the store.
#[derive(Debug)]
pub(crate) enum Trouble {
    One(PublishFault),
    All(StoreError),
}

/// A folder of the visible store by its path from the store on, empty for the store itself, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFolder {
    pub(crate) path: Vec<u8>,
    pub(crate) identity: NodeIdentity,
}

impl<D: Disk> Shared<D> {
    /// What a failed call on one name means. What every other name would meet too ends the sweep.
    pub(crate) fn trouble(&self, operation: &str, error: io::Error) -> Trouble {
        match errno(&error) {
            Some(Errno::NAMETOOLONG) => Trouble::One(PublishFault::Unacceptable("it is too long".to_owned())),
            Some(Errno::INVAL | Errno::ILSEQ) => Trouble::One(PublishFault::Forbidden(
                "its file system does not take these characters".to_owned(),
            )),
            Some(Errno::XDEV) => Trouble::One(PublishFault::Failed(
                "its folder is on another file system than the one beside which it was received".to_owned(),
            )),
            _ if is_about_the_store(&error) => Trouble::All(self.place.fault(operation, error)),
            _ => Trouble::One(PublishFault::Failed(format!("failed to {operation}: {error}"))),
        }
    }

    /// Opens a folder, making it and those above it where they are missing. Never passes through a symbolic link.
    pub(crate) fn open_or_make(&self, handles: &Handles<D>, path: &[u8]) -> Result<D::Folder, Trouble> {
        if let Ok(folder) = self.disk.open_folder(&handles.root, path) {
            return Ok(folder);
        }
        let mut folder: Option<D::Folder> = None;
        for (depth, component) in path.split(|byte| *byte == b'/').enumerate() {
            let above = folder.as_ref().unwrap_or(&handles.root);
            folder = Some(self.open_or_make_one(above, component, depth)?);
        }
        folder.ok_or_else(|| Trouble::One(PublishFault::Failed("it has no folder".to_owned())))
    }

    fn open_or_make_one(&self, above: &D::Folder, name: &[u8], depth: usize) -> Result<D::Folder, Trouble> {
        let mut was_made = false;
        let mut opened = self.disk.open_folder(above, name);
        if opened.as_ref().is_err_and(|error| is(error, Errno::NOENT)) {
            match self.disk.make_folder(above, name) {
                Ok(()) => was_made = true,
                // Somebody else made it just now.
                Err(error) if is(&error, Errno::EXIST) => {}
                Err(error) => return Err(self.trouble("make a folder", error)),
            }
            opened = self.disk.open_folder(above, name);
        }
        let folder = opened.map_err(|error| match errno(&error) {
            Some(Errno::NOTDIR | Errno::LOOP) => Trouble::One(obstructed(&*self.disk, above, name, depth)),
            _ => self.trouble("open a folder", error),
        })?;
        if let (true, Some(mode)) = (was_made, self.settings.dir_mode) {
            self.disk
                .set_folder_mode(&folder, mode)
                .map_err(|error| self.trouble("set the mode of a folder", error))?;
        }
        Ok(folder)
    }

    /// Opens a folder as it is now; `None` if there is none (any more).
    fn look_at(
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
                Err(error) => return Err(self.place.fault("open a folder", error)),
            }
        };
        let status = self
            .disk
            .folder_status(folder.handle(handles))
            .map_err(|error| self.place.fault("look at a folder", error))?;
        Ok(Some((folder, status.identity)))
    }

    /// Which folders must be flushed so that names in `parents` are durable: they themselves, and each folder above one whose own
    /// name is not known to be durable.
    pub(crate) fn plan_flushes(
        &self,
        handles: &Handles<D>,
        parents: Vec<FoundFolder>,
    ) -> Result<FlushPlan, StoreError> {
        let mut plan = FlushPlan::default();
        for parent in &parents {
            plan.folders.insert(parent.path.clone(), parent.identity);
        }
        let mut climbed = BTreeSet::new();
        for parent in parents {
            let mut at = parent;
            while !at.path.is_empty()
                && !self.flushed.knows(&at.path, at.identity)
                && climbed.insert(at.path.clone())
            {
                let above = above(&at.path).to_vec();
                let identity = match plan.folders.get(&above) {
                    Some(identity) => *identity,
                    None => match self.look_at(handles, &above)? {
                        Some((_, identity)) => identity,
                        None => {
                            plan.gone.insert(above);
                            break;
                        }
                    },
                };
                plan.folders.insert(above.clone(), identity);
                at = FoundFolder {
                    path: above,
                    identity,
                };
            }
        }
        Ok(plan)
    }

    /// Flushes one folder; `false` if it is not the one any more that it was. A failure ends the sweep: nothing in it may be claimed.
    pub(crate) fn flush(&self, handles: &Handles<D>, folder: &FoundFolder) -> Result<bool, StoreError> {
        let Some((open, identity)) = self.look_at(handles, &folder.path)? else {
            return Ok(false);
        };
        if identity != folder.identity {
            return Ok(false);
        }
        self.disk
            .flush_folder(open.handle(handles))
            .map_err(|error| self.place.fault("flush a folder", error))?;
        Ok(true)
    }

    /// Takes note of the folders that a plan has made durable under their names.
    pub(crate) fn learn(&self, plan: &FlushPlan) {
        let durable = plan.folders.iter().filter(|(path, _)| !plan.is_gone(path));
        self.flushed
            .learn(durable.map(|(path, identity)| (path.clone(), *identity)));
    }

    /// Flushes a folder and those above it, one after the other; `false` if it was moved away meanwhile.
    pub(crate) fn flush_with_those_above(
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
        self.learn(&plan);
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

/// Folders to flush, and folders that turned out to have been moved or removed by somebody.
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

    /// Whether a folder, or one above it, is gone from its place.
    pub(crate) fn is_gone(&self, path: &[u8]) -> bool {
        let beneath = |gone: &Vec<u8>| match path.strip_prefix(gone.as_slice()) {
            Some(rest) => gone.is_empty() || matches!(rest.first(), None | Some(b'/')),
            None => false,
        };
        self.gone.iter().any(beneath)
    }
}

/// The folder that a folder is in; empty for the store itself.
fn above(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

/// Whether there is no such thing (any more), or something else in its place.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Whether an error would meet every other file too.
pub(crate) fn is_about_the_store(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(
            Errno::NOSPC
                | Errno::DQUOT
                | Errno::ROFS
                | Errno::IO
                | Errno::STALE
                | Errno::NODEV
                | Errno::NXIO
                | Errno::TIMEDOUT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOTCONN
                | Errno::CONNRESET
                | Errno::SHUTDOWN
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_folder_that_is_gone_is_gone_too() {
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
}
