//! Digests received bytes: the whole file, and each range of a large one.

use model::{Digest, RangeDigest};
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

use crate::files::digest_of;

/// Digests bytes in order and divides them into ranges.
pub(crate) struct StreamHasher {
    range_length: u64,
    length: u64,
    closed_length: u64,
    whole: Sha256,
    /// Of the open range, to compare with the bytes read back. A checksum suffices, because the disk is no
    /// adversary, and takes a tenth of the digest's time.
    checksum: XxHash3_128,
    digests: Option<RangeDigests>,
}

#[derive(Debug, Default)]
struct RangeDigests {
    /// Of the open range; `None` in the first range, where the digest of the whole serves for both.
    open: Option<Sha256>,
    closed: Vec<RangeDigest>,
}

/// A range that was received whole and must be proved on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedRange {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) checksum: u128,
}

/// The digests of a whole stream.
pub(crate) struct StreamDigests {
    pub(crate) whole: Digest,
    /// Empty unless range digests were requested.
    pub(crate) ranges: Vec<RangeDigest>,
    /// The range that ended with the stream; `None` if the stream ended with a range closed before.
    pub(crate) last_range: Option<ClosedRange>,
}

impl StreamHasher {
    /// With `range_digests`, each range gets its own digest.
    pub(crate) fn new(range_length: u64, range_digests: bool) -> Self {
        Self {
            range_length,
            length: 0,
            closed_length: 0,
            whole: Sha256::new(),
            checksum: XxHash3_128::new(),
            digests: range_digests.then(RangeDigests::default),
        }
    }

    /// Bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The length of ranges in bytes.
    pub(crate) fn range_length(&self) -> u64 {
        self.range_length
    }

    /// Bytes that fit into the open range; none once it is full and not yet closed.
    pub(crate) fn room(&self) -> u64 {
        self.closed_length + self.range_length - self.length
    }

    /// Digests bytes, which must fit into the open range.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.checksum.write(bytes);
        if let Some(open) = self.digests.as_mut().and_then(|digests| digests.open.as_mut()) {
            open.update(bytes);
        }
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// Closes the open range and opens the next.
    pub(crate) fn close_range(&mut self) -> ClosedRange {
        let range = ClosedRange {
            offset: self.closed_length,
            length: self.length - self.closed_length,
            checksum: std::mem::replace(&mut self.checksum, XxHash3_128::new()).finish_128(),
        };
        if let Some(digests) = &mut self.digests {
            let open = digests.open.replace(Sha256::new());
            digests.closed.push(RangeDigest {
                offset: range.offset,
                length: range.length,
                digest: digest_of(open.unwrap_or_else(|| self.whole.clone())),
            });
        }
        self.closed_length = self.length;
        range
    }

    /// Closes the open range, unless it is empty and not the only one, and returns the digests.
    pub(crate) fn finish(mut self) -> StreamDigests {
        let is_open = self.length > self.closed_length || self.length == 0;
        let last_range = is_open.then(|| self.close_range());
        let ranges = self.digests.map_or_else(Vec::new, |digests| digests.closed);
        StreamDigests {
            whole: digest_of(self.whole),
            ranges,
            last_range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> Digest {
        Digest::from_bytes(Sha256::digest(bytes).into())
    }

    fn digests_of(bytes: &[u8], range_length: u64) -> (Digest, Vec<RangeDigest>) {
        let mut hasher = StreamHasher::new(range_length, true);
        for byte in bytes {
            if hasher.room() == 0 {
                hasher.close_range();
            }
            hasher.update(&[*byte]);
        }
        let digests = hasher.finish();
        (digests.whole, digests.ranges)
    }

    #[test]
    fn a_small_file_has_one_range_with_the_digest_of_the_whole() {
        for bytes in [&b""[..], b"a", b"abcd"] {
            let (whole, ranges) = digests_of(bytes, 4);
            assert_eq!(whole, digest(bytes));
            let length = u64::try_from(bytes.len()).unwrap();
            let only = RangeDigest {
                offset: 0,
                length,
                digest: whole,
            };
            assert_eq!(ranges, [only]);
        }
    }

    #[test]
    fn each_range_of_a_large_file_has_its_own_digest() {
        for (bytes, parts) in [
            (&b"abcdefghi"[..], &[&b"abcd"[..], b"efgh", b"i"][..]),
            (b"abcdefgh", &[b"abcd", b"efgh"]),
        ] {
            let (whole, ranges) = digests_of(bytes, 4);
            assert_eq!(whole, digest(bytes));
            assert_eq!(
                ranges.iter().map(|range| range.offset).collect::<Vec<_>>(),
                [0, 4, 8][..parts.len()]
            );
            assert_eq!(
                ranges.iter().map(|range| range.digest).collect::<Vec<_>>(),
                parts.iter().map(|part| digest(part)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn each_range_is_returned_once_to_be_proved() {
        let mut hasher = StreamHasher::new(4, false);
        hasher.update(b"abcd");
        let first = hasher.close_range();
        assert_eq!((first.offset, first.length), (0, 4));
        assert_eq!(first.checksum, XxHash3_128::oneshot(b"abcd"));
        hasher.update(b"e");
        let digests = hasher.finish();
        assert_eq!((digests.whole, digests.ranges), (digest(b"abcde"), Vec::new()));
        let checksum = XxHash3_128::oneshot(b"e");
        assert_eq!(
            digests.last_range,
            Some(ClosedRange {
                offset: 4,
                length: 1,
                checksum
            })
        );
    }
}
