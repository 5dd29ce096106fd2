//! A store, a ledger and a clock in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use engine::event::{Event, Reporter};
use engine::ports::{
    Chunk, Clock, ClockReading, Condition, Ledger, LedgerError, PassEnd, Placed, Publication, PublishFault,
    Record, Remembered, Reproof, RowId, SealedFile, Sighting, StagingKey, Store, StoreError, WithdrawnRow,
};
use model::{
    DeviceName, Digest, FileState, LeaveReason, LedgerId, RelativePath, SourcePath, StoreId, Timestamp,
};
use sha2::{Digest as _, Sha256};

use crate::device::NOW;

#[derive(Clone, Default)]
pub(crate) struct FakeStore {
    pub(crate) published: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) sealed: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) full: Arc<Mutex<bool>>,
    pub(crate) room: Arc<Mutex<Option<u64>>>,
    /// Under which keys files were staged, and whether to be gone on with.
    pub(crate) keys: Arc<Mutex<Vec<(StagingKey, bool)>>>,
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

impl Store for FakeStore {
    type Staged = (String, Vec<u8>);

    async fn condition(&self) -> Result<Condition, StoreError> {
        Ok(Condition {
            id: StoreId::new("store").unwrap(),
            room: self.room.lock().unwrap().unwrap_or(u64::MAX),
        })
    }

    async fn tidy_staging(&self, _: Timestamp) -> Result<u64, StoreError> {
        self.sealed.lock().unwrap().clear();
        Ok(0)
    }

    async fn stage(&self, key: &StagingKey, resume: bool) -> Result<((String, Vec<u8>), u64), StoreError> {
        self.keys.lock().unwrap().push((key.clone(), resume));
        Ok(((key.digest.to_hex(), Vec::new()), 0))
    }

    async fn append(
        &self,
        mut staged: (String, Vec<u8>),
        chunks: Vec<Chunk>,
    ) -> Result<(String, Vec<u8>), StoreError> {
        for chunk in chunks {
            staged.1.extend_from_slice(&chunk.bytes);
        }
        Ok(staged)
    }

    async fn seal(
        &self,
        staged: (String, Vec<u8>),
        last: Vec<Chunk>,
        _: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        if *self.full.lock().unwrap() {
            return Err(StoreError::Full {
                path: "store".into(),
                detail: "no space".into(),
            });
        }
        let (token, bytes) = self.append(staged, last).await?;
        let size = u64::try_from(bytes.len()).unwrap();
        let digest = digest(&bytes);
        self.sealed.lock().unwrap().insert(token.clone(), bytes);
        Ok(SealedFile {
            token,
            size,
            digest,
            ranges: Vec::new(),
        })
    }

    async fn discard(&self, _: (String, Vec<u8>)) {}

    async fn retire(&self, sealed: Vec<SealedFile>) -> Result<(), StoreError> {
        for file in sealed {
            self.sealed.lock().unwrap().remove(&file.token);
        }
        Ok(())
    }

    async fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<Result<Placed, PublishFault>>, StoreError> {
        let publish = |publication: Publication| {
            let bytes = self.sealed.lock().unwrap()[&publication.token].clone();
            let mut published = self.published.lock().unwrap();
            match published.get(&publication.name.to_string()) {
                Some(there) if *there == bytes => Ok(Placed::Same),
                Some(_) => Err(PublishFault::Taken),
                None => {
                    published.insert(publication.name.to_string(), bytes);
                    Ok(Placed::New)
                }
            }
        };
        Ok(publications.into_iter().map(publish).collect())
    }

    async fn reprove(&self, name: &RelativePath, _: u64, expected: &Digest) -> Result<Reproof, StoreError> {
        Ok(match self.published.lock().unwrap().get(&name.to_string()) {
            None => Reproof::Missing,
            Some(bytes) if digest(bytes) == *expected => Reproof::Same,
            Some(_) => Reproof::Other,
        })
    }

    async fn quarantine(&self, _: &RelativePath) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) state: FileState,
}

#[derive(Clone)]
pub(crate) struct FakeLedger {
    id: LedgerId,
    pub(crate) rows: Arc<Mutex<Vec<Row>>>,
    pub(crate) ends: Arc<Mutex<Vec<PassEnd>>>,
}

impl Default for FakeLedger {
    fn default() -> Self {
        Self {
            id: LedgerId::new("ours").unwrap(),
            rows: Arc::default(),
            ends: Arc::default(),
        }
    }
}

impl Ledger for FakeLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    async fn begin_pass(&self, _: &DeviceName, _: Timestamp) -> Result<RowId, LedgerError> {
        Ok(RowId(i64::try_from(self.ends.lock().unwrap().len()).unwrap() + 1))
    }

    async fn remembered(
        &self,
        _: &DeviceName,
        _: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<Remembered>>, LedgerError> {
        let rows = self.rows.lock().unwrap();
        let newest = |path: &RelativePath| {
            let at = rows.iter().rposition(|row| row.record.path == *path)?;
            let Row { record, state } = &rows[at];
            Some(Remembered {
                row: RowId(i64::try_from(at).unwrap()),
                identity: record.identity,
                digest: record.digest,
                store_name: record.store_name.clone(),
                state: *state,
            })
        };
        Ok(paths.iter().map(newest).collect())
    }

    async fn sighted(
        &self,
        _: &DeviceName,
        _: &SourcePath,
        sightings: Vec<Sighting>,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        Ok(vec![at; sightings.len()])
    }

    async fn last_clock(&self, _: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        Ok(None)
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<RowId>, LedgerError> {
        let mut rows = self.rows.lock().unwrap();
        let add = |record| {
            rows.push(Row {
                record,
                state: FileState::Stored,
            });
            RowId(i64::try_from(rows.len()).unwrap() - 1)
        };
        Ok(records.into_iter().map(add).collect())
    }

    async fn withdrawn_rows(&self, _: &DeviceName, _: &SourcePath) -> Result<Vec<WithdrawnRow>, LedgerError> {
        let rows = self.rows.lock().unwrap();
        let stored = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.state == FileState::Stored);
        let withdrawn = stored.filter_map(|(at, Row { record, .. })| {
            let withdrawn = record.withdrawn.clone()?;
            Some(WithdrawnRow {
                row: RowId(i64::try_from(at).unwrap()),
                path: record.path.clone(),
                withdrawn,
            })
        });
        Ok(withdrawn.collect())
    }

    async fn settle(
        &self,
        settled: Vec<(RowId, FileState, Option<LeaveReason>)>,
        _: Timestamp,
    ) -> Result<(), LedgerError> {
        for (row, state, _) in settled {
            self.rows.lock().unwrap()[usize::try_from(row.0).unwrap()].state = state;
        }
        Ok(())
    }

    async fn finish_pass(&self, end: PassEnd) -> Result<(), LedgerError> {
        self.ends.lock().unwrap().push(end);
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub(crate) struct FakeClock;

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        // No two batches at the same instant, though the rest of the world stands still.
        static TICKS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
        let tick = TICKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_nanoseconds(NOW * 1_000_000_000 + tick)
    }
}

#[derive(Clone, Default)]
pub(crate) struct FakeReporter(pub(crate) Arc<Mutex<Vec<Event>>>);

impl Reporter for FakeReporter {
    fn report(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
