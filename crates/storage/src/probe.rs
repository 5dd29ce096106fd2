//! Finds out how a file can get its name without replacing another: some network file systems lack links,
//! some lack safe renames.

use std::io;

use rustix::io::Errno;

use crate::disk::Disk;
use crate::fault::{errno, is};
use crate::marker::PublishMethod;

/// Tries both methods on its own files in `folder`; `None` if neither works. Removes these files; a kill
/// leaves them.
pub(crate) fn publish_method<D: Disk>(disk: &D, folder: &D::Folder) -> io::Result<Option<PublishMethod>> {
    let number = disk.unique_number();
    let first = format!("probe-{number:016x}-1").into_bytes();
    let second = format!("probe-{number:016x}-2").into_bytes();
    drop(disk.create_file(folder, &first)?);
    let method = try_both(disk, folder, &first, &second);
    for name in [&first, &second] {
        // Either may be gone already, as intended.
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
    if links_without_replacing(disk, folder, first, second)? {
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
    // Linux itself reports a taken name before it asks the file system. Only a free name shows whether the
    // file system supports the call.
    match disk.rename_without_replacing(folder, first, folder, second) {
        Ok(()) => Ok(Some(PublishMethod::Rename)),
        Err(error) if is_unsupported(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a link succeeds once and fails when its name is taken.
///
/// File systems without links report different errors: `EPERM`, `ENOSYS`, `EACCES`, and rclone's mounts even
/// `EIO`. Creating a file has just worked, so only errors that no later call could mend count as faults of
/// the store.
fn links_without_replacing<D: Disk>(
    disk: &D,
    folder: &D::Folder,
    first: &[u8],
    second: &[u8],
) -> io::Result<bool> {
    let is_fault = |error: &io::Error| {
        let faults = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::STALE,
            Errno::NOTCONN,
            Errno::NOMEM,
        ];
        errno(error).is_some_and(|number| faults.contains(&number))
    };
    match disk.link(folder, first, folder, second) {
        Ok(()) => {}
        Err(error) if is_fault(&error) => return Err(error),
        Err(_) => return Ok(false),
    }
    let again = disk.link(folder, first, folder, second);
    Ok(again.is_err_and(|error| is(&error, Errno::EXIST)))
}

/// Whether an error means that the file system (or a file in it, for `EMLINK`) does not support this
/// operation. File systems without hard links report `EPERM`; NFS and FUSE report `EINVAL` for a rename that
/// must not replace.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
    )
}
