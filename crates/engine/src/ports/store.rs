//! The store: bytes become sealed, then published.

use model::{Digest, RangeDigest, RelativePath, StoreId, Timestamp};

use super::device::Chunk;

/// The store at home. All methods may be called at the same time.
///
/// Nothing that is visible in the store is ever overwritten, altered or removed by any of these methods.
pub trait Store: Send + Sync + 'static {
    /// A file that is being received into staging. Dropping it leaves what a crash would leave.
    type Staged: Send + 'static;

    /// The length of ranges in bytes: [`RANGE_LENGTH`], or less in a simulation, where files of some kilobytes are large.
    fn range_length(&self) -> u64;

    /// Looks whether the store is fit: marker there and its own, writable, free space above the floor.
    fn condition(&self) -> impl Future<Output = Result<Condition, StoreError>> + Send;

    /// Clears this collector's own staging of what earlier processes left: sealed links (what they stood for is published or
    /// will be fetched again) and partial files that nobody can resume or that are older than `keep_partial_since`. Returns how many foreign leftovers are older than a week.
    fn tidy_staging(
        &self,
        keep_partial_since: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Looks whether files can get their names, before anything is done to them on their devices; the answers
    /// stand in the order of `wanted`. Nothing visible is changed.
    ///
    /// [`PublishFault::Taken`] and [`PublishFault::Failed`] are not among the answers: they show only when a
    /// file is published.
    fn foresee(
        &self,
        wanted: Vec<Destination>,
    ) -> impl Future<Output = Result<Vec<Result<Room, PublishFault>>, StoreError>> + Send;

    /// Opens a file in staging under a key that stands for one version of one device file.
    ///
    /// Returns how many bytes are there already: more than zero only with `resume`, only what was flushed, and always a multiple of
    /// [`Store::range_length`]. Those bytes are digested again from the disk: they are to be proved like those that come.
    fn stage(
        &self,
        key: &StagingKey,
        resume: bool,
    ) -> impl Future<Output = Result<(Self::Staged, u64), StoreError>> + Send;

    /// Appends chunks in order, digesting on the way. Flushes whole ranges of large files as they are full, so that they can be
    /// resumed; a file shorter than a range is flushed once, by [`Store::seal`]. Credits of the chunks are dropped once written.
    fn append(
        &self,
        staged: Self::Staged,
        chunks: Vec<Chunk>,
    ) -> impl Future<Output = Result<Self::Staged, StoreError>> + Send;

    /// Appends the last chunks and seals: mtime set, file flushed, cache dropped, read back and compared, moved to the sealed folder.
    ///
    /// An error has discarded the staged file: a failed flush is never tried again on the same bytes. A crash before the move leaves a
    /// partial file, a crash after it a sealed one; neither is visible.
    fn seal(
        &self,
        staged: Self::Staged,
        last: Vec<Chunk>,
        modified: Timestamp,
    ) -> impl Future<Output = Result<SealedFile, StoreError>> + Send;

    /// Throws a staged file away.
    fn discard(&self, staged: Self::Staged) -> impl Future<Output = ()> + Send;

    /// Throws sealed files away: unpublished ones for good, links of published ones without touching the published name.
    ///
    /// Called after their record is durable, or when they could not be proved or published.
    fn retire(&self, sealed: Vec<SealedFile>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Publishes sealed files under their names without ever replacing anything, then flushes each folder once, and every folder above
    /// that was made since this process last flushed it. The answers stand in the order of `publications` and are durable: a crash after
    /// this returns leaves every placed name in the store; a crash before leaves each name either absent or whole.
    ///
    /// A name that is taken is compared by content (size, then digest of the bytes read from disk); the same content is as good as placed,
    /// and its folder is flushed too.
    fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> impl Future<Output = Result<Vec<Result<Placement, PublishFault>>, StoreError>> + Send;

    /// Opens the stored copy of an earlier pass and digests it again, and flushes it and its folder (an earlier process may have died
    /// before it could).
    fn reprove(
        &self,
        name: &RelativePath,
        size: u64,
        digest: &Digest,
    ) -> impl Future<Output = Result<Reproof, StoreError>> + Send;

    /// Moves a stored copy that was found bad into the control folder, under its own name. Only `audit --quarantine` asks for it.
    fn quarantine(&self, name: &RelativePath) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Length of the ranges in which large files are flushed, digested and resumed, in bytes (16 MiB).
///
/// Long enough that a flush and a start of the digest tool cost little beside it; short enough that a Raspberry Pi digests one within
/// a second, so that silence means trouble, and that a link of 5 Mbit/s carries one in half a minute, so that a resume loses little.
pub const RANGE_LENGTH: u64 = 16 << 20;

/// What state the store is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its id, from the marker.
    pub id: StoreId,
    /// Bytes that may still be written before `min_free` is reached.
    pub room: u64,
}

/// The name that a file is to get, and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The name in the store.
    pub name: RelativePath,
    /// Its size in bytes.
    pub size: u64,
}

