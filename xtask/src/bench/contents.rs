//! The content of the recorded files: bytes that can be made again from a seed.

use anyhow::Result;
use serde::Deserialize;

/// How well the bytes of a file compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// Not at all.
    Random,
    /// Every second block is text that compresses to almost nothing.
    HalfCompressible,
}

/// Small enough that a compressor's window holds both kinds, large enough that it compresses each separately.
const BLOCK_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 256 * 1024;

/// `SplitMix64`: fast, and incompressible for every compressor.
#[derive(Debug)]
pub(super) struct Noise {
    state: u64,
}

impl Noise {
    pub(super) fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        // Eight bytes at once: byte by byte, a debug build would take longer to make a gigabyte than the
        // tools take to move it.
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = self.next().to_le_bytes();
        }
        for (byte, noise) in rest.iter_mut().zip(self.next().to_le_bytes()) {
            *byte = noise;
        }
    }
}

/// Passes the `size` bytes of a file to `take`, chunk by chunk.
pub(super) fn each_chunk(
    seed: u64,
    size: u64,
    shape: Shape,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut noise = Noise::from_seed(seed);
    let mut left = size;
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(size).unwrap_or(CHUNK_BYTES))];
    while left > 0 {
        chunk.truncate(usize::try_from(left).unwrap_or(CHUNK_BYTES));
        for (block, number) in chunk.chunks_mut(BLOCK_BYTES).zip(0_u32..) {
            match shape {
                Shape::HalfCompressible if number % 2 == 1 => block.fill(b'#'),
                _ => noise.fill(block),
            }
        }
        take(&chunk)?;
        left -= u64::try_from(chunk.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(seed: u64, size: u64, shape: Shape) -> Vec<u8> {
        let mut bytes = Vec::new();
        each_chunk(seed, size, shape, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })
        .unwrap();
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let size = 700_001;
        let first = all(7, size, Shape::Random);
        assert_eq!(first.len(), 700_001);
        assert_eq!(first, all(7, size, Shape::Random));
        assert_ne!(first, all(8, size, Shape::Random));
        assert_eq!(all(7, 0, Shape::Random), [0_u8; 0]);
    }

    #[test]
    fn half_of_the_half_compressible_shape_is_noise() {
        let bytes = all(7, 1_000_000, Shape::HalfCompressible);
        let plain = bytes.split(|byte| *byte == b'#').count() - 1;
        assert!((490_000..520_000).contains(&plain), "{plain}");
    }
}
