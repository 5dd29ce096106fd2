//! The content of the recorded files: bytes that can be made again from a seed.

mod frames;

use anyhow::Result;
use serde::Deserialize;

use frames::Pixels;

/// How well the bytes of a file compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// Not at all.
    Random,
    /// Every second block is text that compresses to almost nothing.
    HalfCompressible,
    /// A header and a dark grey picture, as the field's cameras write them.
    Frames,
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

/// The bytes of one file, piece by piece.
#[derive(Debug)]
enum Content {
    Noise { noise: Noise, half: bool },
    Frame { header: Vec<u8>, pixels: Pixels },
}

impl Content {
    fn of(seed: u64, shape: Shape) -> Self {
        match shape {
            Shape::Random | Shape::HalfCompressible => Self::Noise {
                noise: Noise::from_seed(seed),
                half: shape == Shape::HalfCompressible,
            },
            Shape::Frames => Self::Frame {
                header: frames::header(seed),
                pixels: Pixels::from_seed(seed),
            },
        }
    }

    fn fill(&mut self, chunk: &mut [u8]) {
        match self {
            Self::Noise { noise, half } => {
                for (block, number) in chunk.chunks_mut(BLOCK_BYTES).zip(0_u32..) {
                    if *half && number % 2 == 1 {
                        block.fill(b'#');
                    } else {
                        noise.fill(block);
                    }
                }
            }
            Self::Frame { header, pixels } => {
                let length = header.len().min(chunk.len());
                let (start, rest) = chunk.split_at_mut(length);
                for (place, byte) in start.iter_mut().zip(header.drain(..length)) {
                    *place = byte;
                }
                pixels.fill(rest);
            }
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
    let mut content = Content::of(seed, shape);
    let mut left = size;
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(size).unwrap_or(CHUNK_BYTES))];
    while left > 0 {
        chunk.truncate(usize::try_from(left).unwrap_or(CHUNK_BYTES));
        content.fill(&mut chunk);
        take(&chunk)?;
        left -= u64::try_from(chunk.len())?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn all(seed: u64, size: u64, shape: Shape) -> Vec<u8> {
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
