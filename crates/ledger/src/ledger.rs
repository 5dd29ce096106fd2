//! The port `Ledger` on SQLite.

use std::path::Path;

use engine::ports::{
    Claim, ClockReading, CompressionFinding, KnownFile, Ledger, LedgerError, MAX_SIGHTINGS, MAX_SUSPECTS,
    PassEnd, Record, RowId, Sighting, Suspicion, Unseen, WithdrawnRow,
};
use model::{DeviceName, FileState, LeaveReason, LedgerId, RelativePath, SourcePath, StoreId, Timestamp};
use rusqlite::{Connection, named_params};

use crate::fault::{refused, shown, translated};
use crate::opening::Opened;
use crate::worker::Worker;
use crate::{OpenOptions, claims, connection, opening, passes, records, sightings, suspects, values};

/// The ledger of this collector, open for writing. While it is open, no other process can open it so.
///
/// Dropping it waits for what is queued, closes it, and lets the next one in. A process that is killed lets the next one in too;
/// what was acknowledged is there then, and what was not is there whole or not at all.
pub struct SqliteLedger {
    // The reader goes first: the writer empties the log when it ends, which nobody must be reading then. None for a ledger in memory,
    // whose one connection does both.
    reader: Option<Worker>,
    writer: Worker,
    id: LedgerId,
    is_new: bool,
    path: String,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, makes it if it is not there, and brings it to the present schema. Blocks on the disk.
    ///
    /// A ledger that another gleaner holds, that a newer one wrote, or that is none, is left as it is.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, LedgerError> {
        let opened = opening::open(path, options)?;
        let path = &opened.path;
        let reader = connection::reading(path).map_err(|error| translated(&error, "open", path))?;
        Self::serve(opened, Some(reader))
    }

    /// The same for a look that must leave nothing behind: a ledger that is not there is not made, but taken to be empty. It stands in
    /// memory, under the id that it would be made with, and is gone when this is dropped.
    pub fn open_without_making(path: &Path, options: &OpenOptions) -> Result<Self, LedgerError> {
        if opening::is_there(path) {
            return Self::open(path, options);
        }
        Self::serve(opening::in_memory(path, options)?, None)
    }

    fn serve(opened: Opened, reader: Option<Connection>) -> Result<Self, LedgerError> {
        let path = opened.path;
        let started = |error: std::io::Error| refused(&error, "start a thread for", &path);
        let reader = reader.map(|reader| Worker::reader(reader, path.clone()).map_err(started));
        Ok(Self {
            reader: reader.transpose()?,
            writer: Worker::writer(opened.connection, opened.lock, path.clone()).map_err(started)?,
            id: opened.id,
            is_new: opened.is_new,
            path: shown(&path),
        })
    }

    /// Whether it was made just now.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The store that it belongs to; `None` before the first.
    pub async fn store(&self) -> Result<Option<StoreId>, LedgerError> {
        self.reader().ask(values::store_id).await
    }

    /// Binds the ledger to the store that is there. The first is remembered; any other is refused from then on.
    pub async fn bind_store(&self, store: &StoreId) -> Result<(), LedgerError> {
        self.bind(None, store).await
    }

    /// Binds the ledger to another store in place of the one it knows, which must be `old`.
    ///
    /// What is recorded stays: copies that the new store lacks are noticed before anything is released on their account.
    pub async fn rebind_store(&self, old: &StoreId, new: &StoreId) -> Result<(), LedgerError> {
        self.bind(Some(old), new).await
    }

    /// Refuses another store than the one that is remembered. Binds the ledger to nothing.
    pub async fn expect_store(&self, store: &StoreId) -> Result<(), LedgerError> {
        match self.store().await? {
            Some(remembered) if remembered != *store => Err(self.other_store(remembered, store)),
            Some(_) | None => Ok(()),
        }
    }

    async fn bind(&self, in_place_of: Option<&StoreId>, store: &StoreId) -> Result<(), LedgerError> {
        let (old, new) = (in_place_of.cloned(), store.clone());
        let refusal = self
            .writer
            .ask(move |ledger| bind(ledger, old.as_ref(), &new))
            .await?;
        match refusal {
            None => Ok(()),
            Some(remembered) => Err(self.other_store(remembered, in_place_of.unwrap_or(store))),
        }
    }

    fn other_store(&self, remembered: StoreId, found: &StoreId) -> LedgerError {
        LedgerError::OtherStore {
            path: self.path.clone(),
            remembered,
            found: found.clone(),
        }
    }

    fn reader(&self) -> &Worker {
        self.reader.as_ref().unwrap_or(&self.writer)
    }
}

/// Binds, or gives back the store that is remembered instead.
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

    async fn begin_pass(&self, device: &DeviceName, at: Timestamp) -> Result<RowId, LedgerError> {
        let device = device.clone();
        self.writer
            .ask(move |ledger| passes::begin(ledger, &device, at))
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
            .ask(move |ledger| records::known_files(ledger, &device, &source, &paths))
            .await
    }

    async fn record_sightings(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        others: Unseen,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        let others = (others, MAX_SIGHTINGS);
        self.writer
            .ask(move |ledger| sightings::note(ledger, &device, &source, &sightings, others, at))
            .await
    }

    async fn last_clock(&self, device: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        let device = device.clone();
        self.reader()
            .ask(move |ledger| passes::last_clock(ledger, &device))
            .await
    }

    async fn last_compression(&self, device: &DeviceName) -> Result<Option<CompressionFinding>, LedgerError> {
        let device = device.clone();
        self.reader()
            .ask(move |ledger| passes::last_compression(ledger, &device))
            .await
    }

    async fn last_hang_up_on_command(&self, device: &DeviceName) -> Result<Option<Timestamp>, LedgerError> {
        let device = device.clone();
        self.reader()
            .ask(move |ledger| passes::last_hang_up_on_command(ledger, &device))
            .await
    }

    async fn claims(&self) -> Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError> {
        self.reader().ask(claims::all).await
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<RowId>, LedgerError> {
        self.writer
            .ask(move |ledger| records::record(ledger, &records))
            .await
    }

    async fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<WithdrawnRow>, LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.reader()
            .ask(move |ledger| records::withdrawn(ledger, &device, &source))
            .await
    }

    async fn set_states(
        &self,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.writer
            .ask(move |ledger| records::set_states(ledger, &rows, at))
            .await
    }

    async fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<(RelativePath, Suspicion)>, LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.reader()
            .ask(move |ledger| suspects::all(ledger, &device, &source))
            .await
    }

    async fn record_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.writer
            .ask(move |ledger| suspects::note(ledger, &device, &source, &paths, MAX_SUSPECTS))
            .await
    }

    async fn clear_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let (device, source) = (device.clone(), source.clone());
        self.writer
            .ask(move |ledger| suspects::forget(ledger, &device, &source, &paths))
            .await
    }

    async fn finish_pass(&self, end: PassEnd) -> Result<(), LedgerError> {
        self.writer.ask(move |ledger| passes::finish(ledger, &end)).await
    }
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteLedger")
            .field("id", &self.id)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
