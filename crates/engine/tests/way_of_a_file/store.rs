//! The simulator's store with a probe: it counts requests, and gives replies that are hard to provoke
//! otherwise.

use std::sync::Arc;
use std::time::Duration;

use engine::ports::{
    Chunk, Condition, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError, StoreProperties, StoreStatus,
};
use model::{Digest, RelativePath, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use sim::simulator::collector::SimulatedStore;
use sim::simulator::disk::SimulatedDisk;
use tokio::time::sleep;

/// Controls and observations of the store.
#[derive(Default)]
pub(crate) struct StoreProbe {
    /// The fault that every publication returns.
    pub(crate) publish_fault: Option<PublishFault>,
    /// Delays the next `condition` reply until a file is published, for ten seconds at most.
    pub(crate) delays_condition: bool,
    /// Whether a file was published during that delay.
    pub(crate) published_during_delay: bool,
    pub(crate) appends: usize,
    /// Number of last chunks that each file was sealed with.
    pub(crate) chunks_at_seal: Vec<usize>,
}

pub(crate) struct ProbedStore {
    store: SimulatedStore,
    disk: SimulatedDisk,
    probe: Arc<Mutex<StoreProbe>>,
}

impl ProbedStore {
    pub(crate) fn new(store: SimulatedStore, disk: &SimulatedDisk, probe: &Arc<Mutex<StoreProbe>>) -> Self {
        Self {
            store,
            disk: disk.clone(),
            probe: Arc::clone(probe),
        }
    }

    fn probe(&self) -> MutexGuard<'_, StoreProbe> {
        self.probe.lock()
    }
}

impl StoreStatus for ProbedStore {
    fn properties(&self) -> StoreProperties {
        self.store.properties()
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        let condition = self.store.condition().await;
        if std::mem::take(&mut self.probe().delays_condition) {
            for _ in 0..1000 {
                if !self.disk.visible().is_empty() {
                    self.probe().published_during_delay = true;
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        condition
    }
}

impl Store for ProbedStore {
    type Staged = <SimulatedStore as Store>::Staged;

    async fn tidy_staging(&self, keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        self.store.tidy_staging(keep_partial_since).await
    }

    async fn foresee(
        &self,
        destinations: Vec<Destination>,
    ) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        self.store.foresee(destinations).await
    }

    async fn stage(&self, key: &StagingKey, resume: bool) -> Result<(Self::Staged, u64), StoreError> {
        self.store.stage(key, resume).await
    }

    async fn append(&self, staged: Self::Staged, chunks: Vec<Chunk>) -> Result<Self::Staged, StoreError> {
        self.probe().appends += 1;
        self.store.append(staged, chunks).await
    }

    async fn seal(
        &self,
        staged: Self::Staged,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        self.probe().chunks_at_seal.push(last.len());
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
        let fault = self.probe().publish_fault.clone();
        match fault {
            Some(fault) => Ok(vec![Err(fault); publications.len()]),
            None => self.store.publish(publications).await,
        }
    }

    async fn reprove(&self, name: &RelativePath, size: u64, digest: &Digest) -> Result<Reproof, StoreError> {
        self.store.reprove(name, size, digest).await
    }
}
