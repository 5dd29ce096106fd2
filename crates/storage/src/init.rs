//! Makes a folder a store.

use std::path::Path;
use std::sync::Arc;

use engine::ports::StoreError;
use model::names::CONTROL_FOLDER;
use model::{StoreId, Timestamp};
use rustix::io::Errno;

use crate::disk::Disk;
use crate::fault::{StoreLabel, errno};
use crate::files::{open_or_make_folder, replace_file};
use crate::folder::StoreFolder;
use crate::marker::{self, MARKER, Marker};
use crate::probe;

/// The options of `store init`.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Allows a store on the root file system.
    pub local: bool,
    /// Gives the store that has this id a new one.
    pub replace: Option<StoreId>,
    /// The time to write into the marker.
    pub now: Timestamp,
}

/// The result of `store init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initialised {
    /// The folder became a store.
    Made(StoreId),
    /// The folder was a store before. Nothing changed.
    Already(StoreId),
    /// The folder was a store before and has a new id.
    Replaced {
        /// The former id.
        old: StoreId,
        /// The new id.
        new: StoreId,
    },
}

impl Initialised {
    /// The id of the store now.
    pub fn id(&self) -> &StoreId {
        match self {
            Self::Made(id) | Self::Already(id) | Self::Replaced { new: id, .. } => id,
        }
    }
}

/// Why a folder did not become a store. Nothing visible changed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder does not exist.
    #[error("there is no folder {path}: create it first, or mount the file system that contains it")]
    Missing {
        /// The missing path.
        path: String,
    },
    /// The folder is on the root file system.
    #[error(
        "{path} is on the root file system: if the store should be on a mount, mount it first (an \
         unmounted path looks like an empty folder); to store files on this disk, pass --local"
    )]
    RootFileSystem {
        /// The folder.
        path: String,
    },
    /// The store's id is not the one to be replaced.
    #[error("the id of the store at {path} is {found}, not {named}")]
    OtherId {
        /// The store's path.
        path: String,
        /// The id that it has.
        found: StoreId,
        /// The id that the operator named.
        named: StoreId,
    },
    /// The folder is not a store, so it has no id to replace.
    #[error("{path} is not a store yet, so it has no id to replace")]
    NothingToReplace {
        /// The folder.
        path: String,
    },
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the folder at `path` a store, or reports that it is one. Files in the folder are not changed.
///
/// A crash leaves a folder that is not a store yet. Running this again makes it one.
pub fn init<D: Disk>(disk: &Arc<D>, path: &Path, options: &InitOptions) -> Result<Initialised, InitError> {
    let label = StoreLabel::new(path);
    let root = disk.open_root(path).map_err(|error| match errno(&error) {
        Some(Errno::NOENT | Errno::NOTDIR) => InitError::Missing {
            path: label.location(),
        },
        _ => label.fault("open the folder", error).into(),
    })?;
    let old = match StoreFolder::open(Arc::clone(disk), path, None) {
        Ok(store) => Some(store.marker.id),
        Err(StoreError::NoMarker { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match (&old, &options.replace) {
        (Some(found), None) => return Ok(Initialised::Already(found.clone())),
        (Some(found), Some(named)) if found != named => {
            return Err(InitError::OtherId {
                path: label.location(),
                found: found.clone(),
                named: named.clone(),
            });
        }
        (None, Some(_)) => {
            return Err(InitError::NothingToReplace {
                path: label.location(),
            });
        }
        _ => {}
    }
    if old.is_none() && !options.local && is_on_root_file_system(&**disk, &root, &label)? {
        return Err(InitError::RootFileSystem {
            path: label.location(),
        });
    }
    let new = write_marker(&**disk, &root, &label, options.now)?;
    Ok(match old {
        Some(old) => Initialised::Replaced { old, new },
        None => Initialised::Made(new),
    })
}

fn is_on_root_file_system<D: Disk>(
    disk: &D,
    root: &D::Folder,
    label: &StoreLabel,
) -> Result<bool, StoreError> {
    let number =
        |folder: &D::Folder| Ok::<_, std::io::Error>(disk.folder_status(folder)?.identity.device_number);
    let store = number(root).map_err(|error| label.fault("inspect the folder", error))?;
    let system = disk
        .open_root(Path::new("/"))
        .and_then(|system| number(&system))
        .map_err(|error| label.fault("inspect the root of the system", error))?;
    Ok(store == system)
}

/// If two processes do this at the same time, one marker remains; the other process notices at its next step.
fn write_marker<D: Disk>(
    disk: &D,
    root: &D::Folder,
    label: &StoreLabel,
    now: Timestamp,
) -> Result<StoreId, StoreError> {
    let making = |error| label.fault("make the control folder .gleaner", error);
    let control = open_or_make_folder(disk, root, CONTROL_FOLDER).map_err(making)?;
    let method = probe::publish_method(disk, &control)
        .map_err(|error| label.fault("try links and renames in .gleaner", error))?
        .ok_or_else(|| label.cannot_publish())?;
    let marker = Marker {
        id: new_id(disk),
        method,
    };
    replace_file(disk, &control, MARKER, &marker.render(now))
        .map_err(|error| label.fault("write .gleaner/store.toml", error))?;
    disk.flush_folder(root)
        .map_err(|error| label.fault("flush the folder", error))?;
    Ok(marker::read(disk, root, label)?.id)
}

fn new_id<D: Disk>(disk: &D) -> StoreId {
    let text = format!("{:016x}{:016x}", disk.unique_number(), disk.unique_number());
    // Thirty-two hexadecimal digits are always a valid id.
    StoreId::new(text.clone()).unwrap_or_else(|| unreachable!("{text} is an id"))
}
