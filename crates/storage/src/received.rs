//! The digests of what is being received: of the whole, and of each range of a large file.

use model::{Digest, RangeDigest};
use sha2::{Digest as _, Sha256};

use crate::files::digest_of;

/// Digests bytes in order.
#[derive(Debug)]
pub(crate) struct Received {
    range_length: u64,
    length: u64,
    whole: Sha256,
    /// The open range. Within the first one the digest of the whole does for both.
    range: Option<Sha256>,
    ranges: Vec<RangeDigest>,
}

impl Received {
    pub(crate) fn new(range_length: u64) -> Self {
        Self {
            range_length,
            length: 0,
            whole: Sha256::new(),
            range: None,
            ranges: Vec::new(),
        }
    }

    /// How many bytes there are so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The length of ranges.
    pub(crate) fn range_length(&self) -> u64 {
        self.range_length
    }

    /// How many bytes the open range still takes; none once it is full and not yet closed.
    pub(crate) fn room(&self) -> u64 {
        self.closed_length() + self.range_length - self.length
    }

    /// Takes bytes that the open range has room for.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        if let Some(range) = &mut self.range {
            range.update(bytes);
        }
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// Ends the open range and begins the next. Answers the digest of the one that ended.
    pub(crate) fn close_range(&mut self) -> RangeDigest {
        let open = self.range.replace(Sha256::new());
        let digest = digest_of(open.unwrap_or_else(|| self.whole.clone()));
        let offset = self.closed_length();
        let closed = RangeDigest {
            offset,
            length: self.length - offset,
            digest,
        };
        self.ranges.push(closed);
        closed
    }

    /// Ends the open range, unless it is empty and not the only one, and answers the digest of the whole and of each range.
    pub(crate) fn finish(mut self) -> (Digest, Vec<RangeDigest>) {
        if self.ranges.is_empty() || self.length > self.closed_length() {
            self.close_range();
        }
        (digest_of(self.whole), self.ranges)
    }

    fn closed_length(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.offset + range.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> Digest {
        Digest::from_bytes(Sha256::digest(bytes).into())
    }

    fn received(bytes: &[u8], range_length: u64) -> (Digest, Vec<RangeDigest>) {
        let mut received = Received::new(range_length);
        for byte in bytes {
            if received.room() == 0 {
                received.close_range();
            }
            received.take(&[*byte]);
        }
        received.finish()
    }

    #[test]
    fn a_small_file_has_one_range_with_the_digest_of_the_whole() {
        for bytes in [&b""[..], b"a", b"abcd"] {
            let (whole, ranges) = received(bytes, 4);
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
    fn the_ranges_of_a_large_file_are_digested_each_by_itself() {
        for (bytes, parts) in [
            (&b"abcdefghi"[..], &[&b"abcd"[..], b"efgh", b"i"][..]),
            (b"abcdefgh", &[b"abcd", b"efgh"]),
        ] {
            let (whole, ranges) = received(bytes, 4);
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
}
