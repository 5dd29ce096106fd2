//! The store: received bytes are sealed, then published.
//!
//! A dry run needs only [`StoreStatus`], a sweep needs [`Store`], and an audit needs [`StoreInspection`]. No
//! trait knows whether the store is a directory: what a store can do is data ([`StoreProperties`]), and
//! errors name its location in words.

mod fault;
mod files;
mod inspection;

use model::{Digest, RelativePath, Timestamp};

pub use fault::{Obstacle, PublishFault, StoreCause, StoreError};
pub use files::{
    Condition, Destination, Placement, Publication, Reproof, Room, SealedFile, StagingKey, StoreProperties,
};
pub use inspection::{CopyCheck, ListedFile, ListingSender, StoreInspection, Unlisted};

use super::device::Chunk;

/// What a store can do, and whether it is fit.
pub trait StoreStatus: Send + Sync + 'static {
    /// What the store can do. Never changes while the store is open.
    fn properties(&self) -> StoreProperties;

    /// Checks whether the store is fit: it has its marker, is writable, and has more room than `min_free`.
    fn condition(&self) -> impl Future<Output = Result<Condition, StoreError>> + Send;
}

/// The store of a sweep. All methods may run at the same time.
///
/// No method ever overwrites, changes or removes a visible file.
pub trait Store: StoreStatus {
    /// A file being received into staging. Dropping it leaves what a crash would leave.
    type Staged: Send + 'static;

    /// Removes what earlier processes left in this collector's staging: sealed files (they are published, or
    /// will be fetched again), and partial files that cannot be resumed or are older than
    /// `keep_partial_since`.
    ///
    /// Returns the number of files of other collectors that are older than a week.
    fn tidy_staging(
        &self,
        keep_partial_since: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Checks whether files can get their names, before anything is done to them on their devices. Results
    /// are in the order of `destinations`. Nothing visible changes.
    ///
    /// Never returns [`PublishFault::Taken`] or [`PublishFault::Failed`]: these show only when a file is
    /// published.
    fn foresee(
        &self,
        destinations: Vec<Destination>,
    ) -> impl Future<Output = Result<Vec<Result<Room, PublishFault>>, StoreError>> + Send;

    /// Opens a file in staging under a key that identifies one version of one device file.
    ///
    /// Returns the number of bytes that are there already: more than zero only with `resume`, only flushed
    /// bytes, and always a multiple of [`StoreProperties::range_length`]. They are digested again from the
    /// disk, so that they are proved like those that arrive.
    fn stage(
        &self,
        key: &StagingKey,
        resume: bool,
    ) -> impl Future<Output = Result<(Self::Staged, u64), StoreError>> + Send;

    /// Appends chunks in order, and digests them. Flushes each full range of a large file, so that the file
    /// can be resumed. A file shorter than a range is flushed once, by [`Store::seal`]. The credit of a chunk
    /// is dropped once it is written.
    fn append(
        &self,
        staged: Self::Staged,
        chunks: Vec<Chunk>,
    ) -> impl Future<Output = Result<Self::Staged, StoreError>> + Send;

    /// Appends the last chunks and seals the file. A sealed file is durable, was read back and is equal to
    /// what arrived, and has `modified` as its mtime where the store keeps mtimes. It is not visible.
    ///
    /// An error has discarded the staged file: a failed flush is never repeated on the same bytes. A crash
    /// before the file is sealed leaves a partial file, a crash after it a sealed one. Neither is visible.
    fn seal(
        &self,
        staged: Self::Staged,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> impl Future<Output = Result<SealedFile, StoreError>> + Send;

    /// Removes a staged file.
    fn discard(&self, staged: Self::Staged) -> impl Future<Output = ()> + Send;

    /// Removes sealed files from staging: unpublished ones entirely. A published file keeps its name and its
    /// bytes.
    ///
    /// Called after their record is durable, or if they could not be proved or published.
    fn retire(&self, sealed: Vec<SealedFile>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Publishes sealed files under their names without ever replacing anything. Results are in the order of
    /// `publications`.
    ///
    /// The results are durable: a crash after this returns leaves every placed name, and every folder above
    /// it, in the store. A crash before leaves each name either absent or whole.
    ///
    /// If a name is taken, the content is compared (size, then digest of the stored bytes). The same content
    /// counts as placed, and is as durable.
    fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> impl Future<Output = Result<Vec<Result<Placement, PublishFault>>, StoreError>> + Send;

    /// Proves the stored copy of an earlier pass again: compares its stored bytes with the digest, and makes
    /// copy and name durable, since an earlier process may have died before it could.
    fn reprove(
        &self,
        name: &RelativePath,
        size: u64,
        digest: &Digest,
    ) -> impl Future<Output = Result<Reproof, StoreError>> + Send;
}

/// Length of the ranges in which large files are flushed, digested and resumed, in bytes (16 MiB).
///
/// Long enough that a flush and a start of the digest tool cost little beside it. Short enough that a
/// Raspberry Pi digests one within a second, and that a link of 5 Mbit/s carries one in half a minute, so
/// that a resume loses little.
pub const RANGE_LENGTH: u64 = 16 << 20;
