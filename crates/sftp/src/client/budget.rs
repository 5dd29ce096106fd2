//! Bounds the memory of downloads.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that downloads may have requested and their consumers not yet dropped, over all downloads that share
/// the budget. It is the only back-pressure.
#[derive(Clone, Debug)]
pub struct Budget {
    permits: Arc<Semaphore>,
    capacity: u32,
}

impl Budget {
    /// A budget of that many bytes, at least one.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(1);
        Self::over(Arc::new(Semaphore::new(capacity as usize)), capacity)
    }

    /// A budget over permits that other users may take too. At least `capacity` permits must exist: a request
    /// that waits for more would wait indefinitely.
    pub fn over(permits: Arc<Semaphore>, capacity: u32) -> Self {
        Self { permits, capacity }
    }

    /// The total number of bytes.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Bytes that are free now.
    pub fn available(&self) -> usize {
        self.permits.available_permits()
    }

    pub(super) fn try_take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_many_owned(bytes).ok()
    }

    /// Waits for that many bytes; `None` if the owner of the permits has closed them.
    pub(super) async fn take(self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.permits.acquire_many_owned(bytes).await.ok()
    }
}

/// A chunk of a file. Dropping it returns its bytes to the budget.
#[derive(Debug)]
pub struct FileChunk {
    /// Its offset in the file.
    pub offset: u64,
    /// The contents, never empty.
    pub bytes: Bytes,
    /// One permit for each byte.
    pub credit: OwnedSemaphorePermit,
}

/// Receives the chunks of one file, in order and without gaps. Must not block.
pub trait ChunkSink {
    /// Receives one chunk. Returns false if the receiver is gone.
    fn deliver(&mut self, chunk: FileChunk) -> bool;

    /// Whether to request more. Called before each request of a download except the first. Requested bytes
    /// are delivered in any case.
    fn wants_more(&self) -> bool {
        true
    }
}

impl ChunkSink for mpsc::UnboundedSender<FileChunk> {
    fn deliver(&mut self, chunk: FileChunk) -> bool {
        self.send(chunk).is_ok()
    }
}

impl<S: ChunkSink + ?Sized> ChunkSink for &mut S {
    fn deliver(&mut self, chunk: FileChunk) -> bool {
        (**self).deliver(chunk)
    }

    fn wants_more(&self) -> bool {
        (**self).wants_more()
    }
}
