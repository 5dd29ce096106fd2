//! The store: received bytes are sealed, then published.

use model::{Digest, RangeDigest, RelativePath, StoreId, Timestamp};

use super::device::Chunk;

/// The store. All methods may run at the same time.
///
/// No method ever overwrites, changes or removes a visible file.
pub trait Store: Send + Sync + 'static {
    /// A file being received into staging. Dropping it leaves what a crash would leave.
    type Staged: Send + 'static;

    /// The length of ranges in bytes: [`RANGE_LENGTH`], or less in a simulation, where files of a few
    /// kilobytes are large.
    fn range_length(&self) -> u64;

    /// Checks whether the store is fit: it has its marker, is writable, and has more room than `min_free`.
    fn condition(&self) -> impl Future<Output = Result<Condition, StoreError>> + Send;

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
    /// bytes, and always a multiple of [`Store::range_length`]. They are digested again from the disk, so
    /// that they are proved like those that arrive.
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

    /// Appends the last chunks and seals the file: sets its mtime, flushes it, drops it from the cache, reads
    /// it back, compares, and moves it to the sealed folder.
    ///
    /// An error has discarded the staged file: a failed flush is never repeated on the same bytes. A crash
    /// before the move leaves a partial file, a crash after it a sealed one. Neither is visible.
    fn seal(
        &self,
        staged: Self::Staged,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> impl Future<Output = Result<SealedFile, StoreError>> + Send;

    /// Removes a staged file.
    fn discard(&self, staged: Self::Staged) -> impl Future<Output = ()> + Send;

    /// Removes sealed files from staging: unpublished ones entirely, and the links of published ones without
    /// touching the published name.
    ///
    /// Called after their record is durable, or if they could not be proved or published.
    fn retire(&self, sealed: Vec<SealedFile>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Publishes sealed files under their names without ever replacing anything. Then flushes each folder
    /// once, and every new folder above it. Results are in the order of `publications`.
    ///
    /// The results are durable: a crash after this returns leaves every placed name in the store. A crash
    /// before leaves each name either absent or whole.
    ///
    /// If a name is taken, the content is compared (size, then digest of the bytes read from disk). The same
    /// content counts as placed, and its folder is flushed too.
    fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> impl Future<Output = Result<Vec<Result<Placement, PublishFault>>, StoreError>> + Send;

    /// Proves the stored copy of an earlier pass again: reads and digests it, and flushes it and its folder,
    /// since an earlier process may have died before it could.
    fn reprove(
        &self,
        name: &RelativePath,
        size: u64,
        digest: &Digest,
    ) -> impl Future<Output = Result<Reproof, StoreError>> + Send;

    /// Moves a damaged stored copy into the control folder, under its own name. Only `audit --quarantine`
    /// requests this.
    fn quarantine(&self, name: &RelativePath) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Length of the ranges in which large files are flushed, digested and resumed, in bytes (16 MiB).
///
/// Long enough that a flush and a start of the digest tool cost little beside it. Short enough that a
/// Raspberry Pi digests one within a second, and that a link of 5 Mbit/s carries one in half a minute, so
/// that a resume loses little.
pub const RANGE_LENGTH: u64 = 16 << 20;

/// The condition of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its id, from the marker.
    pub id: StoreId,
    /// Bytes that may be written before `min_free` is reached.
    pub room: u64,
}

/// The name that a file should get, and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The name in the store.
    pub name: RelativePath,
    /// Its size in bytes.
    pub size: u64,
}

/// Where a file takes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// In the store itself: see [`Condition::room`].
    OfStore,
    /// In a folder that is on another file system, or that cannot be linked to from the store's staging.
    Other {
        /// Identifies the file system.
        file_system: u64,
        /// Bytes that may be written there before `min_free` is reached.
        bytes: u64,
    },
}

