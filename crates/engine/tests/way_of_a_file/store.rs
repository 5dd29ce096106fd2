//! The simulator's store, watched: what is asked of it, and answers that are hard to bring about otherwise.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use engine::ports::{
    Chunk, Condition, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError,
};
use model::{Digest, RelativePath, Timestamp};
use sim::simulator::collector::SimulatedStore;
use sim::simulator::disk::SimulatedDisk;
use tokio::time::sleep;

#[derive(Default)]
pub(crate) struct Watch {
    /// What publishing answers.
    pub(crate) publish_fault: Option<PublishFault>,
    /// The next question about room is answered once something is published; otherwise after a while.
    pub(crate) tells_room_late: bool,
    pub(crate) was_published_when_room_was_told: bool,
    pub(crate) appends: usize,
    /// With how many chunks each file was sealed.
    pub(crate) sealed_with: Vec<usize>,
}

pub(crate) struct WatchedStore {
    store: SimulatedStore,
    disk: SimulatedDisk,
    watch: Arc<Mutex<Watch>>,
}

impl WatchedStore {
    pub(crate) fn new(store: SimulatedStore, disk: &SimulatedDisk, watch: &Arc<Mutex<Watch>>) -> Self {
        Self {
            store,
            disk: disk.clone(),
            watch: Arc::clone(watch),
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock()
    }
}

impl Store for WatchedStore {
    type Staged = <SimulatedStore as Store>::Staged;

    fn range_length(&self) -> u64 {
        self.store.range_length()
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        let condition = self.store.condition().await;
        if std::mem::take(&mut self.watch().tells_room_late) {
            for _ in 0..1000 {
                if !self.disk.visible().is_empty() {
                    self.watch().was_published_when_room_was_told = true;
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        condition
    }

    async fn tidy_staging(&self, keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        self.store.tidy_staging(keep_partial_since).await
    }

    async fn foresee(&self, wanted: Vec<Destination>) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        self.store.foresee(wanted).await
    }

    async fn stage(&self, key: &StagingKey, resume: bool) -> Result<(Self::Staged, u64), StoreError> {
        self.store.stage(key, resume).await
    }

    async fn append(&self, staged: Self::Staged, chunks: Vec<Chunk>) -> Result<Self::Staged, StoreError> {
        self.watch().appends += 1;
        self.store.append(staged, chunks).await
    }

    async fn seal(
        &self,
        staged: Self::Staged,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        self.watch().sealed_with.push(last.len());
        self.store.seal(staged, last, modified).await
    }

    async fn discard(&self, staged: Self::Staged) {
        self.store.discard(staged).await;
    }

    async fn retire(&self, sealed: Vec<SealedFile>) -> Result<(), StoreError> {
        self.store.retire(sealed).await
    }

    async fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<Result<Placement, PublishFault>>, StoreError> {
        let fault = self.watch().publish_fault.clone();
        match fault {
            Some(fault) => Ok(vec![Err(fault); publications.len()]),
            None => self.store.publish(publications).await,
        }
    }

    async fn reprove(&self, name: &RelativePath, size: u64, digest: &Digest) -> Result<Reproof, StoreError> {
        self.store.reprove(name, size, digest).await
    }

    async fn quarantine(&self, name: &RelativePath) -> Result<(), StoreError> {
        self.store.quarantine(name).await
    }
}
