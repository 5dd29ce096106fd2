//! A model of the ledger. It keeps the promise of `SQLite` with `synchronous = FULL`: a transaction is
//! durable or absent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::{
    Claim, ClockReading, CompressionFinding, KnownFile, Ledger, LedgerError, MAX_SIGHTINGS, MAX_SUSPECTS,
    PassEnd, Record, RowId, Sighting, Suspicion, Unseen, WithdrawnRow,
};
use model::{DeviceName, FileState, Identity, LeaveReason, LedgerId, RelativePath, SourcePath, Timestamp};
use tokio::time::Instant;

use super::power::Power;

/// The content of a ledger.
#[derive(Debug, Clone, Default)]
pub struct LedgerContent {
    /// Every row; the index is the row's number.
    pub rows: Vec<(Record, FileState)>,
    /// When each row was written, in true time. No clock jump affects it.
    pub(super) written_at: Vec<Instant>,
    /// How passes ended.
    pub ends: Vec<PassEnd>,
    passes: i64,
    clocks: BTreeMap<String, ClockReading>,
    compressions: BTreeMap<String, CompressionFinding>,
    hang_ups: BTreeMap<String, Timestamp>,
    claims: BTreeMap<String, Vec<(SourcePath, Claim)>>,
    sightings: BTreeMap<(String, SourcePath), BTreeMap<RelativePath, (Identity, Timestamp)>>,
    suspects: BTreeMap<(String, SourcePath), Vec<(RelativePath, Suspicion)>>,
    suspicions: i64,
}

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

    /// When the ledger recorded the file with this current path on a device as stored, in true time.
    pub(super) fn recorded_at(&self, device: &str, current_path: &RelativePath) -> Option<Instant> {
        let place = engine::withdrawn::parse(current_path)?;
        let is_it = |record: &Record| {
            let batch = record.withdrawn.as_ref().map(|pass| pass.as_str().as_bytes());
            record.path == place.original
                && batch == Some(place.batch.as_slice())
                && record.device.as_str() == device
        };
        let content = self.lock();
        let mut rows = content.rows.iter().zip(&content.written_at).rev();
        rows.find(|((record, _), _)| is_it(record)).map(|(_, at)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, LedgerContent> {
        self.content.lock()
    }

    /// Commits one transaction. If the power is cut meanwhile, the caller waits indefinitely.
    async fn commit<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut LedgerContent) -> T,
    ) -> Result<T, LedgerError> {
        if *self.fails.lock() {
            return Err(LedgerError::Failed {
                path: "ledger".to_owned(),
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
                path: "ledger".to_owned(),
                operation,
                reason: errno.to_string(),
            }),
        }
    }
}

fn row_id(at: usize) -> RowId {
    RowId(i64::try_from(at).unwrap_or(i64::MAX))
}

impl LedgerContent {
    fn suspects_of(
        &mut self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> &mut Vec<(RelativePath, Suspicion)> {
        let key = (device.as_str().to_owned(), source.clone());
        self.suspects.entry(key).or_default()
    }

    fn numbered(&self) -> impl DoubleEndedIterator<Item = (RowId, &(Record, FileState))> {
        self.rows.iter().enumerate().map(|(at, row)| (row_id(at), row))
    }
}

impl Ledger for ModelLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    async fn begin_pass(&self, _: &DeviceName, _: Timestamp) -> Result<RowId, LedgerError> {
        self.commit("begin a pass", |content| {
            content.passes += 1;
            RowId(content.passes)
        })
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
            let is_it = |record: &Record| {
                record.path == *path && record.device == *device && record.source == *source
            };
            let (row, (record, state)) = content.numbered().rev().find(|(_, (record, _))| is_it(record))?;
            Some(KnownFile {
                row,
                identity: record.identity,
                digest: record.digest,
                store_name: record.store_name.clone(),
                state: *state,
            })
        };
        Ok(paths.iter().map(newest).collect())
    }

    async fn record_sightings(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        sightings: Vec<Sighting>,
        others: Unseen,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        self.commit("note sightings", |content| {
            let key = (device.as_str().to_owned(), source.clone());
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
            answers
        })
        .await
    }

    async fn last_clock(&self, device: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        Ok(self.lock().clocks.get(device.as_str()).cloned())
    }

    async fn last_compression(&self, device: &DeviceName) -> Result<Option<CompressionFinding>, LedgerError> {
        Ok(self.lock().compressions.get(device.as_str()).copied())
    }

    async fn last_hang_up_on_command(&self, device: &DeviceName) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.lock().hang_ups.get(device.as_str()).copied())
    }

    async fn claims(&self) -> Result<Vec<(DeviceName, SourcePath, Claim)>, LedgerError> {
        let claims = self.lock().claims.clone().into_iter();
        let rows = claims.flat_map(|(device, claims)| {
            let device = DeviceName::new(device).ok();
            let row = move |(source, claim)| Some((device.clone()?, source, claim));
            claims.into_iter().filter_map(row)
        });
        Ok(rows.collect())
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<RowId>, LedgerError> {
        self.commit("record", |content| {
            let add = |record| {
                content.rows.push((record, FileState::Stored));
                content.written_at.push(Instant::now());
                row_id(content.rows.len() - 1)
            };
            records.into_iter().map(add).collect()
        })
        .await
    }

    async fn withdrawn_rows(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<WithdrawnRow>, LedgerError> {
        let content = self.lock();
        let withdrawn = content.numbered().filter_map(|(row, (record, state))| {
            let is_its = record.device == *device && record.source == *source;
            let withdrawn = record.withdrawn.clone()?;
            (is_its && *state == FileState::Stored).then(|| WithdrawnRow {
                row,
                path: record.path.clone(),
                withdrawn,
            })
        });
        Ok(withdrawn.collect())
    }

    async fn set_states(
        &self,
        rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
        _: Timestamp,
    ) -> Result<(), LedgerError> {
        self.commit("settle", |content| {
            for (row, state, _) in rows {
                let at = usize::try_from(row.0).unwrap_or(usize::MAX);
                if let Some((_, current)) = content.rows.get_mut(at) {
                    *current = state;
                }
            }
        })
        .await
    }

    async fn suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<(RelativePath, Suspicion)>, LedgerError> {
        let key = (device.as_str().to_owned(), source.clone());
        Ok(self.lock().suspects.get(&key).cloned().unwrap_or_default())
    }

    async fn record_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        self.commit("note suspects", |content| {
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
        })
        .await
    }

    async fn clear_suspects(
        &self,
        device: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        self.commit("forget suspects", |content| {
            content
                .suspects_of(device, source)
                .retain(|(suspect, _)| !paths.contains(suspect));
        })
        .await
    }

    async fn finish_pass(&self, end: PassEnd) -> Result<(), LedgerError> {
        self.commit("finish a pass", |content| {
            if let Some(clock) = end.report.as_ref().and_then(|report| report.clock.clone()) {
                content.clocks.insert(end.device.as_str().to_owned(), clock);
            }
            match end.report.as_ref().map(|report| report.hung_up_on_command) {
                Some(Some(at)) => {
                    content.hang_ups.insert(end.device.as_str().to_owned(), at);
                }
                Some(None) => {
                    content.hang_ups.remove(end.device.as_str());
                }
                None => {}
            }
            if let Some(found) = end.report.as_ref().and_then(|report| report.compression) {
                content.compressions.insert(end.device.as_str().to_owned(), found);
            }
            if let Some(report) = &end.report {
                let device = end.device.as_str().to_owned();
                content.claims.insert(device, report.claims.clone());
            }
            content.ends.push(end);
        })
        .await
    }
}
