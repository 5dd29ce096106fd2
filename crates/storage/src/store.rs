//! The ports `StoreStatus` and `Store` on a directory. Each method runs one job on the disk, or a few in
//! turn.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use engine::ports::{
    Chunk, Condition, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError, StoreProperties, StoreStatus,
};
use model::{Digest, RelativePath, StoreId, Timestamp};

use crate::disk::Disk;
use crate::executor::JobHandle;
use crate::fault::{StoreLabel, not_writable};
use crate::folder::StoreFolder;
use crate::open_store::{Handles, OpenStore};
use crate::probe;
use crate::settings::StoreSettings;
use crate::staged::StagedFile;

/// A store on a local disk or a mount.
pub struct DirectoryStore<D: Disk> {
    store: Arc<OpenStore<D>>,
}

impl<D: Disk> DirectoryStore<D> {
    /// Opens a store for use: makes the staging of this collector and finds out how a file can get its name
    /// without replacing another.
    pub fn open(store: StoreFolder<D>, settings: StoreSettings) -> Result<Self, StoreError> {
        let label = store.label.clone();
        let handles =
            Handles::open(&*store.disk, Arc::clone(&store.root), &settings, &label).map_err(not_writable)?;
        let method = probe::publish_method(&*store.disk, &handles.own.partial)
            .map_err(|error| not_writable(label.fault("try links and renames in the staging folder", error)))?
            .ok_or_else(|| label.cannot_publish())?;
        Ok(Self {
            store: Arc::new(OpenStore::new(store, handles, method, settings)),
        })
    }

    /// The store's id.
    pub fn id(&self) -> &StoreId {
        &self.store.id
    }

    pub(crate) fn store(&self) -> &OpenStore<D> {
        &self.store
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Arc<OpenStore<D>>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.result_of(self.start(job)).await
    }

    pub(crate) fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Arc<OpenStore<D>>) -> T + Send + 'static,
    ) -> JobHandle<T> {
        let store = Arc::clone(&self.store);
        self.store.settings.executor.start(move || job(&store))
    }

    pub(crate) async fn result_of<T>(
        &self,
        pending: JobHandle<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        result_of(pending, &self.store.label).await
    }

    /// Writes chunks until the open range is full or no chunk is left. After an error the file is gone from
    /// staging.
    async fn write(
        &self,
        mut staged: StagedFile<D>,
        mut chunks: VecDeque<Chunk>,
    ) -> Result<(StagedFile<D>, VecDeque<Chunk>), StoreError> {
        self.run(move |store| match staged.write(store, &mut chunks) {
            Ok(()) => Ok((staged, chunks)),
            Err(error) => {
                staged.discard(store);
                Err(error)
            }
        })
        .await
    }

    /// Starts the proof of the full range, after the previous one has ended: at most one range is proved
    /// while another is received.
    async fn close_range(&self, staged: &mut StagedFile<D>) -> Result<(), StoreError> {
        self.await_proof(staged).await?;
        let prove = staged.close_range(&self.store)?;
        staged.proving = Some(self.store.settings.executor.start(prove));
        Ok(())
    }

    /// Waits for the range that is being proved. If its proof fails, the file is gone from staging.
    async fn await_proof(&self, staged: &mut StagedFile<D>) -> Result<(), StoreError> {
        if let Some(pending) = staged.proving.take() {
            self.result_of(pending).await?;
            staged.proved += self.store.settings.range_length;
        }
        Ok(())
    }

    async fn append_all(
        &self,
        mut staged: StagedFile<D>,
        chunks: Vec<Chunk>,
    ) -> Result<StagedFile<D>, StoreError> {
        let mut left = VecDeque::from(chunks);
        while !left.is_empty() {
            if staged.is_range_full() {
                self.close_range(&mut staged).await?;
            }
            (staged, left) = self.write(staged, left).await?;
        }
        if staged.is_range_full() {
            self.close_range(&mut staged).await?;
        }
        Ok(staged)
    }
}

/// Waits for a job. A job that panicked is a fault of the store.
pub(crate) async fn result_of<T>(
    pending: JobHandle<Result<T, StoreError>>,
    label: &StoreLabel,
) -> Result<T, StoreError> {
    let died = || io::Error::other("a thread of the store panicked");
    match pending.result().await {
        Some(result) => result,
        None => Err(label.fault("finish a job", died())),
    }
}

impl<D: Disk> fmt::Debug for DirectoryStore<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DirectoryStore")
            .field("path", &self.store.path)
            .field("id", &self.store.id)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> StoreStatus for DirectoryStore<D> {
    fn properties(&self) -> StoreProperties {
        self.store.settings.properties()
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        self.run(|store| store.condition()).await
    }
}

impl<D: Disk> Store for DirectoryStore<D> {
    type Staged = StagedFile<D>;

    async fn tidy_staging(&self, keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        self.run(move |store| store.tidy_staging(keep_partial_since))
            .await
    }

    async fn foresee(&self, wanted: Vec<Destination>) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        self.run(move |store| store.check_destinations(&wanted)).await
    }

    /// A file of less than one range costs no system call here.
    async fn stage(&self, key: &StagingKey, resume: bool) -> Result<(StagedFile<D>, u64), StoreError> {
        let can_be_resumed = key.expected_size >= self.store.settings.range_length;
        let claim = if can_be_resumed {
            self.store.claim(key.digest)
        } else {
            None
        };
        let has_claim = claim.is_some();
        let folder = key.folder.as_ref().map(RelativePath::as_bytes);
        let area = self.store.area_for(folder);
        let area = area.map_err(|error| self.store.label.fault("open a staging folder", error))?;
        let mut staged = StagedFile::new(&self.store, key.clone(), area, claim);
        if has_claim {
            staged = self
                .run(move |store| {
                    staged.resume(store, resume)?;
                    Ok(staged)
                })
                .await?;
        }
        let there = staged.hasher.length();
        Ok((staged, there))
    }

    async fn append(&self, staged: StagedFile<D>, chunks: Vec<Chunk>) -> Result<StagedFile<D>, StoreError> {
        self.append_all(staged, chunks).await
    }

    async fn seal(
        &self,
        mut staged: StagedFile<D>,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        let mut last = VecDeque::from(last);
        if !staged.has_room_for(&last) {
            staged = self.append_all(staged, std::mem::take(&mut last).into()).await?;
        }
        self.await_proof(&mut staged).await?;
        self.run(move |store| {
            let sealed = staged.seal(store, last, modified);
            if sealed.is_err() {
                staged.discard(store);
            }
            sealed
        })
        .await
    }

    async fn discard(&self, mut staged: StagedFile<D>) {
        // A file whose proof failed is gone already. Tidying removes one that cannot be removed now.
        if self.await_proof(&mut staged).await.is_ok() {
            self.start(move |store| staged.discard(store)).result().await;
        }
    }

    async fn retire(&self, sealed: Vec<SealedFile>) -> Result<(), StoreError> {
        self.run(move |store| store.retire(&sealed)).await
    }

    async fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<Result<Placement, PublishFault>>, StoreError> {
        self.publish_all(publications).await
    }

    async fn reprove(&self, name: &RelativePath, size: u64, digest: &Digest) -> Result<Reproof, StoreError> {
        let (name, digest) = (name.clone(), *digest);
        self.run(move |store| store.reprove(&name, size, &digest)).await
    }
}
