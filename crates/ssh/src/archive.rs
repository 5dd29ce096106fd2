//! What GNU tar says of a file before its bytes (`tar(5)`, "`GNU` tar Archives").

use std::ops::Range;

/// Headers, and what follows them, are padded to this.
pub(crate) const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Header {
    /// A regular file.
    File {
        /// Its name, unless [`Header::LongName`] came before.
        name: Vec<u8>,
        /// How many bytes follow.
        size: u64,
    },
    /// So many bytes follow, which are the name of the next entry, ended by NUL.
    LongName(u64),
    /// Something else, of which so many bytes follow.
    Other(u64),
    /// The end of the archive.
    End,
}

impl Header {
    /// `None` for what is no header.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        if block.len() != BLOCK {
            return None;
        }
        if block.iter().all(|byte| *byte == 0) {
            return Some(Self::End);
        }
        if octal(block.get(CHECKSUM)?)? != checksum(block) {
            return None;
        }
        let size = octal(block.get(SIZE)?)?;
        Some(match *block.get(KIND)? {
            b'0' | 0 => Self::File {
                name: until_nul(block.get(NAME)?).to_vec(),
                size,
            },
            b'L' => Self::LongName(size),
            _ => Self::Other(size),
        })
    }
}

/// What precedes the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// How many bytes follow so many, up to the end of their last block.
pub(crate) fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

/// Digits between blanks, ended by a blank or NUL. What does not fit into them (8 GiB and more) is no small file.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(until_nul(field)).ok()?;
    u64::from_str_radix(text.trim_matches(' '), 8).ok()
}

/// The sum of all bytes, those of the checksum taken for blanks. As sums of whole stretches, which the compiler makes of many bytes at a time.
fn checksum(block: &[u8]) -> u64 {
    let sum = |bytes: Option<&[u8]>| -> u64 {
        let bytes = bytes.unwrap_or_default();
        bytes.iter().map(|byte| u64::from(*byte)).sum()
    };
    let blanks = CHECKSUM.len() as u64 * u64::from(b' ');
    sum(block.get(..CHECKSUM.start)) + blanks + sum(block.get(CHECKSUM.end..))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A header as tar writes it.
    pub(crate) fn header(name: &[u8], size: &[u8], kind: u8) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name);
        block[SIZE][..size.len()].copy_from_slice(size);
        block[KIND] = kind;
        let sum = format!("{:06o}\0 ", checksum(&block));
        block[CHECKSUM].copy_from_slice(sum.as_bytes());
        block
    }

    #[test]
    fn a_header_is_what_tar_writes_and_nothing_else() {
        let parse = |name: &[u8], size: &[u8], kind| Header::parse(&header(name, size, kind));
        let file = |name: &[u8], size| Header::File {
            name: name.to_vec(),
            size,
        };
        assert_eq!(parse(b"/a b", b"00000000017\0", b'0'), Some(file(b"/a b", 15)));
        assert_eq!(parse(&[b'x'; 100], b"17 ", 0), Some(file(&[b'x'; 100], 15)));
        assert_eq!(
            parse(b"././@LongLink", b"151\0", b'L'),
            Some(Header::LongName(105))
        );
        assert_eq!(parse(b"link", b"0", b'2'), Some(Header::Other(0)));
        assert_eq!(parse(b"huge", b"\x80\0\0\0\0\0\0\x02\0\0\0\0", b'0'), None);
        assert_eq!(parse(b"huge", b"-1\0", b'0'), None);
        assert_eq!(Header::parse(&[0; BLOCK]), Some(Header::End));
        assert_eq!(Header::parse(&[b'x'; BLOCK]), None);
        assert_eq!(Header::parse(b"short"), None);
        let mut spoiled = header(b"/a", b"1\0", b'0');
        spoiled[0] = b'b';
        assert_eq!(Header::parse(&spoiled), None);
    }

    #[test]
    fn entries_end_on_a_block() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
