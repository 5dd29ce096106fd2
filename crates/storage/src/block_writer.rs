//! Writes received bytes to a file in whole blocks, whatever lengths they arrive in.

use std::io;

use crate::aligned::{BLOCK, with_buffer};

/// The received bytes that do not fill a block yet. They wait for more bytes or the end of the file.
#[derive(Debug, Default)]
pub(crate) struct TailBuffer(Vec<u8>);

impl TailBuffer {
    /// How many bytes wait.
    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Removes and returns the waiting bytes.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// Writes the waiting bytes, then the pieces, in as many whole blocks as they fill. `at` is the offset of
    /// the first byte, a multiple of the block. The remaining bytes wait. After an error the file must be
    /// discarded.
    pub(crate) fn write_with(
        &mut self,
        at: u64,
        pieces: impl Iterator<Item = impl AsRef<[u8]>>,
        write: impl FnMut(&[u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        // Only large files are written in whole blocks.
        with_buffer(u64::MAX, |buffer| {
            let mut writer = BlockWriter {
                buffer,
                filled: 0,
                at,
                write,
            };
            writer.push(&self.take())?;
            for piece in pieces {
                writer.push(piece.as_ref())?;
            }
            self.0 = writer.write_whole_blocks()?;
            Ok(())
        })
    }
}

struct BlockWriter<'a, W> {
    buffer: &'a mut [u8],
    filled: usize,
    at: u64,
    write: W,
}

impl<W: FnMut(&[u8], u64) -> io::Result<()>> BlockWriter<'_, W> {
    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let (taken, left) = bytes.split_at(room.len().min(bytes.len()));
            room.get_mut(..taken.len())
                .unwrap_or_default()
                .copy_from_slice(taken);
            self.filled += taken.len();
            bytes = left;
            if self.filled == self.buffer.len() {
                self.write_first(self.filled)?;
                self.filled = 0;
            }
        }
        Ok(())
    }

    /// Returns the bytes that are left.
    fn write_whole_blocks(mut self) -> io::Result<Vec<u8>> {
        let whole = self.filled - self.filled % BLOCK;
        self.write_first(whole)?;
        Ok(self.buffer.get(whole..self.filled).unwrap_or_default().to_vec())
    }

    fn write_first(&mut self, length: usize) -> io::Result<()> {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        if !bytes.is_empty() {
            (self.write)(bytes, self.at)?;
            self.at += u64::try_from(length).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_once_in_order_and_in_whole_blocks() {
        let content: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
        for piece_length in [1000, 4096, 5000, 261_120, 3_000_000] {
            let (mut tail, mut written) = (TailBuffer::default(), Vec::new());
            for pieces in content.chunks(5 * piece_length) {
                let at = u64::try_from(written.len()).unwrap();
                tail.write_with(at, pieces.chunks(piece_length), |block, at| {
                    assert_eq!(u64::try_from(written.len()).unwrap(), at);
                    assert!(crate::aligned::is_aligned(block, at));
                    written.extend_from_slice(block);
                    Ok(())
                })
                .unwrap();
            }
            assert!(tail.length() < 4096);
            written.extend(tail.take());
            assert!(written == content, "in pieces of {piece_length}");
        }
    }
}
