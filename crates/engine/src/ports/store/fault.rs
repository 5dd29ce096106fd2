//! Why the store, or one file in it, failed.

use model::StoreId;

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

/// What the adapter's system reported.
pub type StoreCause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store failed. Each of these but [`StoreError::OfFile`] ends the sweep; nothing is lost.
///
/// `location` is the store's location in words, as messages show it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It has no marker: it is not there, or was not made with `gleaner store init`.
    #[error("no store at {location}: {detail}")]
    NoMarker {
        /// Where it should be.
        location: String,
        /// What is missing there.
        detail: String,
    },
    /// The marker of another store.
    #[error("another store at {location}: its id is {found}, the ledger remembers {expected}")]
    OtherStore {
        /// Where.
        location: String,
        /// The id that is there.
        found: StoreId,
        /// The id that should be there.
        expected: StoreId,
    },
    /// The marker cannot be parsed.
    #[error("the marker of the store at {location} is damaged: {reason}")]
    DamagedMarker {
        /// Where.
        location: String,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be written.
    #[error("the store at {location} cannot be written")]
    NotWritable {
        /// Where.
        location: String,
        /// The cause.
        source: StoreCause,
    },
    /// It has less room than `min_free`, or is full.
    #[error("the store at {location} is full: {detail}")]
    Full {
        /// Where.
        location: String,
        /// How full.
        detail: String,
    },
    /// One file failed, and has been discarded: the store has no room for it, or takes no file of that size.
    #[error("the store at {location} does not take a file")]
    OfFile {
        /// Where.
        location: String,
        /// Why not.
        fault: PublishFault,
    },
    /// It offers no way to name a file without replacing another.
    #[error("the store at {location} {detail}")]
    CannotPublish {
        /// Where.
        location: String,
        /// What it cannot do: continues "the store at ...".
        detail: String,
    },
    /// The bytes read back differ from those written.
    #[error("the store at {location} returned other bytes than were written to {name}")]
    ReadBack {
        /// Where.
        location: String,
        /// The staged file.
        name: String,
    },
    /// Any other failure of the system.
    #[error("failed to {operation} in the store at {location}")]
    System {
        /// Where.
        location: String,
        /// What was tried, with its object.
        operation: String,
        /// The cause.
        source: StoreCause,
    },
    /// A dry run requested a change. Nothing was done. This is a defect of gleaner.
    #[error("a dry run requested to {operation}")]
    DryRun {
        /// What would have been done.
        operation: &'static str,
    },
}
