//! Memory that a disk can write from, and read into, by itself.
//!
//! The bytes of a large file need no stay in the system's cache: they are not read again soon, and the copy in the cache is just what
//! must not answer when they are read back to be proved. Measured on ext4 on a virtual disk, per GiB: 1.9 s of CPU to write through the
//! cache and 1.2 s to read back, beside 0.13 s and 0.05 s without it (`dd bs=1M`, with and without `oflag=direct` and `iflag=direct`).

use std::sync::{Mutex, PoisonError};

/// Address, offset and length of what goes past the cache are multiples of this: the largest logical block of the disks there are
/// (open(2) on `O_DIRECT`), and a page.
pub(crate) const BLOCK: usize = 4096;

/// How much goes to or from a disk at a time. A quarter of it costs the disk a third more time.
const BUFFER_LENGTH: usize = 1 << 20;

/// More are made when more threads are at it, and given back.
const MOST_IDLE: usize = 8;

static IDLE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; BUFFER_LENGTH + BLOCK];
        // Where it cannot be aligned (which is no case on real machines), it is of use all the same.
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        Self { memory, start }
    }
}

/// Lends an aligned buffer of whole blocks. What is in it is left over from others.
pub(crate) fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut buffer = idle.unwrap_or_else(Buffer::new);
    let end = buffer.start + BUFFER_LENGTH;
    let done = work(buffer.memory.get_mut(buffer.start..end).unwrap_or_default());
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() < MOST_IDLE {
        idle.push(buffer);
    }
    done
}

/// Whether the system takes these bytes past its cache.
pub(crate) fn is_aligned(bytes: &[u8], offset: u64) -> bool {
    let block = BLOCK as u64;
    !bytes.is_empty()
        && bytes.as_ptr().addr().is_multiple_of(BLOCK)
        && bytes.len().is_multiple_of(BLOCK)
        && offset.is_multiple_of(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_is_aligned_and_of_whole_blocks_also_beside_others() {
        with_buffer(|one| {
            with_buffer(|other| {
                assert!(is_aligned(one, 0) && is_aligned(other, 8192));
                assert_eq!((one.len(), other.len()), (BUFFER_LENGTH, BUFFER_LENGTH));
            });
            assert!(!is_aligned(&one[1..], 0) && !is_aligned(one, 1) && !is_aligned(&one[..100], 0));
        });
    }
}
