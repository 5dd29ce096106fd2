//! Reading a file.

use engine::ports::device::{Chunk, ChunkSender, DeviceFailure, FileFault, FileFaultKind};
use model::{RelativePath, SourcePath};
use sftp::{ChunkSink, DownloadOutcome, FileChunk};

use super::SshSession;
use super::fault::fault;
use super::second::Reading;

/// Hands pieces on and counts what it has handed on.
struct Counted<'a> {
    chunks: &'a ChunkSender,
    reading: &'a Reading,
    bytes: u64,
}

impl ChunkSink for &mut Counted<'_> {
    fn deliver(&mut self, piece: FileChunk) -> bool {
        let length = piece.bytes.len() as u64;
        self.reading.came(&piece.bytes);
        let chunk = Chunk {
            bytes: piece.bytes,
            credit: Some(piece.credit),
        };
        let is_wanted = self.chunks.send(chunk).is_ok();
        self.bytes += if is_wanted { length } else { 0 };
        is_wanted
    }

    fn wants_more(&self) -> bool {
        self.reading.goes_on()
    }
}

impl SshSession {
    /// What the second connection does not deliver is read over the first: that alone decides over the session.
    pub(super) async fn read_file(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let path = Self::path(source, path);
        let mut delivered = 0;
        loop {
            let reading = self.reading();
            let from = offset.saturating_add(delivered);
            let mut sink = Counted {
                chunks: &chunks,
                reading: &reading,
                bytes: 0,
            };
            let read = match &reading.session {
                Some(second) => {
                    let download = second.download(&path, from, expected_size, &mut sink);
                    second.verdict.unless_ended(download).await.flatten()
                }
                None => self.download(&path, from, expected_size, &mut sink).await,
            };
            delivered += sink.bytes;
            match read {
                Ok(Ok(DownloadOutcome::Stopped)) => {}
                Ok(Ok(DownloadOutcome::Grown)) => {
                    return Ok(Err(FileFault {
                        kind: FileFaultKind::Grown,
                        message: format!("read: it has more than the expected {expected_size} bytes"),
                    }));
                }
                Ok(Ok(DownloadOutcome::Complete | DownloadOutcome::Truncated { .. })) => {
                    return Ok(Ok(delivered));
                }
                Ok(Err(fault)) => return Ok(Err(fault)),
                Err(failure) if reading.session.is_some() => {
                    tracing::debug!(%failure, "the second connection is given up");
                    reading.broke();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Reads over this very connection.
    async fn download(
        &self,
        path: &[u8],
        from: u64,
        end: u64,
        sink: &mut Counted<'_>,
    ) -> Result<Result<DownloadOutcome, FileFault>, DeviceFailure> {
        match self
            .channels
            .next()
            .download(path, from, end, &self.budget, sink)
            .await
        {
            Ok(outcome) => Ok(Ok(outcome)),
            // Whoever wanted the bytes is told how many there were.
            Err(sftp::Error::ConsumerGone { .. }) => Ok(Ok(DownloadOutcome::Complete)),
            Err(error) => match fault(&error) {
                Some(fault) => Ok(Err(fault)),
                None => Err(self.lost(&error).await),
            },
        }
    }
}
