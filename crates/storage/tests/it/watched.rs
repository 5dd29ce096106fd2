//! The system's disk with an observer of every call, which can count calls, refuse them, or return wrong
//! bytes.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use model::Timestamp;
use rustix::io::Errno;
use storage::disk::{Access, FolderEntry, Space, Status, SystemFile};
use storage::{Disk, SystemDisk};

/// One call on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    /// The name that it concerns (the new one of a link or rename); empty for a call on an open file.
    pub(crate) name: Vec<u8>,
}

type Refuse = Box<dyn Fn(&Call) -> Option<Errno> + Send + Sync>;

pub(crate) struct WatchedDisk {
    inner: SystemDisk,
    calls: Mutex<Vec<Call>>,
    refuse: Mutex<Option<Refuse>>,
    /// Changes the bytes that are read, as a bad disk does.
    pub(crate) spoils_reads: std::sync::atomic::AtomicBool,
    /// The ranges of files whose cached copy was dropped.
    pub(crate) dropped: Mutex<Vec<(u64, u64)>>,
    open: Arc<AtomicUsize>,
}

/// An open file or folder, counted.
pub(crate) struct Counted<T> {
    handle: T,
    open: Arc<AtomicUsize>,
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl WatchedDisk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: SystemDisk::default(),
            calls: Mutex::default(),
            refuse: Mutex::default(),
            spoils_reads: false.into(),
            dropped: Mutex::default(),
            open: Arc::default(),
        })
    }

    /// Makes later calls fail with the error that `refuse` returns.
    pub(crate) fn refuse(&self, refuse: impl Fn(&Call) -> Option<Errno> + Send + Sync + 'static) {
        *self.refuse.lock().unwrap() = Some(Box::new(refuse));
    }

    pub(crate) fn refuse_nothing(&self) {
        *self.refuse.lock().unwrap() = None;
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// The number of open files and folders.
    pub(crate) fn open_handles(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn call(&self, operation: &'static str, name: &[u8]) -> io::Result<()> {
        let call = Call {
            operation,
            name: name.to_vec(),
        };
        let refusal = self
            .refuse
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|refuse| refuse(&call));
        self.calls.lock().unwrap().push(call);
        refusal.map_or(Ok(()), |error| Err(error.into()))
    }

    fn counted<T>(&self, handle: T) -> Counted<T> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Counted {
            handle,
            open: Arc::clone(&self.open),
        }
    }
}

impl Disk for WatchedDisk {
    type Folder = Counted<OwnedFd>;
    type File = Counted<SystemFile>;
    type Entries = Box<dyn Iterator<Item = io::Result<FolderEntry>> + Send>;

    fn open_root(&self, path: &Path) -> io::Result<Self::Folder> {
        self.call("open_root", path.as_os_str().as_encoded_bytes())?;
        Ok(self.counted(self.inner.open_root(path)?))
    }

    fn open_folder(&self, at: &Self::Folder, path: &[u8]) -> io::Result<Self::Folder> {
        self.call("open_folder", path)?;
        Ok(self.counted(self.inner.open_folder(&at.handle, path)?))
    }

