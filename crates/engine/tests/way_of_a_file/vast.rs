//! Files too large to be kept in memory or digested in a test: so many zeros, and something that stands for their digest.

use bytes::Bytes;
use engine::ports::{Chunk, ChunkSender};
use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::device::{File, State};

/// From this size on a file is so. Up to it a device digests a file in one go.
pub(crate) const VAST: u64 = 1 << 30;

impl File {
    pub(crate) fn is_vast(&self) -> bool {
        self.identity.size >= VAST
    }
}

impl State {
    /// A finished file of so many zeros.
    pub(crate) fn record_vast(&mut self, path: &str, size: u64) {
        self.record(path, b"");
        self.files.get_mut(path).unwrap().identity.size = size;
    }
}

pub(crate) fn send_zeros(chunks: &ChunkSender, mut size: u64) {
    let zeros = Bytes::from(vec![0; 1 << 20]);
    while size > 0 {
        let length = size.min(1 << 20);
        let part = zeros.slice(..usize::try_from(length).unwrap());
        chunks.send(Chunk::from(part)).unwrap();
        size -= length;
    }
}

/// What stands for the digest of a range of a vast file: nobody digests a gibibyte in a test.
pub(crate) fn digest_of_zeros(offset: u64, length: u64) -> Digest {
    Digest::from_bytes(Sha256::digest([offset.to_le_bytes(), length.to_le_bytes()].concat()).into())
}
