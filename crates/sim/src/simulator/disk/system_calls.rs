//! The system calls of the disk.

use std::io;
use std::path::Path;

use engine::ports::Clock as _;
use model::Timestamp;
use rustix::io::Errno;
use storage::Disk;
use storage::disk::{Access, EntryKind, FolderEntry, Space, Status};

use super::volume::{Content, EntryChange, FileChange, FileContent, FolderContent, ROOT, Volume};
use super::{OpenNode, SimulatedDisk};

/// The entries of a folder at one moment.
pub type FolderEntries = std::vec::IntoIter<io::Result<FolderEntry>>;

impl SimulatedDisk {
    fn inspect<T>(&self, node: OpenNode, inspect: impl FnOnce(&Volume) -> Result<T, Errno>) -> io::Result<T> {
        Ok(inspect(self.lock().volume(node)?)?)
    }

    /// Applies one effect to the volume of a node.
    fn change<T>(
        &self,
        node: OpenNode,
        what: impl FnOnce() -> String,
        act: impl FnOnce(&mut Volume, Timestamp) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let now = self.clock.now();
        let mut state = self.lock();
        let power = state.power.clone();
        Ok(power.effect(what, || {
            let volume = state.volume_for_effect(node)?;
            if volume.read_only || volume.has_stopped {
                return Err(Errno::ROFS);
            }
            act(volume, now)
        })?)
    }

    fn change_entries(
        &self,
        operation: &str,
        node: OpenNode,
        name: &[u8],
        act: impl FnOnce(&mut Volume, Timestamp) -> Result<(), Errno>,
    ) -> io::Result<()> {
        self.change(node, || format!("{operation} {}", name.escape_ascii()), act)
    }

    fn flush_content(&self, file: OpenNode) -> io::Result<()> {
        let mut state = self.lock();
        let power = state.power.clone();
        Ok(power.effect(
            || format!("flush file {}", file.inode),
            || {
                state.volume_for_effect(file)?;
                state.flush(file.volume, file.inode)
            },
        )?)
    }
}

impl Disk for SimulatedDisk {
    type Folder = OpenNode;
    type File = OpenNode;
    type Entries = FolderEntries;

    fn open_root(&self, path: &Path) -> io::Result<OpenNode> {
        let state = self.lock();
        let generation = state.generation;
        if let Some(volume) = state.mounts.get(path) {
            return Ok(OpenNode {
                volume: *volume,
                inode: ROOT,
                generation,
            });
        }
        let root = state.volumes.get(&1).ok_or(Errno::NOENT)?;
        let relative = path.strip_prefix("/").map_err(|_| Errno::NOENT)?;
        let inode = root.walk(ROOT, relative.as_os_str().as_encoded_bytes())?;
        Ok(OpenNode {
            volume: 1,
            inode,
            generation,
        })
    }

    fn open_folder(&self, at: &OpenNode, path: &[u8]) -> io::Result<OpenNode> {
        let mut state = self.lock();
        let volume = state.volume(*at)?;
        let inode = volume.walk(at.inode, path)?;
        volume.folder(inode)?;
        Ok(OpenNode { inode, ..*at })
    }

    fn make_folder(&self, at: &OpenNode, name: &[u8]) -> io::Result<()> {
        self.change_entries("make folder", *at, name, |volume, now| {
            let folder = Content::Folder(FolderContent::default());
            volume.make(at.inode, name, folder, now).map(drop)
        })
    }

    fn create_file(&self, at: &OpenNode, name: &[u8]) -> io::Result<OpenNode> {
        let what = || format!("create {}", name.escape_ascii());
        let inode = self.change(*at, what, |volume, now| {
            volume.make(at.inode, name, Content::File(FileContent::default()), now)
        })?;
        Ok(OpenNode { inode, ..*at })
    }

    fn open_file(&self, at: &OpenNode, path: &[u8], _: Access) -> io::Result<OpenNode> {
        let mut state = self.lock();
        let inode = state.volume(*at)?.walk(at.inode, path)?;
        Ok(OpenNode { inode, ..*at })
    }

