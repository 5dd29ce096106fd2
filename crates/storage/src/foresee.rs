//! Looking whether files can get their names, before anything is done to them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use engine::ports::{Destination, Obstacle, PublishFault, Room, StoreError};
use model::escaped;
use rustix::io::Errno;

use crate::areas::Area;
use crate::disk::{Disk, EntryKind, Status};
use crate::fault::{Place, errno, is};
use crate::folders::{Trouble, is_about_the_store};
use crate::publish::is_control_folder;
use crate::shared::{Handles, Shared};

type Answer = Result<Room, PublishFault>;

impl<D: Disk> Shared<D> {
    /// Looks at each folder once, and finds the staging area from which its files can be linked.
    pub(crate) fn foresee(&self, wanted: &[Destination]) -> Result<Vec<Answer>, StoreError> {
        let handles = self.handles();
        let mut places: BTreeMap<Vec<u8>, Result<Berth<D>, PublishFault>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(wanted.len());
        for destination in wanted {
            let path = folder_of(destination);
            if !places.contains_key(&path) {
                let berth = only_of_files(self.berth(&handles, &path))?;
                places.insert(path.clone(), berth);
            }
            answers.push(match places.get(&path) {
                Some(Ok(berth)) => only_of_files(self.fits(berth, destination))?,
                Some(Err(fault)) => Err(fault.clone()),
                None => Err(PublishFault::Failed("it was not looked at".to_owned())),
            });
        }
        Ok(answers)
    }

    fn berth(&self, handles: &Handles<D>, path: &[u8]) -> Result<Berth<D>, Trouble> {
        let disk = &*self.disk;
        let found = self.look_at_way(handles, path)?;
        let nearest = found.folder.as_ref().unwrap_or(&handles.root);
        let shown = match found.length {
            0 => "the store's own folder".to_owned(),
            length => escaped(path.get(..length).unwrap_or_default()),
        };
        let unusable = |error: io::Error| unusable(&self.place, &shown, error);
        disk.may_write(nearest).map_err(unusable)?;
        let status = disk.folder_status(nearest).map_err(unusable)?;
        let of_root = disk.folder_status(&handles.root).map_err(unusable)?;
        let is_of_store = is_same_mount(&status, &of_root);
        let area = if found.length == path.len() && !path.is_empty() && self.is_noted(handles, path) {
            self.area_beside(handles, path).map_err(unusable)?
        } else if is_of_store {
            Arc::clone(&handles.own)
        } else {
            self.area_on_mount(handles, path.get(..found.length).unwrap_or_default(), &status)
                .map_err(unusable)?
        };
        self.use_area(path, &area);
        Ok(Berth {
            room: self.room(
                nearest,
                area.beside.is_none(),
                status.identity.device_number,
                &shown,
            )?,
            missing: path.get(found.length..).unwrap_or_default().to_vec(),
            area,
        })
    }

