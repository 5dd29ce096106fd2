//! Translates the system's results into SFTP.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{FileType, StatVfs};
use rustix::io::Errno;
use sftp::codec::{Attributes, FileSystem, FileTimes, Name, OwnerIds, Status, StatusCode};

/// OpenSSH's mapping of errors, with its texts.
pub(super) fn status(error: &io::Error) -> Status {
    let code = match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP) => StatusCode::NoSuchFile,
        Some(Errno::PERM | Errno::ACCESS | Errno::FAULT) => StatusCode::PermissionDenied,
        Some(Errno::NAMETOOLONG | Errno::INVAL) => StatusCode::BadMessage,
        Some(Errno::NOSYS) => StatusCode::OpUnsupported,
        None if error.kind() == io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        _ => StatusCode::Failure,
    };
    let words = match code {
        StatusCode::NoSuchFile => "No such file",
        StatusCode::PermissionDenied => "Permission denied",
        StatusCode::BadMessage => "Bad message",
        StatusCode::OpUnsupported => "Operation unsupported",
        _ => "Failure",
    };
    Status::new(code, words)
}

pub(super) fn attributes(metadata: &Metadata) -> Attributes {
    Attributes {
        size: Some(metadata.len()),
        owner: Some(OwnerIds {
            user: metadata.uid(),
            group: metadata.gid(),
        }),
        permissions: Some(metadata.mode()),
        times: Some(FileTimes {
            accessed: seconds(metadata.atime()),
            modified: seconds(metadata.mtime()),
        }),
        extended: Vec::new(),
    }
}

/// SFTP version 3 has 32 bits: other values are clamped.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

pub(super) fn name(name: OsString, metadata: &Metadata) -> Name {
    let name = Bytes::from(name.into_vec());
    let mut long_name = format!(
        "{} {:>4} {:<8} {:<8} {:>8} {} ",
        mode_text(metadata.mode()),
        metadata.nlink(),
        metadata.uid(),
        metadata.gid(),
        metadata.len(),
        date_text(metadata.mtime()),
    )
    .into_bytes();
    long_name.extend_from_slice(&name);
    Name {
        name,
        long_name: long_name.into(),
        attributes: attributes(metadata),
    }
}

/// The entries `.` and `..`, which every server lists and the standard library omits.
pub(super) fn dots(folder: &Path) -> Vec<Name> {
    let described = [".", ".."]
        .into_iter()
        .map(|dot| Some(name(dot.into(), &fs::metadata(folder.join(dot)).ok()?)));
    described.flatten().collect()
}

/// Like `drwxr-xr-x`.
fn mode_text(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        _ => '-',
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    let bits = bits.map(|(place, letter)| if mode & (0o400 >> place) == 0 { '-' } else { letter });
    std::iter::once(kind).chain(bits).collect()
}

/// Like `Nov 22 11:40`, in UTC.
fn date_text(time: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    // Days to date by Howard Hinnant's `civil_from_days`: its year begins in March, so the leap day comes
    // last.
    let day_of_era = (days + 719_468).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let name = usize::try_from((month + 2) % 12)
        .ok()
        .and_then(|month| MONTHS.get(month))
        .unwrap_or(&"???");
    format!("{name} {day:>2} {:02}:{:02}", second / 3600, second / 60 % 60)
}

pub(super) fn file_system(found: &StatVfs) -> FileSystem {
    FileSystem {
        block_size: found.f_bsize,
        fragment_size: found.f_frsize,
        blocks: found.f_blocks,
        blocks_free: found.f_bfree,
        blocks_available: found.f_bavail,
        files: found.f_files,
        files_free: found.f_ffree,
        files_available: found.f_favail,
        identity: found.f_fsid,
        // Bit 0 means read-only and bit 1 no set-user-id, in both.
        flags: found.f_flag.bits() & 3,
        name_length: found.f_namemax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_dates_read_as_ls_prints_them() {
        assert_eq!(mode_text(0o040_750), "drwxr-x---");
        assert_eq!(mode_text(0o100_604), "-rw----r--");
        assert_eq!(date_text(0), "Jan  1 00:00");
        assert_eq!(date_text(951_827_696), "Feb 29 12:34");
        assert_eq!(date_text(1_795_347_610), "Nov 22 11:40");
    }
}
