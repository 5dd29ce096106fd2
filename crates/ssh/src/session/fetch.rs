//! Reads files: one by one over SFTP, and small ones together over the shell.

use std::collections::VecDeque;

use engine::ports::device::{Chunk, ChunkSender, DeviceFailure, FileFault, FileFaultKind, SmallFileRequest};
use model::{RelativePath, SourcePath};
use sftp::{ChunkSink, DownloadOutcome, FileChunk};

use super::SshSession;
use super::compressed::ActiveRead;
use super::sftp::fault;
use super::shell::stream::{Named, stream};
use crate::script::device_path;
use crate::shell_channel::ShellError;

/// Passes pieces on and counts their bytes.
struct CountingSink<'a> {
    chunks: &'a ChunkSender,
    reading: &'a ActiveRead,
    bytes: u64,
}

impl ChunkSink for &mut CountingSink<'_> {
    fn deliver(&mut self, piece: FileChunk) -> bool {
        let length = piece.bytes.len() as u64;
        self.reading.note_bytes(&piece.bytes);
        let chunk = Chunk {
            bytes: piece.bytes,
            credit: Some(piece.credit),
        };
        let is_wanted = self.chunks.send(chunk).is_ok();
        self.bytes += if is_wanted { length } else { 0 };
        is_wanted
    }

    fn wants_more(&self) -> bool {
        self.reading.continues()
    }
}

impl SshSession {
    /// What the compressed connection does not deliver is read over the first. Only a failure of the first
    /// ends the session.
    pub(super) async fn read_file(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let path = device_path(source, path);
        let mut delivered = 0;
        loop {
            let reading = self.reading();
            let from = offset.saturating_add(delivered);
            let mut sink = CountingSink {
                chunks: &chunks,
                reading: &reading,
                bytes: 0,
            };
            let read = match &reading.session {
                Some(second) => {
                    let download = second.download(&path, from, expected_size, &mut sink);
                    second.failures.session_end.unless_ended(download).await.flatten()
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
                    tracing::debug!(%failure, "the compressed connection failed");
                    reading.mark_failed();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Reads small files together. Drops the files that the device skips, without an outcome.
    pub(super) async fn read_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        let reading = self.reading();
        let session = reading.session.as_deref().unwrap_or(self);
        let Some(shell) = session.shell() else {
            return Ok(());
        };
        let named = files
            .into_iter()
            .map(|file| (device_path(source, &file.path), file));
        let mut left: VecDeque<Named> = named.collect();
        match stream(shell, &mut left, &reading).await {
            Ok(()) => Ok(()),
            // A killed perl ends its shell, and a file may have grown without bound. The channel ends when it
            // is dropped. Files without an outcome are read by SFTP, which reports the failure if it was the
            // connection that ended.
            Err(error @ (ShellError::Ended(_) | ShellError::Excess(_))) => {
                tracing::debug!(%error, "files are read one by one");
                Ok(())
            }
            Err(error) if reading.session.is_some() => {
                tracing::debug!(%error, "the compressed connection failed");
                reading.mark_failed();
                Ok(())
            }
            Err(error) => Err(self.failures.of_shell(error).await),
        }
    }

    /// Reads over this session's own connection.
    async fn download(
        &self,
        path: &[u8],
        from: u64,
        end: u64,
        sink: &mut CountingSink<'_>,
    ) -> Result<Result<DownloadOutcome, FileFault>, DeviceFailure> {
        match self
            .channels
            .next()
            .download(path, from, end, &self.budget, sink)
            .await
        {
            Ok(outcome) => Ok(Ok(outcome)),
            // The caller receives the number of bytes that were delivered.
            Err(sftp::Error::ConsumerGone { .. }) => Ok(Ok(DownloadOutcome::Complete)),
            Err(error) => match fault(&error) {
                Some(fault) => Ok(Err(fault)),
                None => Err(self.failures.of_sftp(&error).await),
            },
        }
    }
}