    fn avoid_cache(&self, _: &mut OpenNode, _: &OpenNode, _: &[u8]) {}

    fn write_at(&self, file: &OpenNode, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let at = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
        let short_transfers = self.lock().faults.short_transfers && bytes.len() > 1;
        let count = if short_transfers {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        let bytes = bytes.get(..count).unwrap_or(bytes).to_vec();
        let what = || format!("write {count} at {offset} to file {}", file.inode);
        self.change(*file, what, |volume, now| {
            let size = volume.file(file.inode)?.cached.len();
            let end = u64::try_from(at + bytes.len()).unwrap_or(u64::MAX);
            if volume.largest_file.is_some_and(|largest| end > largest) {
                return Err(Errno::FBIG);
            }
            let more = (at + bytes.len()).saturating_sub(size);
            volume.check_room(u64::try_from(more).unwrap_or(u64::MAX))?;
            let write = FileChange::Write { at, bytes };
            volume.change_file(file.inode, write, now)
        })?;
        Ok(count)
    }

    fn read_at(&self, file: &OpenNode, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let short_transfers = self.lock().faults.short_transfers;
        self.inspect(*file, |volume| {
            let content = &volume.file(file.inode)?.cached;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let left = content.get(from..).unwrap_or_default();
            let wanted = if short_transfers && buffer.len() > 1 {
                buffer.len() / 2
            } else {
                buffer.len()
            };
            let count = left.len().min(wanted);
            for (to, byte) in buffer.iter_mut().zip(left.iter().take(count)) {
                *to = *byte;
            }
            Ok(count)
        })
    }

    fn truncate(&self, file: &OpenNode, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| Errno::FBIG)?;
        let what = || format!("truncate file {} to {length}", file.inode);
        self.change(*file, what, |volume, now| {
            volume.change_file(file.inode, FileChange::Resize(length), now)
        })
    }

    fn preallocate(&self, file: &OpenNode, length: u64) -> io::Result<()> {
        self.inspect(*file, |volume| volume.check_room(length))
    }

    fn set_modified(&self, file: &OpenNode, modified: Timestamp) -> io::Result<()> {
        let what = || format!("set the time of file {}", file.inode);
        self.change(*file, what, |volume, now| {
            let node = volume.node_mut(file.inode)?;
            (node.modified, node.changed) = (modified, now);
            Ok(())
        })
    }

    fn set_file_mode(&self, file: &OpenNode, _: u32) -> io::Result<()> {
        let what = || format!("set the mode of file {}", file.inode);
        self.change(*file, what, |volume, now| {
            volume.node_mut(file.inode)?.changed = now;
            Ok(())
        })
    }

    fn set_folder_mode(&self, folder: &OpenNode, mode: u32) -> io::Result<()> {
        self.set_file_mode(folder, mode)
    }

    fn flush_file(&self, file: &OpenNode) -> io::Result<()> {
        self.flush_content(*file)
    }

    fn flush_bytes(&self, file: &OpenNode) -> io::Result<()> {
        self.flush_content(*file)
    }

    fn flush_folder(&self, folder: &OpenNode) -> io::Result<()> {
        let mut state = self.lock();
        let power = state.power.clone();
        let what = || format!("flush folder {}", folder.inode);
        Ok(power.effect(what, || state.flush_folder(*folder))?)
    }

    fn start_write_out(&self, _: &OpenNode, _: u64, _: u64) {}

    fn drop_cache(&self, file: &OpenNode, _: u64, _: u64) {
        let mut state = self.lock();
        if let Ok(file) = state.volume(*file).and_then(|volume| volume.file_mut(file.inode))
            && file.unflushed.is_empty()
        {
            file.cached.clone_from(&file.durable);
        }
    }

