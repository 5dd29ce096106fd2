//! What a power cut leaves of a volume.

use std::collections::BTreeMap;

use super::volume::{Content, EntryChange, FileChange, FileContent, FolderContent, SECTOR, Volume};
use crate::simulator::dice::Dice;

/// Which of the changes that were not flushed reach the disk all the same.
#[derive(Debug, Clone)]
pub enum Forgetting {
    /// All: as when only the process is killed.
    Nothing,
    /// None: each file and folder is as it was last flushed.
    Everything,
    /// The entries of folders reach it, the bytes of files do not: names of empty or torn files.
    Bytes,
    /// The bytes reach it, the entries do not.
    Entries,
    /// Removed entries are gone, and new ones never came: a rename loses its file.
    NewEntries,
    /// New entries came, and removed ones are still there.
    RemovedEntries,
    /// Each sector, size and entry for itself, by dice.
    ByChance(Dice),
}

impl Forgetting {
    /// Each that is no matter of chance.
    pub fn certain() -> [Self; 6] {
        [
            Self::Nothing,
            Self::Everything,
            Self::Bytes,
            Self::Entries,
            Self::NewEntries,
            Self::RemovedEntries,
        ]
    }

    fn keeps_bytes(&mut self) -> bool {
        match self {
            Self::Nothing | Self::Entries => true,
            Self::Everything | Self::Bytes | Self::NewEntries | Self::RemovedEntries => false,
            Self::ByChance(dice) => dice.one_in(2),
        }
    }

    fn keeps_entry(&mut self, change: &EntryChange) -> bool {
        match (self, change) {
            (Self::Nothing | Self::Bytes, _)
            | (Self::NewEntries, EntryChange::Remove(_))
            | (Self::RemovedEntries, EntryChange::Add(..)) => true,
            (Self::Everything | Self::Entries | Self::NewEntries | Self::RemovedEntries, _) => false,
            (Self::ByChance(dice), _) => dice.one_in(2),
        }
    }
}

impl Volume {
    /// As after a power cut, or once somebody has mounted what had stopped.
    pub(super) fn mount_anew(&mut self, forgetting: &mut Forgetting) {
        self.forget(forgetting);
        self.has_stopped = false;
    }

    /// Forgets what was not flushed. What comes out has nothing that is not durable.
    pub(super) fn forget(&mut self, forgetting: &mut Forgetting) {
        for node in self.nodes.values_mut() {
            match &mut node.content {
                Content::File(file) => file.forget(forgetting),
                Content::Folder(folder) => folder.forget(forgetting),
            }
        }
        self.forget_unreachable();
    }
}

impl FileContent {
    fn forget(&mut self, forgetting: &mut Forgetting) {
        for change in std::mem::take(&mut self.unflushed) {
            match change {
                FileChange::Write { at, bytes } => {
                    for (at, sector) in sectors(at, &bytes) {
                        if forgetting.keeps_bytes() {
                            let bytes = sector.to_vec();
                            FileChange::Write { at, bytes }.apply(&mut self.durable);
                        }
                    }
                    // The size may come without the bytes: they read as zeros.
                    if self.durable.len() < at + bytes.len() && forgetting.keeps_bytes() {
                        self.durable.resize(at + bytes.len(), 0);
                    }
                }
                resize @ FileChange::Resize(_) => {
                    if forgetting.keeps_bytes() {
                        resize.apply(&mut self.durable);
                    }
                }
            }
        }
        self.cached.clone_from(&self.durable);
        self.seen.take();
    }
}

/// The pieces of a write that lie in one sector each.
fn sectors(at: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut pieces, mut at, mut left) = (Vec::new(), at, bytes);
    while !left.is_empty() {
        let (piece, rest) = left.split_at(left.len().min(SECTOR - at % SECTOR));
        pieces.push((at, piece));
        at += piece.len();
        left = rest;
    }
    pieces
}

impl FolderContent {
    fn forget(&mut self, forgetting: &mut Forgetting) {
        for change in std::mem::take(&mut self.unflushed) {
            if forgetting.keeps_entry(&change) {
                change.apply(&mut self.durable);
            }
        }
        self.cached = self.durable.clone();
    }

    /// The entries that are there after every cut, whatever it forgets.
    pub(super) fn surely(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut surely = self.durable.clone();
        for change in &self.unflushed {
            match change {
                EntryChange::Remove(name) => surely.remove(name),
                EntryChange::Add(name, inode) if surely.get(name) != Some(inode) => surely.remove(name),
                EntryChange::Add(..) => None,
            };
        }
        surely
    }
}
