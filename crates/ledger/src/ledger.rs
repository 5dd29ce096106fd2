//! The port `Ledger` on SQLite.

use std::path::Path;

use engine::ports::{
    Claim, ClockReading, CompressionFinding, KnownFile, Ledger, LedgerError, MAX_SIGHTINGS, MAX_SUSPECTS,
    PassEnd, PassLease, Record, RowId, Sighting, Suspicion, Unseen, WithdrawnRow,
};
use model::{DeviceName, FileState, LeaveReason, LedgerId, RelativePath, SourcePath, StoreId, Timestamp};
use rusqlite::{Connection, named_params};

use crate::error::{display_path, from_io, from_sqlite};
use crate::open::OpenLedger;
use crate::worker::Worker;
use crate::{OpenOptions, claims, connection, lease, open, passes, records, sightings, suspects, values};

/// The ledger of this collector, open for writing. Only one process at a time can open it so.
///
/// Dropping it serves the queued requests, closes the ledger and releases its lock. The kernel releases the
/// lock of a killed process. The ledger then contains every acknowledged request, and each other request
/// whole or not at all.
pub struct SqliteLedger {
    // Dropped before the writer, which empties the log at its end: an open read would prevent that. `None`
    // for a ledger in memory, whose only connection also reads.
    reader: Option<Worker>,
    writer: Worker,
    id: LedgerId,
    is_new: bool,
    location: String,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, creates it if needed, and migrates it to the present schema. Blocks on the
    /// disk.
    ///
    /// Refuses, and does not change, a ledger that another gleaner has locked or that a newer gleaner wrote,
    /// and a file that is not a ledger.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, LedgerError> {
        let opened = open::open(path, options)?;
        let path = &opened.path;
        let reader = connection::open_read_only(path).map_err(|error| from_sqlite(&error, "open", path))?;
        Self::start(opened, Some(reader))
    }

    /// As [`SqliteLedger::open`] for a dry run, except that a missing ledger is not created: an empty one in
    /// memory takes its place, with the id that a new ledger would get, until this is dropped.
    pub fn open_without_creating(path: &Path, options: &OpenOptions) -> Result<Self, LedgerError> {
        if open::exists(path) {
            return Self::open(path, options);
        }
        Self::start(open::in_memory(path, options)?, None)
    }

    fn start(opened: OpenLedger, reader: Option<Connection>) -> Result<Self, LedgerError> {
        let path = opened.path;
        let started = |error: std::io::Error| from_io(&error, "start a thread for", &path);
        let reader = reader.map(|reader| Worker::reader(reader, path.clone()).map_err(started));
        Ok(Self {
            reader: reader.transpose()?,
            writer: Worker::writer(opened.connection, opened.lock, path.clone()).map_err(started)?,
            id: opened.id,
            is_new: opened.is_new,
            location: display_path(&path),
        })
    }

    /// Whether opening created it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The store that the ledger is bound to; `None` if it was never bound.
    pub async fn store(&self) -> Result<Option<StoreId>, LedgerError> {
        self.reader().run(values::store_id).await
    }

    /// Binds the ledger to `store` durably if it is not bound yet; refuses another store than the bound one.
    pub async fn bind_store(&self, store: &StoreId) -> Result<(), LedgerError> {
        self.bind(None, store).await
    }

    /// Binds the ledger to `new` in place of `old`, which must be the bound store.
    ///
    /// The records stay. Before gleaner releases a file because of a record, it notices that the new store
    /// lacks the copy.
    pub async fn rebind_store(&self, old: &StoreId, new: &StoreId) -> Result<(), LedgerError> {
        self.bind(Some(old), new).await
    }

    /// Refuses another store than the bound one. Does not bind the ledger.
    pub async fn expect_store(&self, store: &StoreId) -> Result<(), LedgerError> {
        match self.store().await? {
            Some(remembered) if remembered != *store => Err(self.other_store(remembered, store)),
            Some(_) | None => Ok(()),
        }
    }

    async fn bind(&self, old: Option<&StoreId>, store: &StoreId) -> Result<(), LedgerError> {
        let (in_place_of, new) = (old.cloned(), store.clone());
        let refusal = self
            .writer
            .run(move |ledger| bind(ledger, in_place_of.as_ref(), &new))
            .await?;
        match refusal {
            None => Ok(()),
            Some(remembered) => Err(self.other_store(remembered, old.unwrap_or(store))),
        }
    }

    fn other_store(&self, remembered: StoreId, found: &StoreId) -> LedgerError {
        LedgerError::OtherStore {
            location: self.location.clone(),
            remembered,
            found: found.clone(),
        }
    }

    /// Runs `work` in a transaction with the id of the lease's device, unless the lease is stale.
    ///
    /// A stale lease does not fail the transaction, so that the other writes of the group keep it.
    async fn write<T: Send + 'static>(
        &self,
        lease: &PassLease,
        mut work: impl FnMut(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let held = lease.clone();
        let written = self
            .writer
            .run(move |ledger| match lease::device(ledger, &held)? {
                Some(device) => work(ledger, device).map(Some),
                None => Ok(None),
            });
        written.await?.ok_or_else(|| LedgerError::LeaseLost {
            device: lease.device().clone(),
        })
    }

    fn reader(&self) -> &Worker {
        self.reader.as_ref().unwrap_or(&self.writer)
    }
}

