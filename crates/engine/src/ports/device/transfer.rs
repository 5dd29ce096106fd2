//! Requests for files, and the bytes that come back.

use bytes::Bytes;
use model::RelativePath;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::entry::InspectResult;
use super::failure::FileFault;

/// A rename within a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The present path.
    pub from: RelativePath,
    /// The new path.
    pub to: RelativePath,
}

/// The result of a [`Move`]; if it was done, also of inspecting the file after it.
pub type RenameResult = Result<InspectResult, FileFault>;

/// A small file to be read together with others.
#[derive(Debug)]
pub struct SmallFileRequest {
    /// The file.
    pub path: RelativePath,
    /// Its expected size in bytes, at most [`SMALL_FILE_MAX`].
    pub expected_size: u64,
    /// Takes its bytes.
    pub chunks: ChunkSender,
    /// Takes the number of bytes sent.
    pub outcome: oneshot::Sender<Result<u64, FileFault>>,
}

/// The largest file that is read together with others, in bytes (64 KiB). For a larger one, opening and
/// closing cost little beside its bytes.
pub const SMALL_FILE_MAX: u64 = 64 << 10;

/// Files that a device may have read together before it sends any of them; fewer if they exceed
/// [`SMALL_FILE_MAX`] together.
pub const MAX_BUFFERED: usize = 32;

/// A range of a file that the device digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRequest {
    /// The file.
    pub path: RelativePath,
    /// Its start, in bytes. A multiple of 1 MiB.
    pub offset: u64,
    /// Its length in bytes. `None`: to the end of the file.
    pub length: Option<u64>,
}

/// Takes fetched bytes. The queue is not bounded: the credit of each chunk is the bound.
pub type ChunkSender = mpsc::UnboundedSender<Chunk>;

/// Bytes of a file, in order.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Bytes,
    /// Returns its part of the session's budget when dropped: hold it until the bytes are written.
    pub credit: Option<OwnedSemaphorePermit>,
}

/// Bytes without credit, for tests and for small files made in memory.
impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, credit: None }
    }
}