/// Identifies one version of one device file in staging, so that only the same version is ever resumed: a
/// digest over device, source, current path and identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StagingKey {
    /// The digest.
    pub digest: Digest,
    /// The expected size of the file in bytes: for preallocation, and to tell large files from small ones.
    pub expected_size: u64,
    /// Whether each range is digested too, beside the whole.
    pub range_digests: bool,
    /// The folder of the store that the file is bound for: it must be possible to link the file to there.
    /// `None`: any folder on the store's own file system.
    pub folder: Option<RelativePath>,
}

/// A sealed file: staged, durable, read back and equal to what was received.
#[derive(Debug)]
pub struct SealedFile {
    /// The name in the sealed folder. Only the store interprets it.
    pub token: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its mtime, as the store's file system keeps it.
    pub modified: Timestamp,
    /// The digests of its ranges, at least one. Empty unless [`StagingKey::range_digests`] requested them.
    pub ranges: Vec<RangeDigest>,
}

/// A sealed file, and the name that it should get.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Its token.
    pub token: String,
    /// Its size.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// The name in the store.
    pub name: RelativePath,
}

/// How a file got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The name was free.
    New,
    /// The name had the same content already.
    Same,
}

/// Why a file did not get its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishFault {
    /// Other content has the name; or a folder, a link or something else that is no file.
    Taken,
    /// The component at `depth` (0 is the outermost) should be a folder, but is not.
    Obstructed {
        /// The component.
        depth: usize,
        /// What is there.
        by: Obstacle,
    },
    /// The store does not take this name (it is too long, or belongs to gleaner).
    Unacceptable(String),
    /// The file system does not take the characters of this name.
    Forbidden(String),
    /// The folder cannot be used, for a lasting reason.
    Unusable(String),
    /// The file system allows no file of that size.
    TooLarge(String),
    /// The file system within the store that the file is bound for has no room.
    NoRoom(String),
    /// The stored bytes were not durable, or could not be compared.
    Failed(String),
}

/// What is in the place of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A symbolic link, which is never followed.
    Link,
    /// A file, or something else that is no folder.
    File,
}

impl Obstacle {
    /// In a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Link => "a symbolic link",
            Self::File => "not a folder",
        }
    }
}

/// The result of reading a stored copy again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reproof {
    /// It is unchanged.
    Same,
    /// Nothing has that name.
    Missing,
    /// Something else has that name.
    Other,
}

/// Why the store failed. Each of these but [`StoreError::OfFile`] ends the sweep; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It has no marker: it is not mounted, or was not made with `gleaner store init`.
    #[error("no store at {path}: there is no .gleaner/store.toml (not mounted, or never made)")]
    NoMarker {
        /// Where it should be.
        path: String,
    },
    /// The marker of another store.
    #[error("another store at {path}: its id is {found}, the ledger remembers {expected}")]
    OtherStore {
        /// Where.
        path: String,
        /// The id that is there.
        found: StoreId,
        /// The id that should be there.
        expected: StoreId,
    },
    /// The marker cannot be parsed.
    #[error("the marker of the store at {path} is damaged: {reason}")]
    DamagedMarker {
        /// Where.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be written.
    #[error("the store at {path} cannot be written")]
    NotWritable {
        /// Where.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It has less room than `min_free`, or is full (ENOSPC or EDQUOT from any call, also flush and close).
    #[error("the store at {path} is full: {detail}")]
    Full {
        /// Where.
        path: String,
        /// How full.
        detail: String,
    },
    /// One file failed, and has been discarded: it is too large for its file system, or that has no room.
    #[error("the store at {path} does not take a file")]
    OfFile {
        /// Where.
        path: String,
        /// Why not.
        fault: PublishFault,
    },
    /// Its file system offers no way to name a file without replacing another.
    #[error("the store at {path} can neither link nor rename without replacing")]
    CannotPublish {
        /// Where.
        path: String,
    },
    /// The bytes read back differ from those written.
    #[error("the store at {path} returned other bytes than were written to {name}")]
    ReadBack {
        /// Where.
        path: String,
        /// The staged file.
        name: String,
    },
    /// Any other failure of the system.
    #[error("failed to {operation} in the store at {path}")]
    System {
        /// Where.
        path: String,
        /// What was tried, with its object.
        operation: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether the store has no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