    fn link(&self, from: &OpenNode, from_name: &[u8], to: &OpenNode, to_name: &[u8]) -> io::Result<()> {
        self.change_entries("link", *to, to_name, |volume, now| {
            let inode = volume.child(from.inode, from_name)?;
            if !volume.has_links {
                return Err(Errno::PERM);
            }
            volume.check_new_name(to.inode, to_name)?;
            volume.check_division(from.inode, to.inode)?;
            volume.node_mut(inode)?.changed = now;
            volume.change_entry(to.inode, EntryChange::Add(to_name.to_vec(), inode), now)
        })
    }

    fn rename_without_replacing(
        &self,
        from: &OpenNode,
        from_name: &[u8],
        to: &OpenNode,
        to_name: &[u8],
    ) -> io::Result<()> {
        self.change_entries("rename (new)", *to, to_name, |volume, now| {
            volume.child(from.inode, from_name)?;
            volume.check_new_name(to.inode, to_name)?;
            volume.check_division(from.inode, to.inode)?;
            volume.rename((from.inode, from_name), (to.inode, to_name), now)
        })
    }

    fn rename(&self, from: &OpenNode, from_name: &[u8], to: &OpenNode, to_name: &[u8]) -> io::Result<()> {
        self.change_entries("rename", *to, to_name, |volume, now| {
            volume.check_division(from.inode, to.inode)?;
            volume.rename((from.inode, from_name), (to.inode, to_name), now)
        })
    }

    fn remove_file(&self, at: &OpenNode, name: &[u8]) -> io::Result<()> {
        self.change_entries("remove", *at, name, |volume, now| {
            let inode = volume.child(at.inode, name)?;
            volume.file(inode)?;
            volume.node_mut(inode)?.changed = now;
            volume.change_entry(at.inode, EntryChange::Remove(name.to_vec()), now)
        })
    }

    fn remove_folder(&self, at: &OpenNode, name: &[u8]) -> io::Result<()> {
        self.change_entries("remove folder", *at, name, |volume, now| {
            let inode = volume.child(at.inode, name)?;
            if !volume.folder(inode)?.cached.is_empty() {
                return Err(Errno::NOTEMPTY);
            }
            volume.change_entry(at.inode, EntryChange::Remove(name.to_vec()), now)
        })
    }

    fn may_write(&self, folder: &OpenNode) -> io::Result<()> {
        self.inspect(*folder, |volume| {
            if volume.read_only || volume.has_stopped {
                Err(Errno::ROFS)
            } else {
                Ok(())
            }
        })
    }

    fn largest_file(&self) -> Option<u64> {
        None
    }

    fn file_status(&self, file: &OpenNode) -> io::Result<Status> {
        self.inspect(*file, |volume| volume.status(file.inode))
    }

    fn folder_status(&self, folder: &OpenNode) -> io::Result<Status> {
        self.file_status(folder)
    }

    fn status_at(&self, at: &OpenNode, name: &[u8]) -> io::Result<Status> {
        self.inspect(*at, |volume| volume.status(volume.child(at.inode, name)?))
    }

    fn entries(&self, folder: &OpenNode) -> io::Result<FolderEntries> {
        self.inspect(*folder, |volume| {
            let entries = volume.folder(folder.inode)?.cached.iter();
            let entries: Vec<_> = entries
                .map(|(name, inode)| {
                    let kind = volume
                        .status(*inode)
                        .map_or(EntryKind::Unknown, |status| status.kind);
                    Ok(FolderEntry {
                        name: name.clone(),
                        kind,
                    })
                })
                .collect();
            Ok(entries.into_iter())
        })
    }

    fn space(&self, folder: &OpenNode) -> io::Result<Space> {
        self.inspect(*folder, |volume| {
            let total = volume.capacity.unwrap_or(1 << 40);
            Ok(Space {
                available: total.saturating_sub(volume.used()),
                total,
                files_available: None,
                read_only: volume.read_only || volume.has_stopped,
            })
        })
    }

    fn unique_number(&self) -> u64 {
        let mut state = self.lock();
        state.numbers = state.numbers.wrapping_add(1);
        crate::simulator::rng::Rng::new(state.numbers).next_u64()
    }
}
