//! A file system in memory that separates cached from durable content.
//!
//! The model is weaker than any real file system. Each unflushed sector, size and folder entry becomes
//! durable or not, independently and in any order. A rename is one new and one removed entry, and a crash may
//! lose either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use model::{Digest, Timestamp};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use storage::disk::{EntryKind, NodeIdentity, Status};

/// The root folder of every volume.
pub(super) const ROOT: u64 = 1;

/// The unit that is written as a whole or not at all, in bytes.
pub(super) const SECTOR: usize = 512;

/// A file system.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own; any may come together"
)]
pub(super) struct Volume {
    pub(super) number: u64,
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) capacity: Option<u64>,
    pub(super) read_only: bool,
    /// A folder flush has failed: the volume rejects every write until it is mounted again.
    pub(super) has_stopped: bool,
    pub(super) has_links: bool,
    /// Links and renames from one outermost folder to another fail.
    pub(super) is_divided: bool,
    pub(super) largest_file: Option<u64>,
    next_inode: u64,
}

/// A named file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The size of the cached content in bytes.
    pub size: usize,
    /// The digest of the cached content.
    pub digest: Digest,
    /// Whether the file has this name and these bytes after every possible crash.
    pub is_durable: bool,
}

/// A file or a folder.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) born: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    File(FileContent),
    Folder(FolderContent),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileContent {
    pub(super) cached: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unflushed: Vec<FileChange>,
    /// The result of a checker's last inspection. Cleared by every change.
    pub(super) seen: OnceLock<StoredFile>,
}

#[derive(Debug, Clone)]
pub(super) enum FileChange {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FolderContent {
    pub(super) cached: BTreeMap<Vec<u8>, u64>,
    pub(super) durable: BTreeMap<Vec<u8>, u64>,
    pub(super) unflushed: Vec<EntryChange>,
}

#[derive(Debug, Clone)]
pub(super) enum EntryChange {
    Add(Vec<u8>, u64),
    Remove(Vec<u8>),
}

impl FileChange {
    pub(super) fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Resize(length) => to.resize(*length, 0),
            Self::Write { at, bytes } => {
                if to.len() < at + bytes.len() {
                    to.resize(at + bytes.len(), 0);
                }
                to.splice(*at..at + bytes.len(), bytes.iter().copied());
            }
        }
    }
}

impl EntryChange {
    pub(super) fn is_about(&self, name: &[u8]) -> bool {
        match self {
            Self::Add(added, _) => added == name,
            Self::Remove(removed) => removed == name,
        }
    }

    pub(super) fn apply(&self, to: &mut BTreeMap<Vec<u8>, u64>) {
        match self {
            Self::Add(name, inode) => to.insert(name.clone(), *inode),
            Self::Remove(name) => to.remove(name),
        };
    }
}

impl FileContent {
    pub(super) fn seen(&self) -> &StoredFile {
        self.seen.get_or_init(|| StoredFile {
            size: self.cached.len(),
            digest: Digest::from_bytes(Sha256::digest(&self.cached).into()),
            is_durable: self.unflushed.is_empty() && self.durable == self.cached,
        })
    }
}

impl Volume {
    pub(super) fn new(number: u64, now: Timestamp) -> Self {
        let root = Node::new(Content::Folder(FolderContent::default()), now);
        Self {
            number,
            nodes: BTreeMap::from([(ROOT, root)]),
            capacity: None,
            read_only: false,
            has_stopped: false,
            has_links: true,
            is_divided: false,
            largest_file: None,
            next_inode: ROOT,
        }
    }

    pub(super) fn node(&self, inode: u64) -> Result<&Node, Errno> {
        self.nodes.get(&inode).ok_or(Errno::STALE)
    }

