//! A model of the ledger. It keeps the promise of `SQLite` with `synchronous = FULL`: a transaction is
//! durable or absent.

mod content;
mod history;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::{
    Claim, ClockReading, CompressionFinding, KnownFile, Ledger, LedgerError, MAX_SIGHTINGS, MAX_SUSPECTS,
    PassEnd, PassLease, Record, RowId, Sighting, Suspicion, Unseen, WithdrawnRow,
};
use model::{DeviceName, FileState, LeaveReason, LedgerId, RelativePath, SourcePath, Timestamp};
use tokio::time::Instant;

use super::power::Power;
pub use content::{LedgerContent, LedgerPass, LedgerRow};

/// The ledger of a simulated collector. Clones share the same ledger.
#[derive(Debug, Clone)]
pub struct ModelLedger {
    id: LedgerId,
    power: Power,
    content: Arc<Mutex<LedgerContent>>,
    fails: Arc<Mutex<bool>>,
    slowness: Arc<Mutex<Duration>>,
}

impl ModelLedger {
    /// An empty ledger.
    pub fn new(id: LedgerId) -> Self {
        Self {
            id,
            power: Power::default(),
            content: Arc::default(),
            fails: Arc::default(),
            slowness: Arc::default(),
        }
    }

    /// The same ledger for the next process of its collector.
    #[must_use]
    pub fn next_process(&self, power: Power) -> Self {
        Self {
            power,
            ..self.clone()
        }
    }

    /// Makes every transaction fail without a change, as on a full disk; or makes them work again.
    pub fn set_failing(&self, fails: bool) {
        *self.fails.lock() = fails;
    }

    /// Delays every reply about known files by this time.
    pub fn slow_down(&self, to: Duration) {
        *self.slowness.lock() = to;
    }

    /// A copy of the content.
    pub fn content(&self) -> LedgerContent {
        self.lock().clone()
    }

    /// Replaces the content by an earlier or an empty one.
    pub fn restore(&self, content: LedgerContent) {
        *self.lock() = content;
    }

    /// Begins a pass as another process does: the present lease of the device is stale from then on.
    pub fn take_over(&self, device: &DeviceName, at: Timestamp) -> PassLease {
        self.lock().begin_pass(device, at)
    }

    /// When the ledger recorded the file with this current path on a device as stored, in true time.
    pub(super) fn recorded_at(&self, device: &str, current_path: &RelativePath) -> Option<Instant> {
        let place = engine::withdrawn::parse(current_path)?;
        let is_it = |row: &&LedgerRow| {
            let batch = row.record.withdrawn.as_ref();
            row.record.path == place.original
                && batch.map(|batch| batch.as_str().as_bytes()) == Some(place.batch.as_slice())
                && row.device.as_str() == device
        };
        let content = self.lock();
        content.rows.iter().rev().find(is_it).map(|row| row.written_at)
    }

    fn lock(&self) -> MutexGuard<'_, LedgerContent> {
        self.content.lock()
    }

    /// Commits a change by the pass of a lease. A stale lease changes nothing.
    async fn write<T>(
        &self,
        lease: &PassLease,
        operation: &'static str,
        change: impl FnOnce(&mut LedgerContent) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.commit(operation, |content| {
            content.held(lease)?;
            change(content)
        })
        .await?
    }

    /// Commits one transaction. If the power is cut meanwhile, the caller waits indefinitely.
    async fn commit<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut LedgerContent) -> T,
    ) -> Result<T, LedgerError> {
        if *self.fails.lock() {
            return Err(LedgerError::Failed {
                location: "ledger".to_owned(),
                operation,
                reason: "database or disk is full".to_owned(),
            });
        }
        let committed = self
            .power
            .effect(|| format!("ledger: {operation}"), || Ok(change(&mut self.lock())));
        match committed {
            Ok(result) => Ok(result),
            Err(_) if self.power.is_off() => std::future::pending().await,
            Err(errno) => Err(LedgerError::Failed {
                location: "ledger".to_owned(),
                operation,
                reason: errno.to_string(),
            }),
        }
    }
}