    /// The area in the outermost folder that lies on the same mount and lets us make one.
    fn area_on_mount(&self, handles: &Handles<D>, path: &[u8], status: &Status) -> io::Result<Arc<Area<D>>> {
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        let mut last: io::Error = Errno::NOENT.into();
        for prefix in ends.filter_map(|end| path.get(..end)) {
            let folder = self.disk.open_folder(&handles.root, prefix)?;
            if !is_same_mount(&self.disk.folder_status(&folder)?, status) {
                continue;
            }
            match self.area_beside(handles, prefix) {
                Ok(area) => return Ok(area),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn room(
        &self,
        folder: &D::Folder,
        is_of_store: bool,
        file_system: u64,
        shown: &str,
    ) -> Result<Room, Trouble> {
        if is_of_store {
            return Ok(Room::OfStore);
        }
        let space = self.disk.space(folder);
        let space = space.map_err(|error| unusable(&self.place, shown, error))?;
        Ok(Room::Other {
            file_system,
            bytes: space.available.saturating_sub(self.settings.min_free),
        })
    }

    /// Whether a file of that name and size can lie there at all.
    fn fits(&self, berth: &Berth<D>, destination: &Destination) -> Result<Room, Trouble> {
        if is_control_folder(destination.name.as_bytes()) {
            return Err(one(
                "it would lie in the folder that belongs to gleaner",
                PublishFault::Unacceptable,
            ));
        }
        let folders = berth
            .missing
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty());
        for name in folders.chain([destination.name.file_name()]) {
            if is_unusual(name) {
                self.try_name(&berth.area, name)?;
            }
        }
        if let Some(limit) = self.disk.largest_file().filter(|limit| destination.size > *limit) {
            let detail =
                format!("gleaner's process may write no file beyond {limit} bytes (see `ulimit -f`)");
            return Err(Trouble::One(PublishFault::TooLarge(detail)));
        }
        if destination.size >= LARGE {
            self.try_size(&berth.area, destination.size)?;
        }
        Ok(berth.room)
    }

    /// Makes a file of that name in staging, where nobody sees it. A crash leaves an empty file there, which
    /// is tidied once it is old.
    fn try_name(&self, area: &Area<D>, name: &[u8]) -> Result<(), Trouble> {
        match self.in_turn(|| self.disk.create_file(&area.partial, name)) {
            Err(error) if is(&error, Errno::EXIST) => Ok(()),
            Err(error) => Err(self.trouble("try a name in staging", error)),
            Ok(file) => {
                drop(file);
                let removed = self.in_turn(|| self.disk.remove_file(&area.partial, name));
                removed.map_err(|error| self.trouble("remove what was tried in staging", error))
            }
        }
    }

    /// Reserves room for a file of that size, or writes its last byte where none can be reserved, and gives
    /// it back. What else may be wrong than the size shows when the file comes.
    fn try_size(&self, area: &Area<D>, size: u64) -> Result<(), Trouble> {
        let disk = &*self.disk;
        let name = format!("probe-{}", self.new_token().as_str()).into_bytes();
        let file = disk
            .create_file(&area.partial, &name)
            .map_err(|error| self.trouble("make a file in staging", error))?;
        let tried = match disk.preallocate(&file, size) {
            Err(error) if is(&error, Errno::OPNOTSUPP) || is(&error, Errno::NOSYS) => {
                disk.write_at(&file, &[0], size.saturating_sub(1)).map(drop)
            }
            reserved => reserved,
        };
        drop(file);
        // A crash before leaves a probe, which the next sweep removes.
        disk.remove_file(&area.partial, &name).unwrap_or_default();
        match tried {
            Err(error) if is(&error, Errno::FBIG) => {
                let detail = format!("its file system takes no file of {size} bytes");
                Err(Trouble::One(PublishFault::TooLarge(detail)))
            }
            _ => Ok(()),
        }
    }
}

/// No file system in use takes less: FAT of 16 bits, and servers that count in 32 bits with a sign.
const LARGE: u64 = (1 << 31) - 1;

/// Longer names are tried: encrypting file systems take 143 bytes.
const LONG: usize = 100;

/// Whether there are file systems that do not take a name.
fn is_unusual(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>:\"|?*\\".contains(byte) || *byte == b' ';
    name.len() > LONG || matches!(name.last(), Some(b'.' | b' ')) || !name.iter().all(is_plain)
}

/// Where the files of a folder will lie.
struct Berth<D: Disk> {
    area: Arc<Area<D>>,
    room: Room,
    /// The folders that are to be made.
    missing: Vec<u8>,
}

fn folder_of(destination: &Destination) -> Vec<u8> {
    let folder = destination.name.parent();
    folder.map_or_else(Vec::new, |folder| folder.as_bytes().to_vec())
}

/// As much of the way to a folder as there is.
struct Way<D: Disk> {
    /// The last folder on it; none for the root of the store.
    folder: Option<D::Folder>,
    /// How many bytes of the path lead there.
    length: usize,
}

impl<D: Disk> Shared<D> {
    /// Opens the folder, or how much of the way to it there is.
    fn look_at_way(&self, handles: &Handles<D>, path: &[u8]) -> Result<Way<D>, Trouble> {
        let (disk, root) = (&*self.disk, &*handles.root);
        let mut way = Way {
            folder: None,
            length: 0,
        };
        if path.is_empty() {
            return Ok(way);
        }
        if let Ok(folder) = disk.open_folder(root, path) {
            way.folder = Some(folder);
            way.length = path.len();
            return Ok(way);
        }
        for (depth, name) in path.split(|byte| *byte == b'/').enumerate() {
            let above = way.folder.as_ref().unwrap_or(root);
            match disk.open_folder(above, name) {
                Ok(folder) => {
                    way.length += name.len() + usize::from(depth > 0);
                    way.folder = Some(folder);
                }
                // A name that no folder there can have is tried in staging, and told as such.
                Err(error) if is_free(&error) => break,
                Err(error) if is(&error, Errno::NOTDIR) || is(&error, Errno::LOOP) => {
                    return Err(Trouble::One(obstructed(disk, above, name, depth)));
                }
                Err(error) => {
                    let end = way.length + name.len() + usize::from(depth > 0);
                    let shown = escaped(path.get(..end).unwrap_or_default());
                    return Err(unusable(&self.place, &shown, error));
                }
            }
        }
        Ok(way)
    }
}

/// Whether nothing has a name, or can have it.
fn is_free(error: &io::Error) -> bool {
    let numbers = [Errno::NOENT, Errno::NAMETOOLONG, Errno::INVAL, Errno::ILSEQ];
    errno(error).is_some_and(|number| numbers.contains(&number))
}

/// What stands where a folder should be.
pub(crate) fn obstructed<D: Disk>(disk: &D, above: &D::Folder, name: &[u8], depth: usize) -> PublishFault {
    let there = disk.status_at(above, name);
    let by = if there.is_ok_and(|status| status.kind == EntryKind::Link) {
        Obstacle::Link
    } else {
        Obstacle::File
    };
    PublishFault::Obstructed { depth, by }
}

fn is_same_mount(one: &Status, other: &Status) -> bool {
    one.identity.device_number == other.identity.device_number && one.mount == other.mount
}

fn unusable(place: &Place, shown: &str, error: io::Error) -> Trouble {
    if is_about_the_store(&error) && !is(&error, Errno::ROFS) {
        return Trouble::All(place.fault("look at a folder", error));
    }
    Trouble::One(PublishFault::Unusable(format!("{shown}: {error}")))
}

fn one(text: &str, fault: impl FnOnce(String) -> PublishFault) -> Trouble {
    Trouble::One(fault(text.to_owned()))
}

fn only_of_files<T>(result: Result<T, Trouble>) -> Result<Result<T, PublishFault>, StoreError> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(Trouble::One(fault)) => Ok(Err(fault)),
        Err(Trouble::All(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::is_unusual;

    #[test]
    fn ordinary_names_cost_no_try() {
        for name in ["img_2026-12-01 12.00.00.jpg", "a+b=c (1).np", "day"] {
            assert!(!is_unusual(name.as_bytes()), "{name}");
        }
        for name in ["a:b", "end.", "end ", "\u{e9}", &"x".repeat(101), "tab\t"] {
            assert!(is_unusual(name.as_bytes()), "{name}");
        }
    }
}
