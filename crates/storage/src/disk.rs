//! The system calls that the store is made of.
//!
//! Everything that this crate does to a disk goes through [`Disk`], so that a disk that cuts the power, runs full or fails at any
//! call can stand in for the system's. The trait is a list of system calls and decides nothing.
//!
//! Names are taken relative to an open folder. A path of several components never leaves that folder and never passes through
//! a symbolic link, whatever somebody else does to the tree at the same time.

mod system;

use std::io;
use std::path::Path;

use model::Timestamp;

pub use system::{SystemDisk, SystemFile};

/// The system calls. All methods may be called at the same time; errors carry the system's error number.
pub trait Disk: Send + Sync + 'static {
    /// An open folder.
    type Folder: Send + Sync + 'static;
    /// An open file.
    type File: Send + Sync + 'static;
    /// The entries of a folder, without `.` and `..`, read a few at a time.
    type Entries: Iterator<Item = io::Result<FolderEntry>> + Send + 'static;

    /// Opens a folder by its path in the system, which comes from the configuration: symbolic links are followed.
    fn open_root(&self, path: &Path) -> io::Result<Self::Folder>;

    /// Opens a folder beneath another. A symbolic link or a file on the way answers `ELOOP` or `ENOTDIR`.
    fn open_folder(&self, at: &Self::Folder, path: &[u8]) -> io::Result<Self::Folder>;

    /// Makes a folder, with the access that the process's file mode mask leaves. `name` is one component.
    fn make_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Makes a file that was not there, for reading and writing. `name` is one component.
    fn create_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Self::File>;

    /// Opens a file beneath a folder without ever waiting (a pipe would). May open what is no regular file: look at its status.
    fn open_file(&self, at: &Self::Folder, path: &[u8], access: Access) -> io::Result<Self::File>;

    /// From now on, whole aligned blocks of this file go between memory and disk without a copy in the system's cache. Advice only, for
    /// a large file that has this name: whatever cannot be had that way goes through the cache, and reads see all that was written.
    fn avoid_cache(&self, file: &mut Self::File, at: &Self::Folder, name: &[u8]);

    /// Writes some of the bytes at an offset, and answers how many.
    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads some bytes from an offset on, and answers how many; none at the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Cuts a file to a length, giving back what was preallocated beyond it.
    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Reserves room for a file without changing its size.
    fn preallocate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Sets when the file was last modified.
    fn set_modified(&self, file: &Self::File, modified: Timestamp) -> io::Result<()>;

    /// Sets who may read and write a file (the lower nine bits of a mode).
    fn set_file_mode(&self, file: &Self::File, mode: u32) -> io::Result<()>;

    /// Sets who may read and write a folder (the lower twelve bits of a mode).
    fn set_folder_mode(&self, folder: &Self::Folder, mode: u32) -> io::Result<()>;

    /// Makes bytes and attributes of a file durable. The bytes of a file whose flush failed are not to be trusted any more, and
    /// a second flush proves nothing: the system may have marked them clean.
    fn flush_file(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the bytes of a file durable, with its size.
    fn flush_bytes(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    fn flush_folder(&self, folder: &Self::Folder) -> io::Result<()>;

    /// Asks the system to begin writing a range out. Advice only: makes nothing durable.
    fn start_write_out(&self, file: &Self::File, offset: u64, length: u64);

    /// Asks the system to forget its copy of a range that is durable, so that the next read comes from the disk. Advice only.
    fn drop_cache(&self, file: &Self::File, offset: u64, length: u64);

    /// Gives a file a second name, if nothing has that name yet. Both names are one component.
    fn link(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Renames, if nothing has the new name yet. Both names are one component.
    fn rename_without_replacing(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Renames, replacing what has the new name. Used within the control folder only. Both names are one component.
    fn rename(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Removes a name of a file. Used within the control folder only. `name` is one component.
    fn remove_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Removes an empty folder. Used for staging folders only. `name` is one component.
    fn remove_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Whether names may be made in a folder, as far as can be told without making one; the error says why
    /// not.
    fn may_write(&self, folder: &Self::Folder) -> io::Result<()>;

    /// How many bytes this process may write into one file at most; `None`: as many as the file system takes.
    fn largest_file(&self) -> Option<u64>;

    /// What an open file is.
    fn file_status(&self, file: &Self::File) -> io::Result<Status>;

    /// What an open folder is.
    fn folder_status(&self, folder: &Self::Folder) -> io::Result<Status>;

    /// What has a name in a folder; a symbolic link is not followed. `name` is one component.
    fn status_at(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Status>;

    /// Lists a folder, in any order.
    fn entries(&self, folder: &Self::Folder) -> io::Result<Self::Entries>;

    /// How much room the file system of a folder has.
    fn space(&self, folder: &Self::Folder) -> io::Result<Space>;

    /// A number that no other call answers, on no machine, for all practical purposes.
    fn unique_number(&self) -> u64;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading (and flushing).
    Read,
    /// Reading and writing.
    ReadAndWrite,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device node.
    Special,
    /// The listing does not tell: ask for the status.
    Unknown,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
}

/// What the system knows of a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is; never [`EntryKind::Unknown`].
    pub kind: EntryKind,
    /// Which one it is.
    pub identity: NodeIdentity,
    /// Tells the mount that it was reached through from every other; 0 where the system does not say.
    pub mount: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its content was last modified; anyone may set it.
    pub modified: Timestamp,
    /// When its content, attributes or names last changed; nobody can set it.
    pub changed: Timestamp,
}

/// Tells a file or a folder from every other on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeIdentity {
    /// The number of its file system.
    pub device_number: u64,
    /// Its number there. May be used again once it is removed.
    pub inode: u64,
    /// When it was made, where the file system keeps that: tells two users of an inode number apart.
    pub born: Option<Timestamp>,
}

/// How much room a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub available: u64,
    /// Bytes in all.
    pub total: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub files_available: Option<u64>,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}
