//! The facts that the device's script reports first.

use std::time::Duration;

use engine::ports::device::{DiskUse, FolderNumbers};
use model::Timestamp;

use crate::records::time;

/// The reported facts, as far as gleaner could parse them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) boot_id: Option<String>,
    pub(crate) uptime: Option<Duration>,
    pub(crate) clock: Option<Timestamp>,
    pub(crate) user: Option<u32>,
    pub(crate) dialect: Dialect,
    pub(crate) digests: Option<DigestTool>,
    /// perl is available: it can call rename(2) alone, and read many files in one process.
    pub(crate) perl: bool,
    /// Files on which the device's perl can take a lease; `None` if it cannot.
    pub(crate) read_leases: Option<ReadLeaseScope>,
    /// In the order of the requested sources.
    pub(crate) disks: Vec<Option<DiskUse>>,
    /// In the order of the requested sources.
    pub(crate) folders: Vec<Option<SourceFolder>>,
}

/// A source folder as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceFolder {
    pub(crate) numbers: FolderNumbers,
    pub(crate) modified: Timestamp,
}

/// Files on which a login can take a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadLeaseScope {
    /// Its own files.
    Owner,
    /// All files: the login has the capability `CAP_LEASE`, as root has outside of containers.
    Anyone,
}

impl ReadLeaseScope {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "own" => Some(Self::Owner),
            "any" => Some(Self::Anyone),
            _ => None,
        }
    }
}

/// The tool with which the device digests files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestTool {
    Openssl,
    Sha256sum,
    /// It has both. The script uses openssl, the faster one, unless it turns out not to work.
    Either,
}

impl DigestTool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openssl => "openssl",
            Self::Sha256sum => "sha256sum",
            Self::Either => "either",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Openssl, Self::Sha256sum, Self::Either]
            .into_iter()
            .find(|tool| tool.name() == name)
    }
}

/// What the device's tools can report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// GNU find and stat: everything. Records end with NUL.
    Gnu,
    /// GNU stat with another find: files can be inspected, but not listed.
    GnuStat,
    /// `BusyBox`: times in whole seconds. Records end with the tag.
    Plain,
    /// A usable stat, and an unusable find.
    PlainStat,
    /// Nothing.
    #[default]
    Unsupported,
}

impl Dialect {
    /// Whether the script can list a source.
    pub(crate) const fn lists(self) -> bool {
        matches!(self, Self::Gnu | Self::Plain)
    }

    /// Whether records end with NUL. Otherwise they end with the tag on a line of its own.
    pub(crate) const fn ends_records_in_nul(self) -> bool {
        matches!(self, Self::Gnu | Self::GnuStat)
    }
}

impl Facts {
    /// Parses the lines between the sentinel and the end, without their tags.
    pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut facts = Self::default();
        let (mut find, mut stat, mut plain_find, mut plain_stat) = (false, false, false, false);
        for line in lines {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "boot" => facts.boot_id = boot_id(value),
                "uptime" => {
                    facts.uptime = seconds(value);
                }
                "clock" => facts.clock = clock(value),
                "user" => facts.user = value.parse().ok(),
                "find" => find = has_shape(value, &[b"d"], 7),
                "stat" => stat = has_shape(value, &[], 7),
                "plain_find" => plain_find = has_shape(value, &[], 7),
                "plain_stat" => plain_stat = has_shape(value, &[], 7),
                "digests" => facts.digests = DigestTool::parse(value),
                "perl" => facts.perl = true,
                "leases" => facts.read_leases = ReadLeaseScope::parse(value),
                "disk" => facts.disks.push(disk(value)),
                "folder" => facts.folders.push(folder(value)),
                _ => {}
            }
        }
        facts.dialect = match (stat, find, plain_stat, plain_find) {
            (true, true, ..) => Dialect::Gnu,
            (true, false, ..) => Dialect::GnuStat,
            (false, _, true, true) => Dialect::Plain,
            (false, _, true, false) => Dialect::PlainStat,
            (false, _, false, _) => Dialect::Unsupported,
        };
        facts
    }
}

fn seconds(value: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(value.parse().ok()?).ok()
}

/// Accepts only the form that the kernel prints: the id goes into ledger and logs.
fn boot_id(value: &str) -> Option<String> {
    let is_fit = value.len() == 36 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_fit.then(|| value.to_owned())
}

