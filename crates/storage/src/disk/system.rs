//! The disk of the system.

use std::ffi::CStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Timestamp;
use rustix::fs::{
    Advice, AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags,
    StatVfsMountFlags, Statx, StatxFlags, StatxTimestamp, Timespec, Timestamps,
};
use rustix::io::Errno;

use crate::aligned;

use super::{Access, Disk, EntryKind, FolderEntry, NodeIdentity, Space, Status};

/// The system calls of Linux.
#[derive(Debug, Default)]
pub struct SystemDisk {
    /// Whether `openat2` is known to be missing: kernels before 5.6, and containers whose filter does not know it.
    lacks_openat2: AtomicBool,
}

impl SystemDisk {
    /// One that does without `openat2`, as on an old kernel.
    pub fn without_openat2() -> Self {
        Self {
            lacks_openat2: AtomicBool::new(true),
        }
    }

    fn open_beneath(&self, at: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        if !self.lacks_openat2.load(Ordering::Relaxed) {
            match open_with_openat2(at, path, flags) {
                Err(Errno::NOSYS) => self.lacks_openat2.store(true, Ordering::Relaxed),
                // A container's filter may refuse the call this way. Going component by component tells whether it was the call.
                Err(Errno::PERM) => {}
                opened => return Ok(opened?),
            }
        }
        open_by_components(at, path, flags)
    }
}

/// `EAGAIN` says that something was renamed while the path was walked; it is not to be seen as a fault of the path. Bounded, because
/// somebody might rename without end.
fn open_with_openat2(at: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    const ATTEMPTS: usize = 32;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(at, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// Opens one folder after the other, none of them through a symbolic link. A component `..` is no name and is refused.
fn open_by_components(at: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let on_the_way = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut components = path.split(|byte| *byte == b'/').peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        if matches!(component, b"" | b"." | b"..") {
            return Err(Errno::INVAL.into());
        }
        let from = folder.as_ref().unwrap_or(at);
        if components.peek().is_none() {
            return Ok(retried(|| {
                rustix::fs::openat(from, component, flags, Mode::empty())
            })?);
        }
        folder = Some(retried(|| {
            rustix::fs::openat(from, component, on_the_way, Mode::empty())
        })?);
    }
    Err(Errno::NOENT.into())
}

/// A signal may interrupt a call on a network file system before it has done anything.
fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// An open file of the system.
#[derive(Debug)]
pub struct SystemFile {
    file: OwnedFd,
    /// The same file, opened once more to go past the cache.
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

/// File systems whose files can be read and written past the cache at the speed of the disk. Not those on which each such write waits
/// for a server (NFS, SMB), or that keep checksums or compress and so go through memory anyway.
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
        self.open_beneath(at, path, OFlags::RDONLY | OFlags::DIRECTORY)
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
        Ok(self.open_beneath(at, path, access | OFlags::NONBLOCK)?.into())
    }

    fn avoid_cache(&self, file: &mut SystemFile, at: &OwnedFd, name: &[u8]) {
        if file.past_cache.is_none() && goes_well_past_cache(&file.file) {
            let again = self.open_beneath(at, name, OFlags::RDWR | OFlags::DIRECT).ok();
            file.past_cache = again.filter(|again| is_same_node(&file.file, again));
        }
    }

    fn write_at(&self, file: &SystemFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if let Some(past_cache) = file.past_cache_for(bytes, offset) {
            match retried(|| rustix::io::pwrite(past_cache, bytes, offset)) {
                // It wants larger blocks than any disk has that we know.
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

    /// Some network file systems cannot flush a folder, because the server has made its entries durable before it answers, and say so
    /// by `EINVAL`. A flush that was tried and failed has other errors.
    fn flush_folder(&self, folder: &OwnedFd) -> io::Result<()> {
        match rustix::fs::fsync(folder) {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            flushed => Ok(flushed?),
        }
    }

    /// The system begins to write dirty pages out when it is told that they will not be needed (`mm/fadvise.c`), which does what
    /// `sync_file_range` does for us, on every file system and without waiting.
    fn start_write_out(&self, file: &SystemFile, offset: u64, length: u64) {
        self.drop_cache(file, offset, length);
    }

    fn drop_cache(&self, file: &SystemFile, offset: u64, length: u64) {
        if let Some(length) = std::num::NonZeroU64::new(length) {
            // Advice: where it is not taken, nothing is lost but some strength of the proof.
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
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        Ok(retried(|| {
            rustix::fs::accessat(folder, c".", wanted, AtFlags::EACCESS)
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

    /// From the keys that the standard library draws at random for its hash tables.
    fn unique_number(&self) -> u64 {
        std::hash::RandomState::new().build_hasher().finish()
    }
}

fn status(at: &OwnedFd, name: impl rustix::path::Arg + Copy, flags: AtFlags) -> io::Result<Status> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let found = retried(|| rustix::fs::statx(at, name, flags, wanted))?;
    Ok(Status {
        kind: kind(FileType::from_raw_mode(found.stx_mode.into())),
        identity: NodeIdentity {
            device_number: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            born: born(&found),
        },
        mount: match found.stx_mask & StatxFlags::MNT_ID.bits() {
            0 => 0,
            _ => found.stx_mnt_id,
        },
        size: found.stx_size,
        modified: timestamp(found.stx_mtime),
        changed: timestamp(found.stx_ctime),
    })
}

/// Whether both are one file: its name may stand for another by now.
fn is_same_node(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |file| status(file, c"", AtFlags::EMPTY_PATH).map(|status| status.identity);
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

fn born(found: &Statx) -> Option<Timestamp> {
    let known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then(|| timestamp(found.stx_btime))
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp::from_seconds(time.tv_sec).plus(std::time::Duration::from_nanos(time.tv_nsec.into()))
}

fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Folder,
        FileType::Symlink => EntryKind::Link,
        FileType::Unknown => EntryKind::Unknown,
        _ => EntryKind::Special,
    }
}

/// A folder of the system being listed.
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
