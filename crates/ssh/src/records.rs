//! Parses the script's records. All of it is untrusted: nothing here panics or takes a value on trust.

use engine::ports::device::EntryKind;
use model::{Digest, Identity, Timestamp};

/// One record of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A file that a process has open for writing. The mode in the record is ignored.
    Open { device_number: u64, inode: u64 },
    /// A file system on which a lease proves whether a file is open.
    Leasable { device_number: u64 },
    /// The kernel's answer for each file of a request.
    LeaseReplies(Vec<u8>),
    /// The scan of open files was complete.
    ScanComplete,
    /// Writable shared mappings: lines of `/proc/<process>/maps`, then `memory major:minor` for each tmpfs
    /// and `other major:minor` for each file system that can be written to elsewhere.
    Mapped(Vec<u8>),
    /// An entry of a source, or an inspected file.
    Status(Status),
    /// The digest over the identities of many files; `None` if the device could not make it.
    Digest(Option<Digest>),
    /// A folder that cannot be listed.
    Unlistable(Vec<u8>),
    /// Another error message of find.
    FindError(Vec<u8>),
    /// The source cannot be entered.
    Inaccessible,
    /// The end of the reply.
    End,
}

/// The attributes of an entry, without following a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) kind: EntryKind,
    pub(crate) identity: Identity,
    pub(crate) device_number: u64,
    pub(crate) inode: u64,
    pub(crate) owner: u32,
    /// As the device reported it; may begin with `./`.
    pub(crate) name: Vec<u8>,
}

impl Record {
    /// Parses a record; `None` if it is malformed.
    pub(crate) fn parse(record: &[u8], tag: &str) -> Option<Self> {
        let (first, rest) = record.split_first()?;
        let after_blank = rest.strip_prefix(b" ");
        match first {
            b'E' => (rest == tag.as_bytes()).then_some(Self::End),
            b'F' => rest.is_empty().then_some(Self::Inaccessible),
            b'd' => Some(Self::Digest(after_blank?.get(..64).and_then(Digest::from_hex))),
            b'u' => Some(Self::Unlistable(after_blank?.to_vec())),
            b'i' => Some(Self::FindError(after_blank?.to_vec())),
            b'k' => Some(Self::LeaseReplies(after_blank?.to_vec())),
            b'l' => {
                let device_number = std::str::from_utf8(after_blank?).ok()?.parse().ok()?;
                Some(Self::Leasable { device_number })
            }
            b'w' => rest.is_empty().then_some(Self::ScanComplete),
            b'm' => Some(Self::Mapped(after_blank?.to_vec())),
            b'o' => {
                let mut fields = Fields(after_blank?);
                let record = Self::Open {
                    device_number: fields.number(10)?,
                    inode: fields.number(10)?,
                };
                Some(record)
            }
            b'f' => find_status(Fields(after_blank?)).map(Self::Status),
            b's' => stat_status(Fields(after_blank?)).map(Self::Status),
            _ => None,
        }
    }
}

/// `%y %D %i %s %T@ %C@ %U %P` of GNU find.
fn find_status(mut fields: Fields<'_>) -> Option<Status> {
    let kind = match fields.word()? {
        b"f" => EntryKind::File,
        b"d" => EntryKind::Folder,
        b"l" => EntryKind::Link,
        _ => EntryKind::Special,
    };
    let device_number = fields.number(10)?;
    let inode = fields.number(10)?;
    let size = fields.number(10)?;
    let modified = fields.time()?;
    let changed = fields.time()?;
    let owner = u32::try_from(fields.number(10)?).ok()?;
    Some(Status {
        kind,
        identity: Identity {
            device_number: Some(device_number),
            inode: Some(inode),
            size,
            modified,
            changed: Some(changed),
        },
        device_number,
        inode,
        owner,
        name: fields.0.to_vec(),
    })
}

/// `%d %i %s %Y %Z %u %f %n` of stat.
fn stat_status(mut fields: Fields<'_>) -> Option<Status> {
    let device_number = fields.number(10)?;
    let inode = fields.number(10)?;
    let size = fields.number(10)?;
    let modified = fields.time()?;
    let changed = fields.time()?;
    let owner = u32::try_from(fields.number(10)?).ok()?;
    let kind = kind_of_mode(u32::try_from(fields.number(16)?).ok()?);
    Some(Status {
        kind,
        identity: Identity {
            device_number: Some(device_number),
            inode: Some(inode),
            size,
            modified,
            changed: Some(changed),
        },
        device_number,
        inode,
        owner,
        name: fields.0.to_vec(),
    })
}

/// The kind of an entry with this `st_mode`.
pub(crate) fn kind_of_mode(mode: u32) -> EntryKind {
    match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Folder,
        0o120_000 => EntryKind::Link,
        _ => EntryKind::Special,
    }
}

/// Only those parts of an identity that a lesser device reports the same way each time: size and whole
/// seconds.
pub(crate) fn without_fine_identity(identity: Identity) -> Identity {
    Identity {
        device_number: None,
        inode: None,
        size: identity.size,
        modified: Timestamp::from_seconds(identity.modified.seconds()),
        changed: None,
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The text before the next blank. Removes both.
    fn word(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b' ')?;
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some(word)
    }

    fn number(&mut self, radix: u32) -> Option<u64> {
        u64::from_str_radix(std::str::from_utf8(self.word()?).ok()?, radix).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        time(std::str::from_utf8(self.word()?).ok()?)
    }
}

