//! The port `StoreInspection` on a directory: for an audit.

use engine::ports::{CopyCheck, ListingSender, StoreError, StoreInspection, Unlisted};
use model::{Digest, RelativePath};

use crate::disk::Disk;
use crate::executor::Executor;
use crate::folder::StoreFolder;
use crate::store::DirectoryStore;
use crate::untouched::UntouchedStore;

/// Entries that one job lists. No job waits for the receiver, which may need the same thread.
const BATCH: usize = 256;

const PANICKED: &str = "a thread of the store panicked";

impl<D: Disk> StoreInspection for DirectoryStore<D> {
    async fn list(&self, files: ListingSender) {
        list(self.store().folder(), &self.store().settings.executor, files).await;
    }

    async fn check(&self, name: &RelativePath, size: u64, digest: &Digest) -> CopyCheck {
        let store = self.store();
        check(store.folder(), &store.settings.executor, name, size, *digest).await
    }

    async fn quarantine(&self, name: &RelativePath) -> Result<(), StoreError> {
        let name = name.clone();
        self.run(move |store| store.quarantine(&name)).await
    }

    async fn quarantined(&self, name: &RelativePath) -> Option<String> {
        quarantined(self.store().folder(), &self.store().settings.executor, name).await
    }
}

impl<D: Disk> StoreInspection for UntouchedStore<D> {
    async fn list(&self, files: ListingSender) {
        list(self.folder.clone(), &self.settings.executor, files).await;
    }

    async fn check(&self, name: &RelativePath, size: u64, digest: &Digest) -> CopyCheck {
        let executor = &self.settings.executor;
        check(self.folder.clone(), executor, name, size, *digest).await
    }

    /// Refused.
    async fn quarantine(&self, _name: &RelativePath) -> Result<(), StoreError> {
        Err(StoreError::NotWritable {
            location: self.folder.label.location(),
            source: "it was opened for reading".into(),
        })
    }

    async fn quarantined(&self, name: &RelativePath) -> Option<String> {
        quarantined(self.folder.clone(), &self.settings.executor, name).await
    }
}

async fn list<D: Disk>(folder: StoreFolder<D>, executor: &Executor, files: ListingSender) {
    let mut walk = folder.walk();
    loop {
        let job = executor.start(move || {
            let batch: Vec<_> = walk.by_ref().take(BATCH).collect();
            (walk, batch)
        });
        let Some((rest, batch)) = job.result().await else {
            let fault = Unlisted {
                name: String::new(),
                reason: PANICKED.to_owned(),
            };
            // Fails if the receiver was dropped: no one waits for the listing then.
            files.send(Err(fault)).await.unwrap_or_default();
            return;
        };
        if batch.is_empty() {
            return;
        }
        walk = rest;
        for file in batch {
            if files.send(file).await.is_err() {
                return;
            }
        }
    }
}

async fn check<D: Disk>(
    folder: StoreFolder<D>,
    executor: &Executor,
    name: &RelativePath,
    size: u64,
    digest: Digest,
) -> CopyCheck {
    let name = name.clone();
    let job = executor.start(move || folder.check_copy(&name, size, &digest));
    let result = job.result().await;
    result.unwrap_or_else(|| CopyCheck::Unreadable(PANICKED.to_owned()))
}

async fn quarantined<D: Disk>(
    folder: StoreFolder<D>,
    executor: &Executor,
    name: &RelativePath,
) -> Option<String> {
    let name = name.clone();
    let job = executor.start(move || folder.find_quarantined(&name));
    job.result().await.flatten()
}
