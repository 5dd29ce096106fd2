//! The ports: what the engine needs from the outside. The engine owns these traits, and the adapters depend
//! on it.
//!
//! Methods return futures that are `Send`, so that a pass can move between threads. A future may be dropped
//! at any point (a sweep is interrupted, a watchdog expires). That must leave the same as a crash at this
//! point.

pub mod clock;
pub mod device;
pub mod ledger;
pub mod store;

pub use clock::Clock;
pub use device::{
    Abilities, Chunk, ChunkSender, ConfirmResult, Confirmation, ConnectHints, DeviceFacts, DeviceFailure,
    Devices, DigestRequest, DiskUse, Entry, EntryKind, FileFault, FileFaultKind, FolderNumbers,
    InspectResult, Inspection, ListingEnd, Move, NoShell, Openness, RenameResult, Session, SmallFileRequest,
    SurveyItem, SurveySender, WriterCheck,
};
pub use ledger::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, DeviceReport, KnownFile, Ledger, LedgerError,
    MAX_SIGHTINGS, MAX_SUSPECTS, PassEnd, PassOutcome, Reason, Record, Remaining, RemainingFile, RowId,
    Sighting, Suspicion, Unseen, WithdrawnRow,
};
pub use store::{
    Condition, CopyCheck, Destination, ListedFile, ListingSender, Obstacle, Placement, Publication,
    PublishFault, Reproof, Room, SealedFile, StagingKey, Store, StoreCause, StoreError, StoreInspection,
    StoreProperties, StoreStatus, Unlisted,
};
