//! Which files are open, and what this says about a file to be withdrawn.

use std::collections::HashSet;

use engine::ports::device::Openness;

use crate::facts::ReadLeaseScope;
use crate::records::{Record, Status};

/// The login, as far as it decides what the device can report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Login {
    /// The user id, where known.
    pub(crate) user: Option<u32>,
    /// Files on which it may take leases.
    pub(crate) read_leases: Option<ReadLeaseScope>,
}

impl Login {
    /// Only root may inspect every process.
    fn sees_all(self) -> bool {
        self.user == Some(0)
    }

    fn may_lease(self, status: &Status) -> bool {
        match self.read_leases {
            Some(ReadLeaseScope::Anyone) => true,
            Some(ReadLeaseScope::Owner) => self.user == Some(status.owner),
            None => false,
        }
    }
}

/// What the kernel and a scan report about files that are open for writing, or mapped writable.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    /// The kernel's reply for each file of a request, in order. A single reply holds for all of them.
    lease_replies: Vec<u8>,
    /// File systems on which leases prove whether a file is open.
    leasable: HashSet<u64>,
    /// The scan reached its end, and saw every process.
    is_complete: bool,
    open: HashSet<(u64, u64)>,
    /// Device number and inode, as the kernel's mappings have them.
    mapped: HashSet<(u64, u64)>,
    mapped_inodes: HashSet<u64>,
    /// File systems that have the same number in stat and in the mappings, although its major number is 0.
    exact_numbers: HashSet<u64>,
    /// File systems that can be written to without this kernel, or this mount, noticing.
    externally_writable: HashSet<u64>,
    /// There are more than gleaner remembers. Then nothing is known of a file that is not among them.
    overflowed: bool,
    /// The number of records, whether or not they had something new.
    records: usize,
}

/// The most open files to remember: a hundred times as many as a busy device has. A device that has more
/// counts as one that does not report them.
const MAX_OPEN_FILES: usize = 256 * 1024;
/// The most records to read. No device has two million open files; one that reports more never stops.
const MAX_RECORDS: usize = 8 * MAX_OPEN_FILES;