/// A `date` that does not know `%N` prints it unchanged, or nothing in its place.
fn clock(value: &str) -> Option<Timestamp> {
    time(value).or_else(|| time(value.split_once('.')?.0))
}

/// Whether a test printed the expected number of fields: first the given words, then numbers.
fn has_shape(value: &str, prefix: &[&[u8]], count: usize) -> bool {
    let fields: Vec<_> = value.split(' ').collect();
    let is_number = |field: &&str| {
        !field.is_empty()
            && field
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'-'))
    };
    fields.len() == count
        && prefix
            .iter()
            .zip(&fields)
            .all(|(word, field)| *word == field.as_bytes())
        && fields.iter().skip(prefix.len()).all(is_number)
}

/// Device number, inode, and the modification time in seconds.
fn folder(value: &str) -> Option<SourceFolder> {
    let mut fields = value.split(' ');
    let numbers = FolderNumbers {
        device_number: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
    };
    let modified = time(fields.next()?)?;
    Some(SourceFolder { numbers, modified })
}

/// The last line of `df -P -k`: name, size, used, available, percentage, mount point. The name may contain
/// blanks.
fn disk(line: &str) -> Option<DiskUse> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    fields.windows(4).find_map(|window| {
        let [total, used, available, percentage] = window else {
            return None;
        };
        used.parse::<u64>().ok()?;
        percentage.ends_with('%').then_some(())?;
        Some(DiskUse {
            total: total.parse::<u64>().ok()?.saturating_mul(1024),
            available: available.parse::<u64>().unwrap_or(0).saturating_mul(1024),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_full_device_are_parsed() {
        let lines = [
            "boot 8b5b0c5e-3f6a-4c3b-9f0e-0a1b2c3d4e5f",
            "uptime 1234.56",
            "user 1000",
            "find d 2049 2 4096 1700000000.1234567890 1700000000.1234567890 0",
            "stat 2049 2 4096 1700000000.123456789 1700000000.123456789 0 41ed",
            "digests openssl",
            "perl",
            "leases any",
            "disk /dev/root 1000 400 500 45% /",
            "disk //server/a share 1000 400 -5 45% /mnt/x y",
            "disk ",
            "folder 2049 131073 1700000000",
            "folder ",
            "folder 2049 one 1",
            "clock 1700000000.123456789",
        ];
        let facts = Facts::parse(lines.into_iter());
        assert_eq!(facts.dialect, Dialect::Gnu);
        assert_eq!(facts.digests, Some(DigestTool::Openssl));
        assert!(facts.perl && facts.boot_id.is_some());
        assert_eq!(facts.read_leases, Some(ReadLeaseScope::Anyone));
        assert_eq!(facts.uptime, Some(Duration::from_millis(1_234_560)));
        assert_eq!(
            facts.clock.map(Timestamp::nanoseconds),
            Some(1_700_000_000_123_456_789)
        );
        let full = Some(DiskUse {
            total: 1_024_000,
            available: 512_000,
        });
        let over_quota = Some(DiskUse {
            total: 1_024_000,
            available: 0,
        });
        assert_eq!(facts.disks, [full, over_quota, None]);
        let numbers = FolderNumbers {
            device_number: 2049,
            inode: 131_073,
        };
        let folder = SourceFolder {
            numbers,
            modified: Timestamp::from_seconds(1_700_000_000),
        };
        assert_eq!(facts.folders, [Some(folder), None, None]);
    }

    #[test]
    fn the_facts_of_a_lesser_device_are_parsed() {
        let plain = [
            "stat",
            "find",
            "plain_stat 1 2 3 4 5 6 41ed",
            "plain_find 1 2 3 4 5 6 41ed",
            "clock 1700000000.%N",
        ];
        let facts = Facts::parse(plain.into_iter());
        assert_eq!(facts.dialect, Dialect::Plain);
        assert_eq!(facts.clock.map(Timestamp::seconds), Some(1_700_000_000));
        let odd = [
            "stat stat: unrecognized option",
            "find",
            "user",
            "uptime NaN",
            "boot $(reboot)",
            "digests rm -rf",
        ];
        assert_eq!(Facts::parse(odd.into_iter()), Facts::default());
    }
}
