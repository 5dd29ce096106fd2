//! What a power cut leaves on a volume.

use std::collections::BTreeMap;

use super::volume::{Content, EntryChange, FileChange, FileContent, FolderContent, SECTOR, Volume};
use crate::simulator::rng::Rng;

/// Which unflushed changes a crash loses.
#[derive(Debug, Clone)]
pub enum CrashLoss {
    /// Nothing is lost, as when only the process is killed.
    Nothing,
    /// Everything is lost: each file and folder is as last flushed.
    Everything,
    /// The bytes of files are lost; folder entries survive. Leaves names of empty or torn files.
    Bytes,
    /// Folder entries are lost; the bytes of files survive.
    Entries,
    /// New entries are lost and removals survive: a rename loses its file. Bytes are lost.
    NewEntries,
    /// Removals are lost and new entries survive. Bytes are lost.
    RemovedEntries,
    /// Each sector, size and entry is lost or survives at random.
    Random(Rng),
}

impl CrashLoss {
    /// Every variant that is not random.
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
            Self::Random(rng) => rng.one_in(2),
        }
    }

    fn keeps_entry(&mut self, change: &EntryChange) -> bool {
        match (self, change) {
            (Self::Nothing | Self::Bytes, _)
            | (Self::NewEntries, EntryChange::Remove(_))
            | (Self::RemovedEntries, EntryChange::Add(..)) => true,
            (Self::Everything | Self::Entries | Self::NewEntries | Self::RemovedEntries, _) => false,
            (Self::Random(rng), _) => rng.one_in(2),
        }
    }
}

impl Volume {
    /// Mounts the volume after a power cut, or after the file system has stopped.
    pub(super) fn mount_anew(&mut self, loss: &mut CrashLoss) {
        self.lose_unflushed(loss);
        self.has_stopped = false;
    }

    /// Discards unflushed changes according to `loss`. Afterwards everything on the volume is durable.
    pub(super) fn lose_unflushed(&mut self, loss: &mut CrashLoss) {
        for node in self.nodes.values_mut() {
            match &mut node.content {
                Content::File(file) => file.lose_unflushed(loss),
                Content::Folder(folder) => folder.lose_unflushed(loss),
            }
        }
        self.drop_unreachable();
    }
}

impl FileContent {
    fn lose_unflushed(&mut self, loss: &mut CrashLoss) {
        for change in std::mem::take(&mut self.unflushed) {
            match change {
                FileChange::Write { at, bytes } => {
                    for (at, sector) in sectors(at, &bytes) {
                        if loss.keeps_bytes() {
                            let bytes = sector.to_vec();
                            FileChange::Write { at, bytes }.apply(&mut self.durable);
                        }
                    }
                    // The size may become durable without the bytes, which then read as zeros.
                    if self.durable.len() < at + bytes.len() && loss.keeps_bytes() {
                        self.durable.resize(at + bytes.len(), 0);
                    }
                }
                resize @ FileChange::Resize(_) => {
                    if loss.keeps_bytes() {
                        resize.apply(&mut self.durable);
                    }
                }
            }
        }
        self.cached.clone_from(&self.durable);
        self.seen.take();
    }
}

/// The pieces of a write, one for each sector.
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
    fn lose_unflushed(&mut self, loss: &mut CrashLoss) {
        for change in std::mem::take(&mut self.unflushed) {
            if loss.keeps_entry(&change) {
                change.apply(&mut self.durable);
            }
        }
        self.cached = self.durable.clone();
    }

    /// The entries that exist after every possible crash.
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
