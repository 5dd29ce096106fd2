//! What the engine asks of the world. The engine owns these traits; the adapters depend on it, never it on them.
//!
//! Methods return futures that are `Send`, so that one pass can move between threads. Dropping such a future at any
//! point is allowed (a sweep is interrupted, a watchdog bites) and must leave the world as a crash at that point would.

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
    Condition, Destination, Obstacle, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError,
};