    pub(super) fn node_mut(&mut self, inode: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&inode).ok_or(Errno::STALE)
    }

    pub(super) fn folder(&self, inode: u64) -> Result<&FolderContent, Errno> {
        match &self.node(inode)?.content {
            Content::Folder(folder) => Ok(folder),
            Content::File(_) => Err(Errno::NOTDIR),
        }
    }

    pub(super) fn file(&self, inode: u64) -> Result<&FileContent, Errno> {
        match &self.node(inode)?.content {
            Content::File(file) => Ok(file),
            Content::Folder(_) => Err(Errno::ISDIR),
        }
    }

    pub(super) fn file_mut(&mut self, inode: u64) -> Result<&mut FileContent, Errno> {
        match &mut self.node_mut(inode)?.content {
            Content::File(file) => {
                file.seen.take();
                Ok(file)
            }
            Content::Folder(_) => Err(Errno::ISDIR),
        }
    }

    pub(super) fn child(&self, folder: u64, name: &[u8]) -> Result<u64, Errno> {
        self.folder(folder)?.cached.get(name).copied().ok_or(Errno::NOENT)
    }

    /// Follows a path of several components. Refuses `..`, `.` and empty components.
    pub(super) fn walk(&self, from: u64, path: &[u8]) -> Result<u64, Errno> {
        path.split(|byte| *byte == b'/').try_fold(from, |at, component| {
            if matches!(component, b"" | b"." | b"..") {
                return Err(Errno::INVAL);
            }
            self.child(at, component)
        })
    }

    /// Creates a file or folder.
    pub(super) fn make(
        &mut self,
        folder: u64,
        name: &[u8],
        content: Content,
        now: Timestamp,
    ) -> Result<u64, Errno> {
        self.check_new_name(folder, name)?;
        self.check_room(1)?;
        self.next_inode += 1;
        let inode = self.next_inode;
        self.nodes.insert(inode, Node::new(content, now));
        self.change_entry(folder, EntryChange::Add(name.to_vec(), inode), now)?;
        Ok(inode)
    }

    pub(super) fn check_new_name(&self, folder: u64, name: &[u8]) -> Result<(), Errno> {
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) || matches!(name, b"." | b"..") {
            return Err(Errno::INVAL);
        }
        match self.child(folder, name) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Whether the volume allows a link or rename between two folders.
    pub(super) fn check_division(&self, from: u64, to: u64) -> Result<(), Errno> {
        if self.is_divided && self.outermost_above(from) != self.outermost_above(to) {
            return Err(Errno::XDEV);
        }
        Ok(())
    }

    /// The outermost folder that contains `folder`, or is it. `None` for the root and for the control folder,
    /// which counts as part of the root.
    fn outermost_above(&self, folder: u64) -> Option<u64> {
        let outermost = self.folder(ROOT).ok()?.cached.iter();
        let outermost = outermost.filter(|(name, _)| name.as_slice() != b".gleaner");
        outermost.map(|(_, inode)| *inode).find(|top| {
            let mut left = vec![*top];
            while let Some(inode) = left.pop() {
                if inode == folder {
                    return true;
                }
                left.extend(
                    self.folder(inode)
                        .iter()
                        .flat_map(|folder| folder.cached.values().copied()),
                );
            }
            false
        })
    }

    pub(super) fn change_entry(
        &mut self,
        folder: u64,
        change: EntryChange,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let node = self.node_mut(folder)?;
        let Content::Folder(content) = &mut node.content else {
            return Err(Errno::NOTDIR);
        };
        change.apply(&mut content.cached);
        content.unflushed.push(change);
        (node.modified, node.changed) = (now, now);
        Ok(())
    }

    pub(super) fn check_room(&self, more: u64) -> Result<(), Errno> {
        match self.capacity {
            Some(capacity) if self.used() + more > capacity => Err(Errno::NOSPC),
            _ => Ok(()),
        }
    }

    pub(super) fn used(&self) -> u64 {
        let size = |node: &Node| match &node.content {
            Content::File(file) => file.cached.len(),
            Content::Folder(_) => 0,
        };
        let sizes = self.nodes.values().map(size).sum::<usize>();
        u64::try_from(sizes).unwrap_or(u64::MAX)
    }

    /// Drops nodes that no name reaches, now or after any crash.
    pub(super) fn drop_unreachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut left = vec![ROOT];
        while let Some(inode) = left.pop() {
            let Some(Content::Folder(folder)) = self.nodes.get(&inode).map(|node| &node.content) else {
                continue;
            };
            let added = folder.unflushed.iter().filter_map(|change| match change {
                EntryChange::Add(_, inode) => Some(*inode),
                EntryChange::Remove(_) => None,
            });
            let entries = folder.cached.values().chain(folder.durable.values()).copied();
            left.extend(entries.chain(added).filter(|inode| reached.insert(*inode)));
        }
        self.nodes.retain(|inode, _| reached.contains(inode));
    }

    pub(super) fn change_file(
        &mut self,
        inode: u64,
        change: FileChange,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let file = self.file_mut(inode)?;
        change.apply(&mut file.cached);
        file.unflushed.push(change);
        let node = self.node_mut(inode)?;
        (node.modified, node.changed) = (now, now);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: (u64, &[u8]),
        to: (u64, &[u8]),
        now: Timestamp,
    ) -> Result<(), Errno> {
        let inode = self.child(from.0, from.1)?;
        self.node_mut(inode)?.changed = now;
        self.change_entry(from.0, EntryChange::Remove(from.1.to_vec()), now)?;
        self.change_entry(to.0, EntryChange::Add(to.1.to_vec(), inode), now)
    }

    pub(super) fn flush_entries(&mut self, inode: u64) -> Result<(), Errno> {
        let Content::Folder(folder) = &mut self.node_mut(inode)?.content else {
            return Err(Errno::NOTDIR);
        };
        for change in std::mem::take(&mut folder.unflushed) {
            change.apply(&mut folder.durable);
        }
        Ok(())
    }

    pub(super) fn status(&self, inode: u64) -> Result<Status, Errno> {
        let node = self.node(inode)?;
        let (kind, size) = match &node.content {
            Content::File(file) => (EntryKind::File, file.cached.len()),
            Content::Folder(_) => (EntryKind::Folder, 0),
        };
        Ok(Status {
            kind,
            identity: NodeIdentity {
                device_number: self.number,
                inode,
                born: Some(node.born),
            },
            mount: self.number,
            size: u64::try_from(size).unwrap_or(u64::MAX),
            modified: node.modified,
            changed: node.changed,
        })
    }
}

impl Node {
    fn new(content: Content, now: Timestamp) -> Self {
        Self {
            content,
            modified: now,
            changed: now,
            born: now,
        }
    }
}
