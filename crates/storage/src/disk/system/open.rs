//! Opening beneath a folder: never outside it, never through a symbolic link.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens paths beneath a folder by `openat2`, or one component at a time.
#[derive(Debug, Default)]
pub(super) struct BeneathOpener {
    /// Whether `openat2` is known to be missing: kernels before 5.6, and containers whose filter blocks it.
    lacks_openat2: AtomicBool,
}

impl BeneathOpener {
    pub(super) fn without_openat2() -> Self {
        Self {
            lacks_openat2: AtomicBool::new(true),
        }
    }

    pub(super) fn open(&self, at: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        if !self.lacks_openat2.load(Ordering::Relaxed) {
            match open_with_openat2(at, path, flags) {
                Err(Errno::NOSYS) => self.lacks_openat2.store(true, Ordering::Relaxed),
                // A container's filter may block the call with EPERM. Opening by components shows whether the
                // path itself is forbidden.
                Err(Errno::PERM) => {}
                opened => return Ok(opened?),
            }
        }
        open_by_components(at, path, flags)
    }
}

/// `EAGAIN` means that something was renamed while the path was resolved, which is no fault of the path. The
/// retries are bounded, because another process may rename without end.
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

/// Opens each folder of the path in turn, none through a symbolic link. Refuses the component `..`.
fn open_by_components(at: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
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
            rustix::fs::openat(from, component, folder_flags, Mode::empty())
        })?);
    }
    Err(Errno::NOENT.into())
}

/// Repeats a call while a signal interrupts it, which can happen on a network file system before the call has
/// had any effect.
pub(super) fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
