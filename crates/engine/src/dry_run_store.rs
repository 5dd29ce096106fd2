//! The store of a dry run: reports what its adapter reports, and changes nothing.

use std::convert::Infallible;

use model::{Digest, RelativePath, Timestamp};

use crate::ports::{
    Chunk, Condition, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError, StoreProperties, StoreStatus,
};

/// Runs a pass on a store that only has a status. A dry run never requests a change; each such request is
/// refused.
#[derive(Debug)]
pub struct DryRunStore<S>(S);

impl<S: StoreStatus> DryRunStore<S> {
    /// Uses the status of a store.
    pub const fn new(status: S) -> Self {
        Self(status)
    }
}

impl<S: StoreStatus> StoreStatus for DryRunStore<S> {
    fn properties(&self) -> StoreProperties {
        self.0.properties()
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        self.0.condition().await
    }
}

const fn refused<T>(operation: &'static str) -> Result<T, StoreError> {
    Err(StoreError::DryRun { operation })
}

impl<S: StoreStatus> Store for DryRunStore<S> {
    /// A dry run stages no file.
    type Staged = Infallible;

    async fn tidy_staging(&self, _: Timestamp) -> Result<u64, StoreError> {
        refused("tidy staging")
    }

    /// Refused: it may probe names and sizes in staging.
    async fn foresee(&self, _: Vec<Destination>) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        refused("try names")
    }

    async fn stage(&self, _: &StagingKey, _: bool) -> Result<(Infallible, u64), StoreError> {
        refused("stage a file")
    }

    async fn append(&self, staged: Infallible, _: Vec<Chunk>) -> Result<Infallible, StoreError> {
        match staged {}
    }

    async fn seal(&self, staged: Infallible, _: Vec<Chunk>, _: Timestamp) -> Result<SealedFile, StoreError> {
        match staged {}
    }

    async fn discard(&self, staged: Infallible) {
        match staged {}
    }

    async fn retire(&self, _: Vec<SealedFile>) -> Result<(), StoreError> {
        refused("retire sealed files")
    }

    async fn publish(&self, _: Vec<Publication>) -> Result<Vec<Result<Placement, PublishFault>>, StoreError> {
        refused("publish files")
    }

    /// Refused: it would flush the copy and its folders.
    async fn reprove(&self, _: &RelativePath, _: u64, _: &Digest) -> Result<Reproof, StoreError> {
        refused("prove a stored copy again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::StoreId;

    struct Fit;

    impl StoreStatus for Fit {
        fn properties(&self) -> StoreProperties {
            StoreProperties {
                range_length: 1,
                max_component: 1,
            }
        }

        async fn condition(&self) -> Result<Condition, StoreError> {
            Ok(Condition {
                id: StoreId::new("store").unwrap(),
                room: None,
            })
        }
    }

    #[tokio::test]
    async fn it_has_the_status_of_its_store_and_refuses_every_change() {
        let store = DryRunStore::new(Fit);
        assert_eq!(store.properties(), Fit.properties());
        assert_eq!(store.condition().await.unwrap().room, None);
        let name = RelativePath::new("a").unwrap();
        let digest = Digest::from_bytes([0; 32]);
        let key = StagingKey {
            digest,
            expected_size: 1,
            range_digests: false,
            folder: None,
        };
        let refusals = [
            store.tidy_staging(Timestamp::EPOCH).await.map(drop),
            store.foresee(Vec::new()).await.map(drop),
            store.stage(&key, false).await.map(drop),
            store.retire(Vec::new()).await,
            store.publish(Vec::new()).await.map(drop),
            store.reprove(&name, 1, &digest).await.map(drop),
        ];
        for refused in refusals {
            assert!(matches!(refused, Err(StoreError::DryRun { .. })), "{refused:?}");
        }
    }
}
