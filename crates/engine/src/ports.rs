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
    Abilities, Chunk, ChunkSender, Confirmation, Confirmed, ConnectHints, DeviceFacts, DeviceFailure,
    Devices, DigestRequest, DiskUse, Entry, EntryKind, FileFault, FileFaultKind, FolderNumbers, Inspection,
    Listed, Looked, Move, Moved, NoShell, Openness, Session, SurveyItem, SurveySender, Wanted, WriterCheck,
};
pub use ledger::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, DeviceReport, Ledger, LedgerError,
    MOST_SIGHTINGS, MOST_SUSPECTS, Others, PassEnd, PassOutcome, Reason, Record, Remembered, RowId, Sighting,
    Standing, StandingFile, Suspicion, WithdrawnRow,
};
pub use store::{
    Condition, Destination, Obstacle, Placed, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError,
};
