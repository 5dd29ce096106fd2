//! The disk of the system.

mod open;
mod status;

use std::ffi::CStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use model::Timestamp;
use rustix::fs::{
    Advice, AtFlags, Dir, FallocateFlags, Mode, OFlags, RenameFlags, StatVfsMountFlags, Timespec, Timestamps,
};
use rustix::io::Errno;

use self::open::{BeneathOpener, retried};
use self::status::{is_same_node, kind, status};
use super::{Access, Disk, FolderEntry, Space, Status};
use crate::aligned;

/// The system calls of Linux.
#[derive(Debug, Default)]
pub struct SystemDisk {
    opener: BeneathOpener,
}

impl SystemDisk {
    /// A disk that does not use `openat2`, as on an old kernel.
    pub fn without_openat2() -> Self {
        Self {
            opener: BeneathOpener::without_openat2(),
        }
    }
}

/// An open file of the system.
#[derive(Debug)]
pub struct SystemFile {
    file: OwnedFd,
    /// The same file, opened a second time to bypass the cache.
    past_cache: Option<OwnedFd>,
}

impl From<OwnedFd> for SystemFile {
    fn from(file: OwnedFd) -> Self {
        Self {
            file,
            past_cache: None,
        }
    }
}

impl SystemFile {
    fn past_cache_for(&self, bytes: &[u8], offset: u64) -> Option<&OwnedFd> {
        self.past_cache
            .as_ref()
            .filter(|_| aligned::is_aligned(bytes, offset))
    }
}

/// Whether files of this file system can bypass the cache at the speed of the disk. Excludes file systems
/// where each such write waits for a server (NFS, SMB), and those that keep checksums or compress, and so go
/// through memory anyway.
fn goes_well_past_cache(file: &OwnedFd) -> bool {
    /// `EXT4_SUPER_MAGIC` and `XFS_SUPER_MAGIC` of `linux/magic.h`.
    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    rustix::fs::fstatfs(file)
        .is_ok_and(|found| u32::try_from(found.f_type).is_ok_and(|kind| kind == EXT4 || kind == XFS))
}

impl Disk for SystemDisk {
    type Folder = OwnedFd;
    type File = SystemFile;
    type Entries = Entries;

    fn open_root(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(retried(|| rustix::fs::open(path, flags, Mode::empty()))?)
    }

    fn open_folder(&self, at: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
        self.opener.open(at, path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn make_folder(&self, at: &OwnedFd, name: &[u8]) -> io::Result<()> {
        Ok(retried(|| {
            rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o777))
        })?)
    }

