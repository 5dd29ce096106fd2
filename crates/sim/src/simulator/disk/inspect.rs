//! What the checkers read from the disk, and how something other than gleaner changes the store. Neither
//! counts as an effect.

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, Timestamp};

use super::SimulatedDisk;
use super::crash::CrashLoss;
use super::volume::{Content, FileContent, FolderContent, ROOT, StoredFile, Volume};

/// The name of the control folders, whose files are not visible.
const CONTROL: &[u8] = b".gleaner";

impl SimulatedDisk {
    /// Every visible file of the store with its name.
    pub fn visible(&self) -> BTreeMap<Vec<u8>, StoredFile> {
        let mut files = self.everything_in_store();
        files.retain(|name, _| !is_control(name));
        files
    }

    /// The content of a file of the store.
    pub fn read(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = None;
        self.store(|volume| {
            let file = volume.walk(ROOT, name).and_then(|inode| volume.file(inode));
            bytes = file.ok().map(|file| file.cached.clone());
        });
        bytes
    }

    /// Puts a file durably into the store as another program does, and creates its parent folders.
    pub fn put(&self, name: &[u8], bytes: &[u8]) -> Result<(), rustix::io::Errno> {
        let (now, mut made) = (self.now(), Ok(()));
        self.store(|volume| made = volume.put(name, bytes, now));
        made
    }

    /// Whether some visible file of the store has these bytes now and after every possible crash.
    pub fn surely_holds(&self, bytes: &[u8]) -> bool {
        let mut holds = false;
        self.store(|volume| {
            volume.visit(ROOT, &[], true, &mut |path, file, has_durable_name| {
                let is_it = file.cached == bytes && has_durable_name && file.seen().is_durable;
                holds |= is_it && !is_control(path);
            });
        });
        holds
    }

    /// The digests of the visible files that survive every possible crash.
    pub fn durable_contents(&self) -> BTreeSet<Digest> {
        let visible = self.visible().into_values();
        visible
            .filter(|file| file.is_durable)
            .map(|file| file.digest)
            .collect()
    }

    /// The names of the files in the staging folders of all collectors.
    pub fn staged(&self) -> Vec<Vec<u8>> {
        let mut files = self.everything_in_store();
        // Notes about staging folders beside other folders are not files of the fleet.
        files.retain(|name, _| {
            let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
            let is_staged = parts.windows(2).any(|two| two == [CONTROL, b"staging"]);
            is_staged && !parts.contains(&&b"beside"[..])
        });
        files.into_keys().collect()
    }

    /// Names of files outside the store's volume, where gleaner must not write.
    pub fn strays(&self) -> Vec<Vec<u8>> {
        let state = self.lock();
        let mut found = BTreeMap::new();
        for volume in state.volumes.values().filter(|volume| volume.number != 2) {
            volume.collect(&mut found);
        }
        // Another store has its own control folder, and a process that found it mounted may have tried to
        // write there.
        found.retain(|name, _| !is_beneath(name, CONTROL));
        found.into_keys().collect()
    }

    /// Flips a bit of a visible file, as a failing disk does. Returns `false` if there is no such file or it
    /// is empty.
    pub fn rot(&self, name: &[u8]) -> bool {
        let mut rotted = false;
        self.store(|volume| {
            if let Ok(file) = volume.walk(ROOT, name).and_then(|inode| volume.file_mut(inode)) {
                let middle = file.durable.len() / 2;
                for bytes in [&mut file.durable, &mut file.cached] {
                    if let Some(byte) = bytes.get_mut(middle) {
                        *byte ^= 0x01;
                        rotted = true;
                    }
                }
            }
        });
        rotted
    }

    /// Removes a visible file, as happens when a store is restored from an older backup.
    pub fn lose(&self, name: &[u8]) {
        self.store(|volume| {
            let (folder, name) = match name.iter().rposition(|byte| *byte == b'/') {
                Some(at) => (name.get(..at), name.get(at + 1..)),
                None => (None, Some(name)),
            };
            let inode = folder.map_or(Ok(ROOT), |folder| volume.walk(ROOT, folder));
            if let (Ok(inode), Some(name)) = (inode, name)
                && let Ok(node) = volume.node_mut(inode)
                && let Content::Folder(folder) = &mut node.content
            {
                folder.cached.remove(name);
                folder.durable.remove(name);
                folder.unflushed.retain(|change| !change.is_about(name));
            }
        });
    }

    fn everything_in_store(&self) -> BTreeMap<Vec<u8>, StoredFile> {
        let mut found = BTreeMap::new();
        self.store(|volume| volume.collect(&mut found));
        found
    }
}

/// Whether a file is in a control folder: that of the store, or one beside a folder.
fn is_control(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').any(|part| part == CONTROL)
}

fn is_beneath(name: &[u8], folder: &[u8]) -> bool {
    name.strip_prefix(folder)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

impl Volume {
    fn put(&mut self, name: &[u8], bytes: &[u8], now: Timestamp) -> Result<(), rustix::io::Errno> {
        let mut parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
        let (mut at, last) = (ROOT, parts.pop().unwrap_or_default());
        for part in parts {
            at = match self.child(at, part) {
                Ok(inode) => inode,
                Err(_) => self.make(at, part, Content::Folder(FolderContent::default()), now)?,
            };
        }
        let file = FileContent {
            cached: bytes.to_vec(),
            durable: bytes.to_vec(),
            ..FileContent::default()
        };
        self.make(at, last, Content::File(file), now)?;
        self.lose_unflushed(&mut CrashLoss::Nothing);
        Ok(())
    }

    fn visit(
        &self,
        folder: u64,
        path: &[u8],
        is_durable: bool,
        see: &mut impl FnMut(&[u8], &FileContent, bool),
    ) {
        let Ok(content) = self.folder(folder) else {
            return;
        };
        let surely = content.surely();
        for (name, inode) in &content.cached {
            let mut path = path.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let is_durable = is_durable && surely.get(name) == Some(inode);
            match self.nodes.get(inode).map(|node| &node.content) {
                Some(Content::Folder(_)) => self.visit(*inode, &path, is_durable, see),
                Some(Content::File(file)) => see(&path, file, is_durable),
                None => {}
            }
        }
    }

    fn collect(&self, into: &mut BTreeMap<Vec<u8>, StoredFile>) {
        self.visit(ROOT, &[], true, &mut |path, file, has_durable_name| {
            let mut stored = file.seen().clone();
            stored.is_durable &= has_durable_name;
            into.insert(path.to_vec(), stored);
        });
    }
}