/// Seconds since 1970 with or without a fraction, as `date`, `find` and `stat` print them. Digits beyond
/// nanoseconds are cut.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = seconds.parse().ok()?;
    let mut nanoseconds = 0;
    for position in 0..9 {
        let digit = fraction.as_bytes().get(position).map_or(Some(0), |byte| {
            byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
        })?;
        nanoseconds = nanoseconds * 10 + digit;
    }
    let sign = if seconds.starts_with('-') { -1 } else { 1 };
    Some(Timestamp::from_nanoseconds(
        whole
            .saturating_mul(1_000_000_000)
            .saturating_add(sign * nanoseconds),
    ))
}

/// The path in a message such as `find: './a b': Input/output error`. In the C locale, GNU find quotes as C
/// does.
pub(crate) fn path_in_error(message: &[u8]) -> Option<Vec<u8>> {
    match message.strip_prefix(b"find: '") {
        Some(quoted) => quoted_path(quoted),
        None => unquoted_path(message),
    }
}

/// The path in a message of `BusyBox`: `find: ./a b: Input/output error`, `stat: can't stat './a b':
/// Input/output error`.
fn unquoted_path(message: &[u8]) -> Option<Vec<u8>> {
    let (rest, end) = match message.strip_prefix(b"stat: can't stat '") {
        Some(rest) => (rest, &b"': "[..]),
        None => (message.strip_prefix(b"find: ")?, &b": "[..]),
    };
    let length = rest.windows(end.len()).rposition(|at| at == end)?;
    rest.get(..length)
        .filter(|path| path.starts_with(b"./"))
        .map(<[u8]>::to_vec)
}

fn quoted_path(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    let mut rest = quoted.iter().copied();
    loop {
        match rest.next()? {
            b'\'' => return Some(path),
            b'\\' => path.push(escape_sequence(&mut rest)?),
            byte => path.push(byte),
        }
    }
}

fn escape_sequence(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match rest.next()? {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        first @ b'0'..=b'3' => {
            let digits = [first, rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "0123456789abcdef0123456789abcdef";

    fn parse(record: &[u8]) -> Option<Record> {
        Record::parse(record, TAG)
    }

    #[test]
    fn a_listing_of_gnu_find_is_parsed() {
        let record = b"f f 2049 131 4096 1700000000.1234567890 1700000001.0000000000 1000 a b\n\xff";
        let Some(Record::Status(status)) = parse(record) else {
            panic!("no status")
        };
        assert_eq!(status.name, b"a b\n\xff");
        assert_eq!(status.identity.modified.nanoseconds(), 1_700_000_000_123_456_789);
        assert_eq!(status.identity.size, 4096);
        assert_eq!(
            (status.device_number, status.inode, status.owner),
            (2049, 131, 1000)
        );
        assert!(status.identity.is_complete());
    }

    #[test]
    fn malformed_records_are_refused_without_a_panic() {
        let records: [&[u8]; 12] = [
            b"",
            b"f",
            b"f ",
            b"f f",
            b"f f 1 2 3",
            b"s 1 2 3 4 5 6 zz name",
            b"E",
            b"Ewrong",
            b"o 1",
            b"x y",
            b"f f 1 2 3 4.x 5 6 name",
            b"f f 99999999999999999999 2 3 4 5 6 name",
        ];
        for record in records {
            assert_eq!(parse(record), None, "{record:?}");
        }
        assert_eq!(parse(format!("E{TAG}").as_bytes()), Some(Record::End));
    }

    #[test]
    fn the_path_in_an_error_of_find_is_read_as_find_quotes_it() {
        let path = |message: &[u8]| path_in_error(message);
        assert_eq!(path(b"find: './a b': Input/output error").unwrap(), b"./a b");
        assert_eq!(
            path(b"find: './it\\'s\\n\\377\\\\': Input/output error").unwrap(),
            b"./it's\n\xff\\"
        );
        assert_eq!(
            path(b"find: ./it's: a: Input/output error").unwrap(),
            b"./it's: a"
        );
        assert_eq!(
            path(b"stat: can't stat './it's: a': Input/output error").unwrap(),
            b"./it's: a"
        );
        assert_eq!(path(b"find: unrecognized: -mindepth"), None);
        assert_eq!(path(b"find: './a"), None);
        assert_eq!(path(b"find: './a\\3"), None);
        assert_eq!(path(b"other: 'a'"), None);
    }

    #[test]
    fn times_before_1970_and_without_a_fraction_are_read() {
        assert_eq!(
            time("1700000000").unwrap().nanoseconds(),
            1_700_000_000_000_000_000
        );
        assert_eq!(time("-1.5").unwrap().nanoseconds(), -1_500_000_000);
        assert_eq!(time("9999999999999999.0").unwrap().nanoseconds(), i64::MAX);
        assert_eq!(time("1.5N"), None);
        assert_eq!(time(""), None);
    }
}