/// Which room a file will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// That of the store itself: see [`Condition::room`].
    OfStore,
    /// That of the place beside which it is received: another file system, or one from whose folders no link
    /// leads to the store's staging.
    Other {
        /// Tells it from every other one.
        file_system: u64,
        /// Bytes that may still be written there before `min_free` is reached.
        bytes: u64,
    },
}

/// Names one version of one device file in staging: a digest over device, source, original path and identity, so that
/// only the very same version is ever resumed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StagingKey {
    /// The digest.
    pub digest: Digest,
    /// The size that the file is expected to have: for preallocation, and to know large from small.
    pub expected_size: u64,
    /// Whether the digest of each range is wanted, beside that of the whole.
    pub range_digests: bool,
    /// The folder of the store that it is bound for, from where it must be possible to link it; `None`: the
    /// store itself.
    pub folder: Option<RelativePath>,
}

/// A sealed file: staged, durable, read back and equal to what was received.
#[derive(Debug)]
pub struct SealedFile {
    /// The name in the sealed folder; meaningful to the store only.
    pub token: String,
    /// How many bytes.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
    /// When it was last modified, as the store's file system keeps it.
    pub modified: Timestamp,
    /// The digests of their ranges of [`Store::range_length`], one at least; none unless [`StagingKey::range_digests`] asked for them.
    pub ranges: Vec<RangeDigest>,
}

/// A sealed file and the name that it is to get.
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

/// How a file got its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Under its name, which was free.
    New,
    /// The name had the same content already.
    Same,
}

/// Why a file did not get its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishFault {
    /// The name stands for other content, or for a folder, a link or something else that is no file.
    Taken,
    /// The component at `depth` (0 is the outermost) should be a folder, but is none.
    Obstructed {
        /// Which component.
        depth: usize,
        /// What is there.
        by: Obstacle,
    },
    /// The store does not take this name (it is too long, or belongs to gleaner).
    Unacceptable(String),
    /// The file system does not take the characters of this name.
    Forbidden(String),
    /// The folder cannot be used, for a reason that lasts.
    Unusable(String),
    /// No file there can be as large, however much room there is.
    TooLarge(String),
    /// The file system within the store that it is bound for has no room.
    NoRoom(String),
    /// The stored bytes were not durable or could not be compared; nothing is claimed for this file.
    Failed(String),
}

/// What is there in place of a folder.
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
            Self::File => "no folder",
        }
    }
}

/// What became of a stored copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reproof {
    /// It is there, and it is the same.
    Same,
    /// There is nothing under that name.
    Missing,
    /// There is something else under that name.
    Other,
}

/// Why the store could not serve. Every one of these but [`StoreError::OfFile`] ends the sweep; nothing is
/// lost by it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No marker: not mounted, or not made with `gleaner store init`.
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
    /// The marker cannot be understood.
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
    /// Below the floor, or full (ENOSPC, EDQUOT, from any call: write, flush and close among them).
    #[error("the store at {path} is full: {detail}")]
    Full {
        /// Where.
        path: String,
        /// How full.
        detail: String,
    },
    /// It concerns one file alone, which has been discarded: no file there can be as large, or its file
    /// system within the store has no room.
    #[error("the store at {path} does not take a file")]
    OfFile {
        /// Where.
        path: String,
        /// Why not.
        fault: PublishFault,
    },
    /// It can do none of the renames that never replace anything.
    #[error("the store at {path} can neither link nor rename without replacing")]
    CannotPublish {
        /// Where.
        path: String,
    },
    /// What was read back differs from what was written.
    #[error("the store at {path} gave back other bytes than were written to {name}")]
    ReadBack {
        /// Where.
        path: String,
        /// The staged file.
        name: String,
    },
    /// Anything else that the system said.
    #[error("failed to {operation} in the store at {path}")]
    System {
        /// Where.
        path: String,
        /// What was tried, object included.
        operation: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether the store is unfit altogether (exit status 3 before a sweep), rather than full or failing in mid-sweep.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