impl OpenFiles {
    /// Adds a record. Returns whether it was about open files.
    pub(crate) fn add(&mut self, record: &Record) -> bool {
        let numbers = self.mapped.len()
            + self.mapped_inodes.len()
            + self.exact_numbers.len()
            + self.externally_writable.len()
            + self.leasable.len();
        self.overflowed |= self.open.len() + numbers > MAX_OPEN_FILES;
        let is_about_them = matches!(
            record,
            Record::Open { .. }
                | Record::Mapped(_)
                | Record::Leasable { .. }
                | Record::LeaseReplies(_)
                | Record::ScanComplete
        );
        self.records += usize::from(is_about_them);
        match record {
            Record::LeaseReplies(replies) => {
                self.lease_replies.clone_from(replies);
                true
            }
            _ if self.overflowed => is_about_them,
            Record::Leasable { device_number } => {
                self.leasable.insert(*device_number);
                true
            }
            Record::ScanComplete => {
                self.is_complete = true;
                true
            }
            Record::Open { device_number, inode } => {
                self.open.insert((*device_number, *inode));
                true
            }
            Record::Mapped(lines) => {
                for line in lines.split(|byte| *byte == b'\n') {
                    self.exact_numbers.extend(number_after(b"memory ", line));
                    self.externally_writable.extend(number_after(b"other ", line));
                    if let Some((device_number, inode)) = mapping(line) {
                        self.mapped.insert((device_number, inode));
                        self.mapped_inodes.insert(inode);
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// Whether there are more records than any device can have.
    pub(crate) fn is_endless(&self) -> bool {
        self.records > MAX_RECORDS
    }

    /// Whether there were more open files than gleaner remembers.
    pub(crate) fn is_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Whether the scan proves that a file which it does not name is closed.
    fn scan_proves_closed(&self, login: Login) -> bool {
        // The shell that scans has its own output open: a scan that names nothing has failed.
        self.is_complete && login.sees_all() && !self.open.is_empty() && !self.overflowed
    }

    /// Whether this file is open.
    pub(crate) fn is_open(&self, device_number: u64, inode: u64) -> bool {
        if self.open.contains(&(device_number, inode)) || self.mapped.contains(&(device_number, inode)) {
            return true;
        }
        // Btrfs, overlayfs and others show one number in stat and another in the mappings; theirs in stat has
        // the major number 0. Then the inode alone must match. tmpfs is excluded: its small inode numbers
        // occur on any other file system too, and a mapping may last as long as the device runs.
        major(device_number) == 0
            && !self.exact_numbers.contains(&device_number)
            && self.mapped_inodes.contains(&inode)
    }
}

/// Parses a line that names a file system of some kind, as `major:minor` in decimal.
fn number_after(kind: &[u8], line: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(line.strip_prefix(kind)?).ok()?;
    let (major, minor) = number.split_once(':')?;
    Some(device_number(major.parse().ok()?, minor.parse().ok()?))
}

/// Parses a line of `/proc/<process>/maps` (proc(5)): addresses, permissions, offset, device, inode, and a
/// path, which is ignored.
fn mapping(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let (device, inode) = (fields.next()?, fields.next()?);
    let (major, minor) = std::str::from_utf8(device).ok()?.split_once(':')?;
    let major = u64::from_str_radix(major, 16).ok()?;
    let minor = u64::from_str_radix(minor, 16).ok()?;
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    Some((device_number(major, minor), inode))
}

/// Combines the numbers like makedev(3), as stat shows them.
fn device_number(major: u64, minor: u64) -> u64 {
    ((major & 0xffff_f000) << 32) | ((major & 0xfff) << 8) | ((minor & 0xffff_ff00) << 12) | (minor & 0xff)
}

fn major(device_number: u64) -> u64 {
    ((device_number >> 32) & 0xffff_f000) | ((device_number >> 8) & 0xfff)
}

/// What a listing says about a file.
pub(crate) fn listed_openness(files: &OpenFiles, status: &Status, login: Login) -> Openness {
    let scanned = scan_openness(files, status.device_number, status.inode, login);
    let can_be_leased = files.leasable.contains(&status.device_number) && login.may_lease(status);
    if scanned == Openness::Unknown && can_be_leased {
        Openness::Unasked
    } else {
        scanned
    }
}

/// What the reply to a request says about the file at this position.
pub(crate) fn requested_openness(
    files: &OpenFiles,
    position: usize,
    device_number: u64,
    inode: u64,
    login: Login,
) -> Openness {
    let reply = match files.lease_replies.as_slice() {
        [of_all] => Some(of_all),
        replies => replies.get(position),
    };
    match reply {
        Some(b'c') => Openness::Closed,
        Some(b'o') => Openness::Open,
        _ => scan_openness(files, device_number, inode, login),
    }
}

/// What a scan says about a file with these numbers.
fn scan_openness(files: &OpenFiles, device_number: u64, inode: u64, login: Login) -> Openness {
    if files.is_open(device_number, inode) {
        Openness::Open
    } else if files.scan_proves_closed(login) && !files.externally_writable.contains(&device_number) {
        Openness::Closed
    } else {
        Openness::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Login = Login {
        user: Some(0),
        read_leases: Some(ReadLeaseScope::Anyone),
    };

    fn login(user: u32) -> Login {
        Login {
            user: Some(user),
            read_leases: Some(ReadLeaseScope::Owner),
        }
    }

    const TAG: &str = "0123456789abcdef0123456789abcdef";

    fn parse(record: &[u8]) -> Option<Record> {
        Record::parse(record, TAG)
    }

    #[test]
    fn a_mapping_on_an_anonymous_device_is_matched_by_its_inode_alone() {
        let mut files = OpenFiles::default();
        assert!(files.add(&parse(
            b"m 7f0000-7f1000 rw-s 00000000 08:02 131                      /data/\xff a\n7f2-7f3 -w-s 0 00:05 7\nnonsense\n"
        ).unwrap()));
        let sda2 = 0x802;
        assert!(files.is_open(sda2, 131));
        assert!(!files.is_open(sda2, 7) && !files.is_open(0x803, 131));
        assert!(files.is_open(0x1f, 131), "btrfs");
        assert_eq!(major(device_number(259, 300)), 259);
    }

    #[test]
    fn endless_open_files_are_noticed_even_if_always_the_same() {
        let mut files = OpenFiles::default();
        let record = parse(b"o 5 5 21b6").unwrap();
        for _ in 0..MAX_RECORDS {
            assert!(files.add(&record) && !files.is_endless());
        }
        assert!(files.add(&record) && files.is_endless());
    }

    #[test]
    fn a_device_with_too_many_open_files_counts_as_one_that_reports_none() {
        let Some(Record::Status(status)) = parse(b"f f 2049 131 1 1.0 1.0 1000 a") else {
            panic!("no status")
        };
        let mut files = OpenFiles::default();
        for inode in 1_000..u64::try_from(MAX_OPEN_FILES).unwrap() + 2_000 {
            let device_number = 2049;
            files.add(&Record::Open { device_number, inode });
        }
        files.add(&Record::ScanComplete);
        assert!(files.is_overflowed() && !files.is_endless());
        assert_eq!(listed_openness(&files, &status, ROOT), Openness::Unknown);
        files.add(&parse(b"k o").unwrap());
        assert_eq!(
            requested_openness(&files, 0, 2049, 1, ROOT),
            Openness::Open,
            "the kernel's answer still counts"
        );
        assert_eq!(files.open.len(), MAX_OPEN_FILES + 1);
        assert!(files.is_open(2049, 1_000), "what is known to be open is open");
    }

    #[test]
    fn the_memory_for_reported_file_systems_is_bounded() {
        let mut files = OpenFiles::default();
        for major in 0..100 {
            let lines = |minor: usize| format!("memory {major}:{minor}\n").into_bytes();
            files.add(&Record::Mapped((0..10_000).flat_map(lines).collect()));
        }
        assert!(files.is_overflowed());
        assert!(files.exact_numbers.len() < MAX_OPEN_FILES + 20_000);
    }

    #[test]
    fn on_tmpfs_a_mapping_of_that_inode_elsewhere_does_not_count() {
        let mut files = OpenFiles::default();
        files.add(
            &parse(b"m 7f0000-7f1000 rw-s 0 08:02 131 /data/a\n7f1-7f2 rw-s 0 00:1f 132 /dev/shm/a\nmemory 0:31\nmemory x\n")
                .unwrap(),
        );
        assert!(!files.is_open(0x1f, 131), "tmpfs, and mapped elsewhere");
        assert!(files.is_open(0x1f, 132), "tmpfs, and mapped there");
        assert!(files.is_open(0x20, 131), "not known to be in memory");
    }

    fn status() -> Status {
        match parse(b"f f 2049 131 1 1.0 1.0 1000 a") {
            Some(Record::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_scan_proves_a_file_closed_only_if_it_was_complete() {
        let mut files = OpenFiles::default();
        files.add(&Record::ScanComplete);
        let of_root = |files: &OpenFiles| listed_openness(files, &status(), ROOT);
        assert_eq!(of_root(&files), Openness::Unknown, "it did not even see itself");
        files = OpenFiles::default();
        files.add(&parse(b"o 5 5 21b6").unwrap());
        assert_eq!(of_root(&files), Openness::Unknown, "it was cut short");
        files.add(&parse(b"w").unwrap());
        assert_eq!(of_root(&files), Openness::Closed);
        for login in [Login::default(), login(1000), login(1001)] {
            assert_eq!(
                listed_openness(&files, &status(), login),
                Openness::Unknown,
                "{login:?}"
            );
        }
        files.add(&parse(b"m other 8:1\n").unwrap());
        assert_eq!(of_root(&files), Openness::Unknown, "others may write to it");
        files.add(&parse(b"o 2049 131 81a4").unwrap());
        assert_eq!(listed_openness(&files, &status(), login(1001)), Openness::Open);
    }

    #[test]
    fn owner_and_root_can_ask_the_kernel_where_leases_were_tried() {
        let mut files = OpenFiles::default();
        let check = |files: &OpenFiles, user| listed_openness(files, &status(), login(user));
        files.add(&parse(b"l 2050").unwrap());
        assert_eq!(check(&files, 1000), Openness::Unknown, "another file system");
        files.add(&parse(b"l 2049").unwrap());
        assert_eq!(check(&files, 1000), Openness::Unasked);
        assert_eq!(check(&files, 0), Openness::Unknown, "root in a container");
        assert_eq!(listed_openness(&files, &status(), ROOT), Openness::Unasked);
        assert_eq!(check(&files, 1001), Openness::Unknown, "another owner");
    }

    #[test]
    fn only_a_granted_lease_or_a_complete_scan_proves_a_file_closed() {
        let mut files = OpenFiles::default();
        files.add(&parse(b"k coun").unwrap());
        let replies = |files: &OpenFiles, at| requested_openness(files, at, 2049, 131, ROOT);
        let all: Vec<_> = (0..5).map(|at| replies(&files, at)).collect();
        let unknown = Openness::Unknown;
        assert_eq!(all, [Openness::Closed, Openness::Open, unknown, unknown, unknown]);
        files.add(&parse(b"o 5 5 21b6").unwrap());
        files.add(&parse(b"w").unwrap());
        assert_eq!(replies(&files, 2), Openness::Closed);
        files.add(&parse(b"k o").unwrap());
        assert_eq!(replies(&files, 7), Openness::Open, "of all files the same");
        files.add(&parse(b"k ").unwrap());
        assert_eq!(
            replies(&OpenFiles::default(), 0),
            Openness::Unknown,
            "there was no reply"
        );
    }
}
