//! Finds out how a file can get its name without ever replacing another: some network file systems lack the one way, some the other.

use std::io;

use rustix::io::Errno;

use crate::disk::Disk;
use crate::fault::{errno, is};
use crate::marker::PublishMethod;

/// Tries both ways on files of its own in `folder`; `None` if neither can be trusted. Leaves nothing behind unless it is killed.
pub(crate) fn publish_method<D: Disk>(disk: &D, folder: &D::Folder) -> io::Result<Option<PublishMethod>> {
    let number = disk.unique_number();
    let first = format!("probe-{number:016x}-1").into_bytes();
    let second = format!("probe-{number:016x}-2").into_bytes();
    drop(disk.create_file(folder, &first)?);
    let method = try_both(disk, folder, &first, &second);
    for name in [&first, &second] {
        // Either may be gone by now, as it should be.
        disk.remove_file(folder, name).unwrap_or_default();
    }
    method
}

fn try_both<D: Disk>(
    disk: &D,
    folder: &D::Folder,
    first: &[u8],
    second: &[u8],
) -> io::Result<Option<PublishMethod>> {
    if refuses_to_replace(|| disk.link(folder, first, folder, second))? {
        return Ok(Some(PublishMethod::Link));
    }
    match disk.create_file(folder, second) {
        Err(error) if !is(&error, Errno::EXIST) => return Err(error),
        _ => {}
    }
    match disk.rename_without_replacing(folder, first, folder, second) {
        Err(error) if is(&error, Errno::EXIST) => {}
        Err(error) if !is_unsupported(&error) => return Err(error),
        _ => return Ok(None),
    }
    disk.remove_file(folder, second)?;
    disk.rename_without_replacing(folder, first, folder, second)?;
    Ok(Some(PublishMethod::Rename))
}

/// Whether a call works once and answers that the name is taken when it is made again.
fn refuses_to_replace(call: impl Fn() -> io::Result<()>) -> io::Result<bool> {
    match call() {
        Err(error) if is_unsupported(&error) => return Ok(false),
        done => done?,
    }
    Ok(call().is_err_and(|error| is(&error, Errno::EXIST)))
}

/// Whether an error says that the file system (or a file in it, for `EMLINK`) does not have this operation. A file system without hard
/// links answers `EPERM`; NFS answers `EINVAL` to a rename that must not replace.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
    )
}
