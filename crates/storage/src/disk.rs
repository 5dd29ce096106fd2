//! The system calls that the store uses.
//!
//! Everything that this crate does to a disk goes through [`Disk`]. A test's disk that cuts the power, runs
//! full or fails at any call can therefore replace the system's. The trait is a list of system calls and
//! decides nothing.
//!
//! Names are relative to an open folder. A path of several components never leaves that folder and never
//! passes through a symbolic link, whatever other processes do to the tree at the same time.

mod system;

use std::io;
use std::path::Path;

use model::Timestamp;

pub use system::{SystemDisk, SystemFile};

/// The system calls. All methods may be called concurrently. Errors carry the system's error number.
pub trait Disk: Send + Sync + 'static {
    /// An open folder.
    type Folder: Send + Sync + 'static;
    /// An open file.
    type File: Send + Sync + 'static;
    /// The entries of a folder, without `.` and `..`, read a few at a time.
    type Entries: Iterator<Item = io::Result<FolderEntry>> + Send + 'static;

    /// Opens a folder by its path in the system, which comes from the configuration. Follows symbolic links.
    fn open_root(&self, path: &Path) -> io::Result<Self::Folder>;

    /// Opens a folder beneath another. Fails with `ELOOP` or `ENOTDIR` for a symbolic link or a file on the
    /// path.
    fn open_folder(&self, at: &Self::Folder, path: &[u8]) -> io::Result<Self::Folder>;

    /// Makes a folder with the mode that the process's umask leaves. `name` is one component.
    fn make_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Creates a new file for reading and writing. Fails if the name is taken. `name` is one component.
    fn create_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Self::File>;

    /// Opens a file beneath a folder without ever blocking, as a pipe would. May open other things than
    /// regular files: the caller must check the status.
    fn open_file(&self, at: &Self::Folder, path: &[u8], access: Access) -> io::Result<Self::File>;

    /// Makes later transfers of whole aligned blocks of this file bypass the system's cache. For a large file
    /// that has this name. Advice only: other transfers go through the cache, and reads return everything
    /// written.
    fn avoid_cache(&self, file: &mut Self::File, at: &Self::Folder, name: &[u8]);

    /// Writes some of the bytes at an offset and returns how many.
    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads some bytes at an offset and returns how many; none at the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Truncates a file, freeing room preallocated beyond that length.
    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Reserves room for a file without changing its size.
    fn preallocate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Sets the modification time of a file.
    fn set_modified(&self, file: &Self::File, modified: Timestamp) -> io::Result<()>;

    /// Sets the mode of a file (the lower nine bits).
    fn set_file_mode(&self, file: &Self::File, mode: u32) -> io::Result<()>;

    /// Sets the mode of a folder (the lower twelve bits).
    fn set_folder_mode(&self, folder: &Self::Folder, mode: u32) -> io::Result<()>;

    /// Makes bytes and attributes of a file durable. After a failed flush the file's bytes must not be
    /// trusted, and a second flush proves nothing: the system may have marked them clean.
    fn flush_file(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the bytes and the size of a file durable.
    fn flush_bytes(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    fn flush_folder(&self, folder: &Self::Folder) -> io::Result<()>;

    /// Asks the system to start writing a range to the disk. Advice only: makes nothing durable.
    fn start_write_out(&self, file: &Self::File, offset: u64, length: u64);

    /// Asks the system to drop its cached copy of a durable range, so that the next read comes from the disk.
    /// Advice only.
    fn drop_cache(&self, file: &Self::File, offset: u64, length: u64);

    /// Gives a file a second name. Fails if the name is taken. Both names are one component.
    fn link(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Renames. Fails if the new name is taken. Both names are one component.
    fn rename_without_replacing(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Renames, replacing any file with the new name. Used within control folders, and to move a damaged file
    /// into a new folder of the quarantine. Both names are one component.
    fn rename(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()>;

    /// Removes a name of a file. Used within control folders only. `name` is one component.
    fn remove_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Removes an empty folder. Used within control folders only, and for an empty control folder beside a
    /// visible folder. `name` is one component.
    fn remove_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Whether names may be made in a folder, as far as the system can tell without making one. The error is
    /// the reason why not.
    fn may_write(&self, folder: &Self::Folder) -> io::Result<()>;

    /// The most bytes that this process may write into one file; `None` if only the file system limits them.
    fn largest_file(&self) -> Option<u64>;

    /// The status of an open file.
    fn file_status(&self, file: &Self::File) -> io::Result<Status>;

    /// The status of an open folder.
    fn folder_status(&self, folder: &Self::Folder) -> io::Result<Status>;

    /// The status of a name in a folder, without following a symbolic link. `name` is one component.
    fn status_at(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Status>;

    /// Lists a folder, in any order.
    fn entries(&self, folder: &Self::Folder) -> io::Result<Self::Entries>;

    /// The room on the file system of a folder.
    fn space(&self, folder: &Self::Folder) -> io::Result<Space>;

    /// A random number: for all practical purposes no other call, on any machine, returns it.
    fn unique_number(&self) -> u64;
}

/// The access for which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading (and flushing).
    Read,
    /// Reading and writing.
    ReadAndWrite,
}

/// The kind of an entry.
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
    /// The listing does not say; read the status instead.
    Unknown,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name.
    pub name: Vec<u8>,
    /// Its kind.
    pub kind: EntryKind,
}

/// The status of a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its kind; never [`EntryKind::Unknown`].
    pub kind: EntryKind,
    /// Its identity.
    pub identity: NodeIdentity,
    /// The id of the mount through which it was reached; 0 if the system does not say.
    pub mount: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its content was last modified. Any user may set it.
    pub modified: Timestamp,
    /// When its content, attributes or names last changed. No user can set it.
    pub changed: Timestamp,
}

/// Distinguishes a file or a folder from every other on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeIdentity {
    /// The number of its file system.
    pub device_number: u64,
    /// Its inode number there. May be reused after it is removed.
    pub inode: u64,
    /// When it was made, if the file system keeps that. Distinguishes two users of an inode number.
    pub born: Option<Timestamp>,
}

/// The room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub available: u64,
    /// Total bytes.
    pub total: u64,
    /// Files that may still be made; `None` if the file system does not count them.
    pub files_available: Option<u64>,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}
