//! The ledger: the durable record of what happened to each file.

mod files;
mod lease;
mod outcome;

use model::{DeviceName, FileState, LeaveReason, LedgerId, RelativePath, SourcePath, StoreId, Timestamp};

pub use files::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, KnownFile, Record, RowId, Sighting, Suspicion,
    Unseen, WithdrawnRow,
};
pub use lease::PassLease;
pub use outcome::{DeviceReport, PassEnd, PassOutcome, Reason, Remaining, RemainingFile};

/// Sightings of one source that are remembered although their files may be gone. A device that lists other
/// names each time must not fill the ledger.
pub const MAX_SIGHTINGS: usize = 200_000;

/// Suspects of one source that are remembered. A session that ended leaves at most 128.
pub const MAX_SUSPECTS: usize = 500;

/// The durable record of what happened to each file. All methods may run at the same time.
///
/// A method that writes returns once its transaction is durable. A crash after that keeps all of it; a crash
/// before keeps all or nothing.
///
/// Every write of a pass carries the pass's lease, which the ledger checks within the transaction of the
/// write. With a stale lease the method writes nothing and fails with [`LedgerError::LeaseLost`]: a late
/// write must not replace what the successor has found out. Files are safe without leases. A pass without one
/// removes only what it has itself withdrawn, verified, published and recorded.
///
/// There is no method that renews a lease, because no lease has a time limit. A ledger that several
/// collectors share would need one.
pub trait Ledger: Send + Sync + 'static {
    /// The id of the ledger.
    fn id(&self) -> &LedgerId;

    /// Begins a pass over a device. It is recorded as unfinished until [`Ledger::finish_pass`].
    ///
    /// Every earlier lease of the device is stale from then on.
    fn begin_pass(
        &self,
        device: &DeviceName,
        at: Timestamp,
    ) -> impl Future<Output = Result<PassLease, LedgerError>> + Send;

    /// The newest row of each file, by original path, in the order of `paths`.
    fn known_files(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Option<KnownFile>>, LedgerError>> + Send;

    /// Upserts sightings and returns, per file, when its identity was first seen unchanged.
    ///
    /// Returns `at` for new or changed files, and after a reboot (`at` is monotonic and restarts). `unseen`
    /// decides whether sightings of other files of the source are dropped.
    fn record_sightings(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        unseen: Unseen,
        at: Timestamp,
    ) -> impl Future<Output = Result<Vec<Timestamp>, LedgerError>> + Send;

    /// The device's clock and boot id at the last survey. `None` before the first.
    fn last_clock(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<ClockReading>, LedgerError>> + Send;

    /// The last finding about compression on the way to this device.
    fn last_compression(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<CompressionFinding>, LedgerError>> + Send;

    /// When the device was found to end the whole connection over a command. `None` if the last session found
    /// otherwise.
    fn last_hang_up_on_command(
        &self,
        device: &DeviceName,
    ) -> impl Future<Output = Result<Option<Timestamp>, LedgerError>> + Send;

    /// The folder of each source, as its device last reported it, in any order. Devices that are no longer
    /// configured are included.
    fn claims(
        &self,
    ) -> impl Future<Output = Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError>> + Send;

    /// Records published files of the lease's device in one transaction. Rows are in the order of `records`.
    fn record(
        &self,
        lease: &PassLease,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Vec<RowId>, LedgerError>> + Send;

    /// The rows of this source whose files are stored and withdrawn: those of an unfinished batch, and those
    /// whose removal an earlier process could not record.
    fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> impl Future<Output = Result<Vec<WithdrawnRow>, LedgerError>> + Send;

    /// Records that stored files were released, or are kept on their device. All rows must be of the lease's
    /// device.
    fn set_states(
        &self,
        lease: &PassLease,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The suspects of a source, by their current paths: files that may have ended a session.
    fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> impl Future<Output = Result<Vec<(RelativePath, Suspicion)>, LedgerError>> + Send;

    /// Records suspects as the newest, also those recorded before. If a source has more than
    /// [`MAX_SUSPECTS`], the oldest are dropped.
    fn record_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Drops suspects.
    fn clear_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Ends a pass. If its survey was complete, the files that remain on the device replace those of the pass
    /// before.
    fn finish_pass(
        &self,
        lease: &PassLease,
        end: PassEnd,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// Why the ledger failed. Nothing is lost. [`LedgerError::LeaseLost`] ends the pass; each of the others ends
/// the sweep.
///
/// `location` says in words which ledger it is, for example by its path. It must hold no secret, since it is
/// printed and logged: no address with a password.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another gleaner has it.
    #[error("another gleaner is using the ledger {location}")]
    Busy {
        /// Which ledger.
        location: String,
    },
    /// It belongs to another store.
    #[error("the ledger {location} belongs to the store {remembered}, not to {found}")]
    OtherStore {
        /// Which ledger.
        location: String,
        /// The store that it belongs to.
        remembered: StoreId,
        /// The store that was found.
        found: StoreId,
    },
    /// A newer gleaner wrote it.
    #[error("the ledger {location} has schema {found}; this gleaner knows schemas up to {known}")]
    NewerSchema {
        /// Which ledger.
        location: String,
        /// Its schema.
        found: i64,
        /// The newest schema that is known.
        known: i64,
    },
    /// It is damaged, or no ledger.
    #[error("the ledger {location} is damaged or no ledger: {reason}")]
    Damaged {
        /// Which ledger.
        location: String,
        /// What the database said.
        reason: String,
    },
    /// A later pass over the device has begun, so the lease of this pass is stale. Nothing was written.
    #[error("another collector, or another process, has begun a pass over {device} since")]
    LeaseLost {
        /// The device.
        device: DeviceName,
    },
    /// It cannot be opened, or an operation failed; its disk may be full.
    #[error("failed to {operation} the ledger {location}: {reason}")]
    Failed {
        /// Which ledger.
        location: String,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        reason: String,
    },
}
