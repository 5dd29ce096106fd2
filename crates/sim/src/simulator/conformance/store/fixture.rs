//! A store to check, and the files that the checks make.

use bytes::Bytes;
use engine::ports::{
    Chunk, Destination, Placement, Publication, PublishFault, Room, SealedFile, StagingKey, Store,
    StoreInspection,
};
use model::{Digest, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::simulator::conformance::{message, path, same};
use crate::simulator::rng::Rng;

/// A place that keeps one store across processes. Its range length must be
/// [`super::super::super::collector::RANGE_LENGTH`].
pub trait StoreFixture {
    /// The implementation under test.
    type Store: Store + StoreInspection;

    /// Opens the store as a new process does.
    fn open(&self) -> Self::Store;

    /// The content of a visible file; `None` if there is none of that name.
    fn visible(&self, name: &str) -> Option<Vec<u8>>;

    /// Puts a file into the store as another program does.
    fn put(&self, name: &str, bytes: &[u8]);

    /// The number of files in the staging folders.
    fn staged(&self) -> usize;

    /// Makes a visible file unreadable for the stores that are open.
    fn make_unreadable(&self, name: &str);

    /// Makes links from the store's staging to its visible folders impossible. Returns `false` where this
    /// implementation cannot do that.
    fn divide(&self) -> bool;
}

pub(super) const MODIFIED: Timestamp = Timestamp::from_seconds(1_700_000_000);

pub(super) const ALL_LEFTOVERS: Timestamp = Timestamp::EPOCH;

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(super) fn content(length: usize) -> Vec<u8> {
    Rng::new(u64::try_from(length).unwrap_or_default()).bytes(length)
}

pub(super) fn key(name: &str, size: u64) -> StagingKey {
    StagingKey {
        digest: digest(name.as_bytes()),
        expected_size: size,
        range_digests: false,
        folder: None,
    }
}

pub(super) fn chunks(bytes: &[u8]) -> Vec<Chunk> {
    bytes
        .chunks(1000)
        .map(|chunk| Chunk::from(Bytes::copy_from_slice(chunk)))
        .collect()
}

pub(super) async fn seal<S: Store>(store: &S, bytes: &[u8]) -> Result<SealedFile, String> {
    let (staged, there) = store
        .stage(&key("x", length(bytes)), false)
        .await
        .map_err(message)?;
    same("bytes there before", &there, &0)?;
    let (first, last) = bytes.split_at(bytes.len() / 2);
    let staged = store.append(staged, chunks(first)).await.map_err(message)?;
    store.seal(staged, chunks(last), MODIFIED).await.map_err(message)
}

pub(super) fn publication(sealed: &SealedFile, name: &str) -> Result<Publication, String> {
    Ok(Publication {
        token: sealed.token.clone(),
        size: sealed.size,
        digest: sealed.digest,
        name: path(name)?,
    })
}

pub(super) async fn publish<S: Store>(
    store: &S,
    bytes: &[u8],
    name: &str,
) -> Result<Result<Placement, PublishFault>, String> {
    let sealed = seal(store, bytes).await?;
    let answers = store
        .publish(vec![publication(&sealed, name)?])
        .await
        .map_err(message)?;
    answers.into_iter().next().ok_or_else(|| "no answer".to_owned())
}

pub(super) async fn foresee<S: Store>(
    store: &S,
    name: &str,
    folder: Option<&str>,
) -> Result<Result<Room, PublishFault>, String> {
    let name = match folder {
        Some(folder) => path(format!("{folder}/{name}"))?,
        None => path(name)?,
    };
    let answers = store.foresee(vec![Destination { name, size: 5000 }]).await;
    answers
        .map_err(message)?
        .into_iter()
        .next()
        .ok_or_else(|| "no answer".to_owned())
}