/// Binds the ledger to `new`. Returns the bound store if that is neither `old` nor `new`; then nothing
/// changes.
fn bind(ledger: &Connection, old: Option<&StoreId>, new: &StoreId) -> rusqlite::Result<Option<StoreId>> {
    match values::store_id(ledger)? {
        Some(remembered) if &remembered == new => return Ok(None),
        Some(remembered) if Some(&remembered) != old => return Ok(Some(remembered)),
        Some(_) | None => {}
    }
    let row = named_params! { ":store_id": new.as_str() };
    ledger
        .prepare_cached(include_str!("sql/write/bind_store.sql"))?
        .execute(row)?;
    Ok(None)
}

impl Ledger for SqliteLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    async fn begin_pass(&self, device: &DeviceName, at: Timestamp) -> Result<PassLease, LedgerError> {
        let device = device.clone();
        self.writer
            .run(move |ledger| lease::begin(ledger, &device, at))
            .await
    }

    async fn known_files(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<KnownFile>>, LedgerError> {
        let (device, source, paths) = (device.clone(), source.clone(), paths.to_vec());
        self.reader()
            .run(move |ledger| records::known_files(ledger, &device, &source, &paths))
            .await
    }

    async fn record_sightings(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        unseen: Unseen,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        let source = source.clone();
        self.write(lease, move |ledger, device| {
            sightings::record(ledger, device, &source, &sightings, unseen, MAX_SIGHTINGS, at)
        })
        .await
    }

    async fn last_clock(&self, device: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        let device = device.clone();
        self.reader()
            .run(move |ledger| passes::last_clock(ledger, &device))
            .await
    }

    async fn last_compression(&self, device: &DeviceName) -> Result<Option<CompressionFinding>, LedgerError> {
        let device = device.clone();
        self.reader()
            .run(move |ledger| passes::last_compression(ledger, &device))
            .await
    }

    async fn last_hang_up_on_command(&self, device: &DeviceName) -> Result<Option<Timestamp>, LedgerError> {
        let device = device.clone();
        self.reader()
            .run(move |ledger| passes::last_hang_up_on_command(ledger, &device))
            .await
    }

    async fn claims(&self) -> Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError> {
        self.reader().run(claims::all).await
    }

    async fn record(&self, lease: &PassLease, records: Vec<Record>) -> Result<Vec<RowId>, LedgerError> {
        let pass = lease.row();
        self.write(lease, move |ledger, device| {
            records::record(ledger, device, pass, &records)
        })
        .await
    }

    async fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<WithdrawnRow>, LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.reader()
            .run(move |ledger| records::withdrawn(ledger, &device, &source))
            .await
    }

    async fn set_states(
        &self,
        lease: &PassLease,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(lease, move |ledger, device| {
            records::set_states(ledger, device, &rows, at)
        })
        .await
    }

    async fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<(RelativePath, Suspicion)>, LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.reader()
            .run(move |ledger| suspects::all(ledger, &device, &source))
            .await
    }

    async fn record_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let source = source.clone();
        self.write(lease, move |ledger, device| {
            suspects::record(ledger, device, &source, &paths, MAX_SUSPECTS)
        })
        .await
    }

    async fn clear_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let source = source.clone();
        self.write(lease, move |ledger, device| {
            suspects::clear(ledger, device, &source, &paths)
        })
        .await
    }

    async fn finish_pass(&self, lease: &PassLease, end: PassEnd) -> Result<(), LedgerError> {
        let pass = lease.row();
        self.write(lease, move |ledger, device| {
            passes::finish(ledger, device, pass, &end)
        })
        .await
    }
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteLedger")
            .field("id", &self.id)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
