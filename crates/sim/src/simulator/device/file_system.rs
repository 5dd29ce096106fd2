//! The file system of a device: what cameras, owners and gleaner do to its files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{DeviceFile, DeviceState, Refusal};
use crate::simulator::naming::original_path;

impl DeviceState {
    /// Makes a finished recording. Returns `false` where that is impossible.
    pub fn record(&mut self, path: &[u8], bytes: &[u8]) -> bool {
        let inode = self.create(path);
        if let Some(inode) = inode {
            self.append(inode, bytes);
            self.close(inode);
        }
        inode.is_some()
    }

    /// Creates a file under a free name and holds it open for writing. `None` where that is impossible.
    pub(in crate::simulator) fn create(&mut self, path: &[u8]) -> Option<u64> {
        if self.is_full || self.card.names.contains_key(path) || !self.make_parents(path) {
            return None;
        }
        // The lowest free number, as on ext4: a number is soon reused for another file.
        let inode = (1..u64::MAX).find(|inode| !self.card.files.contains_key(inode))?;
        let now = self.now();
        let file = DeviceFile {
            bytes: Arc::default(),
            modified: now,
            changed: now,
            writers: 1,
            inspected_at: None,
            written_since: false,
        };
        self.card.files.insert(inode, file);
        self.card.names.insert(path.to_vec(), inode);
        Some(inode)
    }

    /// Opens an existing file for writing.
    pub fn open(&mut self, path: &[u8]) -> Option<u64> {
        let inode = *self.card.names.get(path)?;
        self.card.files.get_mut(&inode)?.writers += 1;
        Some(inode)
    }

    /// Appends to a file that is held open, whatever its current path.
    pub(in crate::simulator) fn append(&mut self, inode: u64, bytes: &[u8]) {
        let now = self.now();
        if let Some(file) = self.card.files.get_mut(&inode) {
            Arc::make_mut(&mut file.bytes).extend_from_slice(bytes);
            (file.modified, file.changed, file.written_since) = (now, now, true);
        }
    }

    /// Replaces the content of a file that is held open.
    pub fn overwrite(&mut self, inode: u64, bytes: &[u8]) {
        if let Some(file) = self.card.files.get_mut(&inode) {
            file.bytes = Arc::default();
        }
        self.append(inode, bytes);
    }

    /// Closes a file and returns its content.
    pub fn close(&mut self, inode: u64) -> Option<Arc<Vec<u8>>> {
        let file = self.card.files.get_mut(&inode)?;
        file.writers = file.writers.saturating_sub(1);
        let bytes = Arc::clone(&file.bytes);
        self.drop_nameless();
        Some(bytes)
    }

    /// Closes every open file.
    pub fn close_all(&mut self) {
        self.card.files.values_mut().for_each(|file| file.writers = 0);
        self.drop_nameless();
    }

    /// Sets the mtime of a file, as a copy that preserves times does.
    pub fn set_modified(&mut self, path: &[u8], ago: Duration) {
        let now = self.now();
        if let Some(file) = self
            .card
            .names
            .get(path)
            .and_then(|inode| self.card.files.get_mut(inode))
        {
            (file.modified, file.changed) = (now.minus(ago), now);
        }
    }

    /// Renames a file and returns the content of the file that it replaced, if any.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<Option<Arc<Vec<u8>>>, Refusal> {
        if !self.card.names.contains_key(from) {
            return Err(Refusal::Missing);
        }
        if self.is_full && parent(from) != parent(to) && !self.has_folder(parent(to)) {
            return Err(Refusal::Full);
        }
        if self.card.folders.contains(to) || !self.make_parents(to) {
            return Err(Refusal::Obstructed);
        }
        let inode = self.card.names.remove(from).ok_or(Refusal::Missing)?;
        let now = self.now();
        if let Some(file) = self.card.files.get_mut(&inode) {
            file.changed = now;
        }
        let replaced = self.card.names.insert(to.to_vec(), inode);
        let bytes = replaced
            .and_then(|inode| self.card.files.get(&inode))
            .map(|file| Arc::clone(&file.bytes));
        self.drop_nameless();
        Ok(bytes)
    }

    /// Removes a file and returns it.
    pub fn remove(&mut self, path: &[u8]) -> Option<DeviceFile> {
        let inode = self.card.names.remove(path)?;
        let file = self.card.files.get(&inode).cloned();
        self.drop_nameless();
        file
    }

    /// Records that the device inspects a file now.
    pub(in crate::simulator) fn note_inspection(&mut self, inode: u64) {
        if let Some(file) = self.card.files.get_mut(&inode) {
            (file.inspected_at, file.written_since) = (Some(Instant::now()), false);
        }
    }

    /// Whether a file still has a name.
    pub(in crate::simulator) fn is_named(&self, inode: u64) -> bool {
        self.card.names.values().any(|named| *named == inode)
    }

    /// Removes a folder if it is empty.
    pub(in crate::simulator) fn remove_folder(&mut self, path: &[u8]) {
        let is_inside = |name: &Vec<u8>| is_beneath(name, path);
        if !self.card.names.keys().any(is_inside) && !self.card.folders.iter().any(is_inside) {
            self.card.folders.remove(path);
        }
    }

    /// The inode number and content of the file with this name.
    pub fn file(&self, path: &[u8]) -> Option<(u64, &DeviceFile)> {
        let inode = *self.card.names.get(path)?;
        Some((inode, self.card.files.get(&inode)?))
    }

    /// A file by its inode number, whatever its name.
    pub(in crate::simulator) fn node(&self, inode: u64) -> Option<&DeviceFile> {
        self.card.files.get(&inode)
    }

    /// Every file with its name.
    pub fn files(&self) -> impl Iterator<Item = (&Vec<u8>, &DeviceFile)> {
        let names = self.card.names.iter();
        names.filter_map(|(path, inode)| Some((path, self.card.files.get(inode)?)))
    }

    /// Every folder.
    pub fn folders(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.card.folders.iter()
    }

    /// Whether some file of this device has exactly these bytes.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        self.files().any(|(_, file)| file.bytes.as_slice() == bytes)
    }

    /// Whether some file of this device has exactly these bytes, and has this path or had it before it was
    /// withdrawn.
    pub(in crate::simulator) fn holds_of(&self, path: &[u8], bytes: &[u8]) -> bool {
        self.files()
            .any(|(at, file)| file.bytes.as_slice() == bytes && original_path(at) == path)
    }

    pub(in crate::simulator) fn make_parents(&mut self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let parents: Vec<&[u8]> = ends.filter_map(|(end, _)| path.get(..end)).collect();
        if parents.iter().any(|parent| self.card.names.contains_key(*parent)) {
            return false;
        }
        self.card.folders.extend(parents.into_iter().map(<[u8]>::to_vec));
        !self.card.folders.contains(path)
    }

    pub(in crate::simulator) fn has_folder(&self, path: &[u8]) -> bool {
        path.is_empty() || self.card.folders.contains(path)
    }

    pub(super) fn drop_nameless(&mut self) {
        let named: BTreeSet<u64> = self.card.names.values().copied().collect();
        self.card
            .files
            .retain(|inode, file| file.writers > 0 || named.contains(inode));
    }
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

fn is_beneath(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}
