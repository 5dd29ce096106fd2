//! Reads, writes and digests files by system calls.

use std::io;

use bytes::Bytes;
use model::Digest;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

use crate::aligned::{BLOCK, with_buffer};
use crate::disk::{Access, Disk};
use crate::fault::is;

/// Reads a file from its beginning, at most `limit` bytes.
pub(crate) fn read_whole<D: Disk>(disk: &D, file: &D::File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_range(disk, file, 0, limit, |part| bytes.extend_from_slice(part))?;
    Ok(bytes)
}

/// Digests a range of a file as the system returns it. The count is less than `length` if the file ends
/// before.
pub(crate) fn digest_range<D: Disk>(
    disk: &D,
    file: &D::File,
    offset: u64,
    length: u64,
) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let count = read_range(disk, file, offset, length, |part| hasher.update(part))?;
    Ok((digest_of(hasher), count))
}

/// The checksum of a range of a file as the system returns it. The count is less than `length` if the file
/// ends before.
pub(crate) fn checksum_range<D: Disk>(
    disk: &D,
    file: &D::File,
    offset: u64,
    length: u64,
) -> io::Result<(u128, u64)> {
    let mut hasher = XxHash3_128::new();
    let count = read_range(disk, file, offset, length, |part| hasher.write(part))?;
    Ok((hasher.finish_128(), count))
}

/// Whether a file begins with these bytes, as the system returns them.
pub(crate) fn begins_with<D: Disk>(disk: &D, file: &D::File, expected: &[Bytes]) -> io::Result<bool> {
    let length: usize = expected.iter().map(Bytes::len).sum();
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let mut pieces = expected.iter();
    let (mut piece, mut is_equal) = (&[][..], true);
    let count = read_range(disk, file, 0, length, |mut part| {
        while is_equal && !part.is_empty() {
            let common = piece.len().min(part.len());
            let (compared, left) = part.split_at(common);
            is_equal = piece.starts_with(compared);
            (piece, part) = (piece.get(common..).unwrap_or_default(), left);
            if piece.is_empty() && !part.is_empty() {
                match pieces.next() {
                    Some(next) => piece = next,
                    None => is_equal = false,
                }
            }
        }
    })?;
    Ok(is_equal && count == length)
}

/// Passes a range of a file to `take` in parts and returns how many bytes it had.
pub(crate) fn read_range<D: Disk>(
    disk: &D,
    file: &D::File,
    offset: u64,
    length: u64,
    mut take: impl FnMut(&[u8]),
) -> io::Result<u64> {
    with_buffer(length, |buffer| {
        let mut done = 0;
        while done < length {
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            // Whole blocks, so that the read can go past the cache. Bytes beyond the range are not passed on.
            let wanted = left
                .checked_next_multiple_of(BLOCK)
                .map_or(buffer.len(), |blocks| blocks.min(buffer.len()));
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            let count = disk.read_at(file, part, offset + done)?.min(left);
            if count == 0 {
                break;
            }
            take(part.get(..count).unwrap_or_default());
            done += u64::try_from(count).unwrap_or(u64::MAX);
        }
        Ok(done)
    })
}

/// Writes all bytes.
pub(crate) fn write_all<D: Disk>(disk: &D, file: &D::File, mut bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut at = offset;
    while !bytes.is_empty() {
        let count = disk.write_at(file, bytes, at)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
        at += u64::try_from(count).unwrap_or(u64::MAX);
    }
    Ok(())
}

/// Replaces a small file of the control folder. A crash leaves the old file or the new one, whole, and
/// possibly a temporary file.
pub(crate) fn replace_file<D: Disk>(disk: &D, at: &D::Folder, name: &[u8], text: &str) -> io::Result<()> {
    let temporary = [name, format!(".{:016x}", disk.unique_number()).as_bytes()].concat();
    let file = disk.create_file(at, &temporary)?;
    let written = write_all(disk, &file, text.as_bytes(), 0)
        .and_then(|()| disk.flush_file(&file))
        .and_then(|()| disk.rename(at, &temporary, at, name));
    if let Err(error) = written {
        disk.remove_file(at, &temporary).unwrap_or_default();
        return Err(error);
    }
    disk.flush_folder(at)
}

/// Opens a folder, making it if it is missing. For the control folder and the folders in it.
pub(crate) fn open_or_make_folder<D: Disk>(disk: &D, at: &D::Folder, name: &[u8]) -> io::Result<D::Folder> {
    match disk.open_folder(at, name) {
        Err(error) if is(&error, Errno::NOENT) => {}
        opened => return opened,
    }
    match disk.make_folder(at, name) {
        Err(error) if !is(&error, Errno::EXIST) => return Err(error),
        _ => {}
    }
    disk.open_folder(at, name)
}

/// Reads a small file of the control folder; `None` if it is missing.
pub(crate) fn read_small_file<D: Disk>(
    disk: &D,
    at: &D::Folder,
    name: &[u8],
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    match disk.open_file(at, name, Access::Read) {
        Ok(file) => read_whole(disk, &file, limit).map(Some),
        Err(error) if is(&error, Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn digest_of(hasher: Sha256) -> Digest {
    Digest::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemDisk;

    #[test]
    fn a_file_begins_with_its_own_bytes_and_with_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let disk = SystemDisk::default();
        let root = disk.open_root(folder.path()).unwrap();
        let content: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = disk.create_file(&root, b"a").unwrap();
        write_all(&disk, &file, &content, 0).unwrap();
        let begins = |pieces: &[&[u8]]| {
            let pieces: Vec<Bytes> = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
            begins_with(&disk, &file, &pieces).unwrap()
        };
        let (begin, end) = content.split_at(4097);
        assert!(begins(&[&content]) && begins(&[begin, &[], end]) && begins(&[&[], begin, end, &[]]));
        assert!(begins(&[begin]) && begins(&[]));
        assert!(!begins(&[begin, end, &[0]]) && !begins(&[end, begin]));
        let mut other = end.to_vec();
        *other.last_mut().unwrap() ^= 1;
        assert!(!begins(&[begin, &other]));
    }

    #[test]
    fn a_range_read_in_parts_ends_at_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let disk = SystemDisk::default();
        let root = disk.open_root(folder.path()).unwrap();
        let content: Vec<u8> = (0..800_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = disk.create_file(&root, b"a").unwrap();
        write_all(&disk, &file, &content, 0).unwrap();
        let whole = content.len();
        for (offset, length) in [
            (0, 1_500_001),
            (4096, 2_100_000),
            (2_500_000, 10_000_000),
            (0, whole),
        ] {
            let mut seen = Vec::new();
            let (from, asked) = (u64::try_from(offset).unwrap(), u64::try_from(length).unwrap());
            let count = read_range(&disk, &file, from, asked, |part| seen.extend_from_slice(part)).unwrap();
            let expected = &content[offset..whole.min(offset + length)];
            assert_eq!(
                (count, seen.len()),
                (u64::try_from(expected.len()).unwrap(), expected.len())
            );
            assert!(seen == expected, "{offset} {length}");
        }
    }
}
