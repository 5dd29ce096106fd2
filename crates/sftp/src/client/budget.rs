//! What bounds the memory of downloads.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that downloads may have asked for and their consumers not yet dropped, over all downloads that share
/// it. This is the only back-pressure there is.
#[derive(Clone, Debug)]
pub struct Budget {
    permits: Arc<Semaphore>,
    capacity: u32,
}

impl Budget {
    /// A budget of so many bytes, at least one.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(1);
        Self::over(Arc::new(Semaphore::new(capacity as usize)), capacity)
    }

    /// A budget over permits that others may use too. There must be `capacity` of them when none is taken,
    /// for a request that waits for more than there ever are waits for ever.
    pub fn over(permits: Arc<Semaphore>, capacity: u32) -> Self {
        Self { permits, capacity }
    }

    /// The whole of it, in bytes.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Bytes that are not taken at the moment.
    pub fn available(&self) -> usize {
        self.permits.available_permits()
    }

    pub(super) fn try_take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_many_owned(bytes).ok()
    }

    /// Waits for its turn; `None` when the owner of the permits has closed them.
    pub(super) async fn take(self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.permits.acquire_many_owned(bytes).await.ok()
    }
}

/// A stretch of a file. Dropping it gives its bytes back to the budget.
#[derive(Debug)]
pub struct FileChunk {
    /// Where in the file it begins.
    pub offset: u64,
    /// The contents, never empty.
    pub bytes: Bytes,
    /// As many permits as there are bytes.
    pub credit: OwnedSemaphorePermit,
}

/// Takes the pieces of one file, in order and without a gap. Must not block.
pub trait ChunkSink {
    /// Takes one piece; false when nobody wants any more.
    fn deliver(&mut self, piece: FileChunk) -> bool;

    /// Whether more is to be asked for. Asked before each request but the first of a download; what is asked for already is delivered.
    fn wants_more(&self) -> bool {
        true
    }
}

impl ChunkSink for mpsc::UnboundedSender<FileChunk> {
    fn deliver(&mut self, piece: FileChunk) -> bool {
        self.send(piece).is_ok()
    }
}

impl<S: ChunkSink + ?Sized> ChunkSink for &mut S {
    fn deliver(&mut self, piece: FileChunk) -> bool {
        (**self).deliver(piece)
    }

    fn wants_more(&self) -> bool {
        (**self).wants_more()
    }
}
