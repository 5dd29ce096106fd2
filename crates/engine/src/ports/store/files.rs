//! What the store reports about itself, and the files that pass through it.

use model::{Digest, RangeDigest, RelativePath, StoreId, Timestamp};

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreProperties {
    /// The length in bytes of the ranges in which large files are flushed, digested and resumed:
    /// [`RANGE_LENGTH`](super::RANGE_LENGTH), or less in a simulation, where files of a few kilobytes are
    /// large.
    pub range_length: u64,
    /// The longest component of a name in the store, in bytes.
    pub max_component: usize,
}

/// The condition of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its id, from the marker.
    pub id: StoreId,
    /// Bytes that may be written before `min_free` is reached. `None` if the store has no such limit, or
    /// cannot determine it.
    pub room: Option<u64>,
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
