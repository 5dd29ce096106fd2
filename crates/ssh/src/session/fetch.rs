//! Reading a file.

use engine::ports::device::{Chunk, ChunkSender, DeviceFailure, FileFault, FileFaultKind};
use model::{RelativePath, SourcePath};
use sftp::{Outcome, Piece, PieceSink};

use super::SshSession;
use super::fault::fault;

/// Hands pieces on and counts what it has handed on.
struct Counted {
    chunks: ChunkSender,
    bytes: u64,
}

impl PieceSink for &mut Counted {
    fn deliver(&mut self, piece: Piece) -> bool {
        let length = piece.bytes.len() as u64;
        let chunk = Chunk {
            bytes: piece.bytes,
            credit: Some(piece.credit),
        };
        let is_wanted = self.chunks.send(chunk).is_ok();
        self.bytes += if is_wanted { length } else { 0 };
        is_wanted
    }
}

impl SshSession {
    pub(super) async fn read_file(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let mut sink = Counted { chunks, bytes: 0 };
        let path = Self::path(source, path);
        let read = self
            .files
            .download(&path, offset, expected_size, &self.budget, &mut sink)
            .await;
        match read {
            Ok(Outcome::Complete | Outcome::Truncated { .. }) | Err(sftp::Error::ConsumerGone { .. }) => {
                Ok(Ok(sink.bytes))
            }
            Ok(Outcome::Grown) => Ok(Err(FileFault {
                kind: FileFaultKind::Grown,
                message: format!("read: it has more than the expected {expected_size} bytes"),
            })),
            Err(error) => match fault(&error) {
                Some(fault) => Ok(Err(fault)),
                None => Err(self.lost(&error).await),
            },
        }
    }
}