    fn create_file(&self, at: &OwnedFd, name: &[u8]) -> io::Result<SystemFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retried(|| rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o666)))?;
        Ok(file.into())
    }

    fn open_file(&self, at: &OwnedFd, path: &[u8], access: Access) -> io::Result<SystemFile> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadAndWrite => OFlags::RDWR,
        };
        Ok(self.opener.open(at, path, access | OFlags::NONBLOCK)?.into())
    }

    fn avoid_cache(&self, file: &mut SystemFile, at: &OwnedFd, name: &[u8]) {
        if file.past_cache.is_none() && goes_well_past_cache(&file.file) {
            let again = self.opener.open(at, name, OFlags::RDWR | OFlags::DIRECT).ok();
            file.past_cache = again.filter(|again| is_same_node(&file.file, again));
        }
    }

    fn write_at(&self, file: &SystemFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if let Some(past_cache) = file.past_cache_for(bytes, offset) {
            match retried(|| rustix::io::pwrite(past_cache, bytes, offset)) {
                // It needs larger blocks than any known disk.
                Err(Errno::INVAL) => {}
                written => return Ok(written?),
            }
        }
        Ok(retried(|| rustix::io::pwrite(&file.file, bytes, offset))?)
    }

    fn read_at(&self, file: &SystemFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(past_cache) = file.past_cache_for(buffer, offset) {
            match retried(|| rustix::io::pread(past_cache, &mut *buffer, offset)) {
                Err(Errno::INVAL) => {}
                read => return Ok(read?),
            }
        }
        Ok(retried(|| rustix::io::pread(&file.file, &mut *buffer, offset))?)
    }

    fn truncate(&self, file: &SystemFile, length: u64) -> io::Result<()> {
        Ok(retried(|| rustix::fs::ftruncate(&file.file, length))?)
    }

    fn preallocate(&self, file: &SystemFile, length: u64) -> io::Result<()> {
        Ok(retried(|| {
            rustix::fs::fallocate(&file.file, FallocateFlags::KEEP_SIZE, 0, length)
        })?)
    }

    fn set_modified(&self, file: &SystemFile, modified: Timestamp) -> io::Result<()> {
        let omitted = Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        };
        let times = Timestamps {
            last_access: omitted,
            last_modification: Timespec {
                tv_sec: modified.seconds(),
                tv_nsec: modified.subsecond_nanoseconds() as _,
            },
        };
        Ok(retried(|| rustix::fs::futimens(&file.file, &times))?)
    }

    fn set_file_mode(&self, file: &SystemFile, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&file.file, Mode::from_raw_mode(mode & 0o777))?)
    }

    fn set_folder_mode(&self, folder: &OwnedFd, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(folder, Mode::from_raw_mode(mode & 0o7777))?)
    }

    fn flush_file(&self, file: &SystemFile) -> io::Result<()> {
        Ok(rustix::fs::fsync(&file.file)?)
    }

    fn flush_bytes(&self, file: &SystemFile) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&file.file)?)
    }

    /// Some network file systems cannot flush a folder, because the server makes its entries durable before
    /// it replies. They report `EINVAL`. A flush that was tried and failed reports other errors.
    fn flush_folder(&self, folder: &OwnedFd) -> io::Result<()> {
        match rustix::fs::fsync(folder) {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            flushed => Ok(flushed?),
        }
    }

    /// The system starts writing dirty pages when advised that they are not needed (`mm/fadvise.c`). For us
    /// this does what `sync_file_range` does, on every file system and without waiting.
    fn start_write_out(&self, file: &SystemFile, offset: u64, length: u64) {
        self.drop_cache(file, offset, length);
    }

    fn drop_cache(&self, file: &SystemFile, offset: u64, length: u64) {
        if let Some(length) = std::num::NonZeroU64::new(length) {
            // Advice: where it is ignored, only the proof is weaker.
            rustix::fs::fadvise(&file.file, offset, Some(length), Advice::DontNeed).unwrap_or_default();
        }
    }

    fn link(&self, from: &OwnedFd, from_name: &[u8], to: &OwnedFd, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(
            from,
            from_name,
            to,
            to_name,
            AtFlags::empty(),
        )?)
    }

    fn rename_without_replacing(
        &self,
        from: &OwnedFd,
        from_name: &[u8],
        to: &OwnedFd,
        to_name: &[u8],
    ) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(
            from,
            from_name,
            to,
            to_name,
            RenameFlags::NOREPLACE,
        )?)
    }

    fn rename(&self, from: &OwnedFd, from_name: &[u8], to: &OwnedFd, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(from, from_name, to, to_name)?)
    }

    fn remove_file(&self, at: &OwnedFd, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(at, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, at: &OwnedFd, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR)?)
    }

    fn may_write(&self, folder: &OwnedFd) -> io::Result<()> {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        Ok(retried(|| {
            rustix::fs::accessat(folder, c".", access, AtFlags::EACCESS)
        })?)
    }

    fn largest_file(&self) -> Option<u64> {
        rustix::process::getrlimit(rustix::process::Resource::Fsize).current
    }

    fn file_status(&self, file: &SystemFile) -> io::Result<Status> {
        status(&file.file, c"", AtFlags::EMPTY_PATH)
    }

    fn folder_status(&self, folder: &OwnedFd) -> io::Result<Status> {
        status(folder, c"", AtFlags::EMPTY_PATH)
    }

    fn status_at(&self, at: &OwnedFd, name: &[u8]) -> io::Result<Status> {
        status(at, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn entries(&self, folder: &OwnedFd) -> io::Result<Entries> {
        Ok(Entries(Dir::read_from(folder)?))
    }

    fn space(&self, folder: &OwnedFd) -> io::Result<Space> {
        let found = retried(|| rustix::fs::fstatvfs(folder))?;
        let unit = found.f_frsize.max(1);
        Ok(Space {
            available: found.f_bavail.saturating_mul(unit),
            total: found.f_blocks.saturating_mul(unit),
            files_available: (found.f_files > 0).then_some(found.f_favail),
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// From the random keys that the standard library makes for its hash tables.
    fn unique_number(&self) -> u64 {
        std::hash::RandomState::new().build_hasher().finish()
    }
}

/// An open listing of a folder.
#[derive(Debug)]
pub struct Entries(Dir);

impl Iterator for Entries {
    type Item = io::Result<FolderEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next()? {
                Err(error) => return Some(Err(error.into())),
                Ok(entry) if is_dots(entry.file_name()) => {}
                Ok(entry) => {
                    return Some(Ok(FolderEntry {
                        name: entry.file_name().to_bytes().to_vec(),
                        kind: kind(entry.file_type()),
                    }));
                }
            }
        }
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