    fn make_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.call("make_folder", name)?;
        self.inner.make_folder(&at.handle, name)
    }

    fn create_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Self::File> {
        self.call("create_file", name)?;
        Ok(self.counted(self.inner.create_file(&at.handle, name)?))
    }

    fn open_file(&self, at: &Self::Folder, path: &[u8], access: Access) -> io::Result<Self::File> {
        self.call("open_file", path)?;
        Ok(self.counted(self.inner.open_file(&at.handle, path, access)?))
    }

    fn avoid_cache(&self, file: &mut Self::File, at: &Self::Folder, name: &[u8]) {
        self.inner.avoid_cache(&mut file.handle, &at.handle, name);
    }

    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call("write_at", b"")?;
        self.inner.write_at(&file.handle, bytes, offset)
    }

    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call("read_at", b"")?;
        let count = self.inner.read_at(&file.handle, buffer, offset)?;
        if self.spoils_reads.load(Ordering::SeqCst) && count > 0 {
            buffer[0] ^= 1;
        }
        Ok(count)
    }

    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()> {
        self.call("truncate", b"")?;
        self.inner.truncate(&file.handle, length)
    }

    fn preallocate(&self, file: &Self::File, length: u64) -> io::Result<()> {
        self.call("preallocate", b"")?;
        self.inner.preallocate(&file.handle, length)
    }

    fn set_modified(&self, file: &Self::File, modified: Timestamp) -> io::Result<()> {
        self.call("set_modified", b"")?;
        self.inner.set_modified(&file.handle, modified)
    }

    fn set_file_mode(&self, file: &Self::File, mode: u32) -> io::Result<()> {
        self.call("set_file_mode", b"")?;
        self.inner.set_file_mode(&file.handle, mode)
    }

    fn set_folder_mode(&self, folder: &Self::Folder, mode: u32) -> io::Result<()> {
        self.call("set_folder_mode", b"")?;
        self.inner.set_folder_mode(&folder.handle, mode)
    }

    fn flush_file(&self, file: &Self::File) -> io::Result<()> {
        self.call("flush_file", b"")?;
        self.inner.flush_file(&file.handle)
    }

    fn flush_bytes(&self, file: &Self::File) -> io::Result<()> {
        self.call("flush_bytes", b"")?;
        self.inner.flush_bytes(&file.handle)
    }

    fn flush_folder(&self, folder: &Self::Folder) -> io::Result<()> {
        self.call("flush_folder", b"")?;
        self.inner.flush_folder(&folder.handle)
    }

    fn start_write_out(&self, file: &Self::File, offset: u64, length: u64) {
        self.inner.start_write_out(&file.handle, offset, length);
    }

    fn drop_cache(&self, file: &Self::File, offset: u64, length: u64) {
        self.call("drop_cache", b"").unwrap_or_default();
        self.dropped.lock().unwrap().push((offset, length));
        self.inner.drop_cache(&file.handle, offset, length);
    }

    fn link(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()> {
        self.call("link", to_name)?;
        self.inner.link(&from.handle, from_name, &to.handle, to_name)
    }

    fn rename_without_replacing(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()> {
        self.call("rename_without_replacing", to_name)?;
        self.inner
            .rename_without_replacing(&from.handle, from_name, &to.handle, to_name)
    }

    fn rename(
        &self,
        from: &Self::Folder,
        from_name: &[u8],
        to: &Self::Folder,
        to_name: &[u8],
    ) -> io::Result<()> {
        self.call("rename", to_name)?;
        self.inner.rename(&from.handle, from_name, &to.handle, to_name)
    }

    fn remove_file(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.call("remove_file", name)?;
        self.inner.remove_file(&at.handle, name)
    }

    fn remove_folder(&self, at: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.call("remove_folder", name)?;
        self.inner.remove_folder(&at.handle, name)
    }

    fn may_write(&self, folder: &Self::Folder) -> io::Result<()> {
        self.call("may_write", b"")?;
        self.inner.may_write(&folder.handle)
    }

    fn largest_file(&self) -> Option<u64> {
        self.inner.largest_file()
    }

    fn file_status(&self, file: &Self::File) -> io::Result<Status> {
        self.call("file_status", b"")?;
        self.inner.file_status(&file.handle)
    }

    fn folder_status(&self, folder: &Self::Folder) -> io::Result<Status> {
        self.call("folder_status", b"")?;
        self.inner.folder_status(&folder.handle)
    }

    fn status_at(&self, at: &Self::Folder, name: &[u8]) -> io::Result<Status> {
        self.call("status_at", name)?;
        self.inner.status_at(&at.handle, name)
    }

    fn entries(&self, folder: &Self::Folder) -> io::Result<Self::Entries> {
        self.call("entries", b"")?;
        Ok(Box::new(self.inner.entries(&folder.handle)?))
    }

    fn space(&self, folder: &Self::Folder) -> io::Result<Space> {
        self.call("space", b"")?;
        self.inner.space(&folder.handle)
    }

    fn unique_number(&self) -> u64 {
        self.inner.unique_number()
    }
}