impl Ledger for ModelLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    async fn begin_pass(&self, device: &DeviceName, at: Timestamp) -> Result<PassLease, LedgerError> {
        self.commit("begin a pass", |content| content.begin_pass(device, at))
            .await
    }

    async fn known_files(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<KnownFile>>, LedgerError> {
        let slowness = *self.slowness.lock();
        if !slowness.is_zero() {
            tokio::time::sleep(slowness).await;
        }
        let content = self.lock();
        let newest = |path: &RelativePath| {
            let is_it = |row: &LedgerRow| {
                row.record.path == *path && row.device == *device && row.record.source == *source
            };
            let (number, row) = content.numbered().rev().find(|(_, row)| is_it(row))?;
            Some(KnownFile {
                row: number,
                identity: row.record.identity,
                digest: row.record.digest,
                store_name: row.record.store_name.clone(),
                state: row.state,
            })
        };
        Ok(paths.iter().map(newest).collect())
    }

    async fn record_sightings(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        others: Unseen,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        self.write(lease, "note sightings", |content| {
            let key = (lease.device().clone(), source.clone());
            let before = content.sightings.remove(&key).unwrap_or_default();
            let since = |sighting: &Sighting| match before.get(&sighting.path) {
                // If the clock was set back, the sighting starts anew: no sighting may be in the future.
                Some((identity, since)) if *identity == sighting.identity => (*since).min(at),
                _ => at,
            };
            let answers: Vec<Timestamp> = sightings.iter().map(since).collect();
            let now = sightings.into_iter().zip(&answers);
            let now = now.map(|(sighting, since)| (sighting.path, (sighting.identity, *since)));
            let mut after = match others {
                Unseen::Retain if before.len() + answers.len() <= MAX_SIGHTINGS => before,
                Unseen::Retain | Unseen::Forget => BTreeMap::new(),
            };
            after.extend(now);
            content.sightings.insert(key, after);
            Ok(answers)
        })
        .await
    }

    async fn last_clock(&self, device: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        let content = self.lock();
        Ok(content
            .devices
            .get(device)
            .and_then(|status| status.clock.clone()))
    }

    async fn last_compression(&self, device: &DeviceName) -> Result<Option<CompressionFinding>, LedgerError> {
        let content = self.lock();
        Ok(content.devices.get(device).and_then(|status| status.compression))
    }

    async fn last_hang_up_on_command(&self, device: &DeviceName) -> Result<Option<Timestamp>, LedgerError> {
        let content = self.lock();
        Ok(content.devices.get(device).and_then(|status| status.hang_up))
    }

    async fn claims(&self) -> Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError> {
        let content = self.lock();
        let rows = content.devices.iter().flat_map(|(device, status)| {
            let claims = status.claims.iter().cloned();
            claims.map(|(source, claim)| (device.clone(), source, claim))
        });
        Ok(rows.collect())
    }

    async fn record(&self, lease: &PassLease, records: Vec<Record>) -> Result<Vec<RowId>, LedgerError> {
        self.write(lease, "record", |content| {
            let add = |record| content.add_record(lease.device(), record);
            Ok(records.into_iter().map(add).collect())
        })
        .await
    }

    async fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<WithdrawnRow>, LedgerError> {
        let content = self.lock();
        let withdrawn = content.numbered().filter_map(|(number, row)| {
            let is_its = row.device == *device && row.record.source == *source;
            let withdrawn = row.record.withdrawn.clone()?;
            (is_its && row.state == FileState::Stored).then(|| WithdrawnRow {
                row: number,
                path: row.record.path.clone(),
                withdrawn,
            })
        });
        Ok(withdrawn.collect())
    }

    async fn set_states(
        &self,
        lease: &PassLease,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(lease, "settle", |content| {
            let device = lease.device();
            if !content.has_rows(device, rows.iter().map(|(row, ..)| *row)) {
                return Err(LedgerError::Failed {
                    location: "ledger".to_owned(),
                    operation: "settle",
                    reason: "a row is of another device, or of none".to_owned(),
                });
            }
            for (row, state, reason) in rows {
                content.set_state(device, row, state, reason, at);
            }
            Ok(())
        })
        .await
    }

    async fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<(RelativePath, Suspicion)>, LedgerError> {
        let key = (device.clone(), source.clone());
        Ok(self.lock().suspects.get(&key).cloned().unwrap_or_default())
    }

    async fn record_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        self.write(lease, "note suspects", |content| {
            let device = lease.device();
            for path in paths {
                content.suspicions += 1;
                let noted = content.suspicions;
                let suspects = content.suspects_of(device, source);
                let before = suspects.iter().find(|(suspect, _)| *suspect == path);
                let times = 1 + before.map_or(0, |(_, suspicion)| suspicion.times);
                suspects.retain(|(suspect, _)| *suspect != path);
                suspects.push((path, Suspicion { noted, times }));
            }
            let suspects = content.suspects_of(device, source);
            suspects.drain(..suspects.len().saturating_sub(MAX_SUSPECTS));
            Ok(())
        })
        .await
    }

    async fn clear_suspects(
        &self,
        lease: &PassLease,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        self.write(lease, "forget suspects", |content| {
            content
                .suspects_of(lease.device(), source)
                .retain(|(suspect, _)| !paths.contains(suspect));
            Ok(())
        })
        .await
    }

    async fn finish_pass(&self, lease: &PassLease, end: PassEnd) -> Result<(), LedgerError> {
        self.write(lease, "finish a pass", |content| {
            content.finish_pass(lease, end);
            Ok(())
        })
        .await
    }
}
