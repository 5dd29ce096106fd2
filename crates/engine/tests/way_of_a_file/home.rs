//! A store, a ledger and a clock in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use engine::event::{Event, Reporter};
use engine::ports::store::RANGE_LENGTH;
use engine::ports::{
    Chunk, Clock, ClockReading, CompressionFinding, Condition, Ledger, LedgerError, Others, PassEnd, Placed,
    Publication, PublishFault, Record, Remembered, Reproof, RowId, SealedFile, Sighting, StagingKey, Store,
    StoreError, Suspicion, WithdrawnRow,
};
use model::{
    DeviceName, Digest, FileState, LeaveReason, LedgerId, RangeDigest, RelativePath, SourcePath, StoreId,
    Timestamp,
};
use sha2::{Digest as _, Sha256};

use crate::device::NOW;
use crate::vast::{VAST, digest_of_zeros};

#[derive(Clone, Default)]
pub(crate) struct FakeStore {
    pub(crate) published: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) sealed: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) full: Arc<Mutex<bool>>,
    pub(crate) room: Arc<Mutex<Option<u64>>>,
    /// The next question about room is answered once something is published; else after a while.
    pub(crate) tells_room_late: Arc<Mutex<bool>>,
    pub(crate) was_published_when_room_was_told: Arc<Mutex<bool>>,
    /// Under which keys files were staged, and whether to be gone on with.
    pub(crate) keys: Arc<Mutex<Vec<(StagingKey, bool)>>>,
    /// What is there already of every file that may be gone on with.
    pub(crate) partial: Arc<Mutex<Vec<u8>>>,
    /// What publishing answers.
    pub(crate) publish_fault: Arc<Mutex<Option<PublishFault>>>,
    pub(crate) appends: Arc<Mutex<usize>>,
    /// What other collectors have left in staging.
    pub(crate) foreign_leftovers: Arc<Mutex<u64>>,
    /// With how many chunks each file was sealed.
    pub(crate) sealed_with: Arc<Mutex<Vec<usize>>>,
}

/// A file that is being received. Of a vast one only the length is kept.
#[derive(Debug)]
pub(crate) struct Staged {
    token: String,
    bytes: Vec<u8>,
    length: u64,
    is_vast: bool,
    in_ranges: bool,
}

impl Staged {
    fn ranges(&self) -> Vec<RangeDigest> {
        if !self.in_ranges {
            return Vec::new();
        }
        let range = |number| {
            let offset = number * RANGE_LENGTH;
            let length = RANGE_LENGTH.min(self.length - offset);
            let digest = digest_of_zeros(offset, length);
            RangeDigest {
                offset,
                length,
                digest,
            }
        };
        (0..self.length.div_ceil(RANGE_LENGTH)).map(range).collect()
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn received(mut staged: Staged, chunks: Vec<Chunk>) -> Staged {
    for chunk in chunks {
        staged.length += u64::try_from(chunk.bytes.len()).unwrap();
        if !staged.is_vast {
            staged.bytes.extend_from_slice(&chunk.bytes);
        }
    }
    staged
}

impl Store for FakeStore {
    type Staged = Staged;

    async fn condition(&self) -> Result<Condition, StoreError> {
        if std::mem::take(&mut *self.tells_room_late.lock().unwrap()) {
            for _ in 0..10_000 {
                if !self.published.lock().unwrap().is_empty() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            *self.was_published_when_room_was_told.lock().unwrap() =
                !self.published.lock().unwrap().is_empty();
        }
        Ok(Condition {
            id: StoreId::new("store").unwrap(),
            room: self.room.lock().unwrap().unwrap_or(u64::MAX),
        })
    }

    async fn tidy_staging(&self, _: Timestamp) -> Result<u64, StoreError> {
        self.sealed.lock().unwrap().clear();
        Ok(*self.foreign_leftovers.lock().unwrap())
    }

    async fn stage(&self, key: &StagingKey, resume: bool) -> Result<(Staged, u64), StoreError> {
        self.keys.lock().unwrap().push((key.clone(), resume));
        let there = self.partial.lock().unwrap().clone();
        let bytes = if resume { there } else { Vec::new() };
        let length = u64::try_from(bytes.len()).unwrap();
        let staged = Staged {
            token: key.digest.to_hex(),
            bytes,
            length,
            is_vast: key.expected_size >= VAST,
            in_ranges: key.range_digests,
        };
        Ok((staged, length))
    }

    async fn append(&self, staged: Staged, chunks: Vec<Chunk>) -> Result<Staged, StoreError> {
        *self.appends.lock().unwrap() += 1;
        Ok(received(staged, chunks))
    }

    async fn seal(&self, staged: Staged, last: Vec<Chunk>, _: Timestamp) -> Result<SealedFile, StoreError> {
        if *self.full.lock().unwrap() {
            return Err(StoreError::Full {
                path: "store".into(),
                detail: "no space".into(),
            });
        }
        self.sealed_with.lock().unwrap().push(last.len());
        let staged = received(staged, last);
        let (size, ranges) = (staged.length, staged.ranges());
        let (token, bytes) = (staged.token, staged.bytes);
        let digest = match staged.is_vast {
            true => digest_of_zeros(0, size),
            false => digest(&bytes),
        };
        self.sealed.lock().unwrap().insert(token.clone(), bytes);
        Ok(SealedFile {
            token,
            size,
            digest,
            ranges,
        })
    }

    async fn discard(&self, _: Staged) {}

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
            if let Some(fault) = &*self.publish_fault.lock().unwrap() {
                return Err(fault.clone());
            }
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
    /// How long it takes to remember anything.
    pub(crate) is_slow: Arc<Mutex<std::time::Duration>>,
    /// How much time passes between connecting and the first survey.
    pub(crate) waits_before_survey: Arc<Mutex<std::time::Duration>>,
    /// Since when all files whose clock cannot be trusted have been seen.
    pub(crate) sighted_since: Arc<Mutex<Option<Timestamp>>>,
    /// What was to become of the sightings of files that were not seen again.
    pub(crate) others: Arc<Mutex<Vec<Others>>>,
    /// What it says was found out about compression.
    pub(crate) compression: Arc<Mutex<Option<CompressionFinding>>>,
    pub(crate) suspects: Arc<Mutex<Vec<(SourcePath, RelativePath, Suspicion)>>>,
}

impl Default for FakeLedger {
    fn default() -> Self {
        Self {
            id: LedgerId::new("ours").unwrap(),
            rows: Arc::default(),
            ends: Arc::default(),
            is_slow: Arc::default(),
            waits_before_survey: Arc::default(),
            sighted_since: Arc::default(),
            others: Arc::default(),
            compression: Arc::default(),
            suspects: Arc::default(),
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
        let pause = *self.is_slow.lock().unwrap();
        tokio::time::sleep(pause).await;
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
        others: Others,
        at: Timestamp,
    ) -> Result<Vec<Timestamp>, LedgerError> {
        self.others.lock().unwrap().push(others);
        let since = *self.sighted_since.lock().unwrap().get_or_insert(at);
        Ok(vec![since; sightings.len()])
    }

    async fn last_clock(&self, _: &DeviceName) -> Result<Option<ClockReading>, LedgerError> {
        let pause = *self.waits_before_survey.lock().unwrap();
        tokio::time::sleep(pause).await;
        Ok(None)
    }

    async fn last_compression(&self, _: &DeviceName) -> Result<Option<CompressionFinding>, LedgerError> {
        Ok(*self.compression.lock().unwrap())
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

    async fn suspects(
        &self,
        _: &DeviceName,
        source: &SourcePath,
    ) -> Result<Vec<(RelativePath, Suspicion)>, LedgerError> {
        let suspects = self.suspects.lock().unwrap();
        let of_source = suspects.iter().filter(|(of, ..)| of == source);
        Ok(of_source
            .map(|(_, path, suspicion)| (path.clone(), *suspicion))
            .collect())
    }

    async fn suspect(
        &self,
        _: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let mut suspects = self.suspects.lock().unwrap();
        for path in paths {
            let noted = suspects.last().map_or(0, |(_, _, last)| last.noted + 1);
            let is_it =
                |suspect: &(SourcePath, RelativePath, Suspicion)| suspect.0 == *source && suspect.1 == path;
            let before = suspects.iter().find(|suspect| is_it(suspect));
            let times = 1 + before.map_or(0, |(_, _, before)| before.times);
            suspects.retain(|suspect| !is_it(suspect));
            suspects.push((source.clone(), path, Suspicion { noted, times }));
        }
        Ok(())
    }

    async fn acquit(
        &self,
        _: &DeviceName,
        source: &SourcePath,
        paths: Vec<RelativePath>,
    ) -> Result<(), LedgerError> {
        let mut suspects = self.suspects.lock().unwrap();
        suspects.retain(|(of, path, _)| of != source || !paths.contains(path));
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

    fn steady(&self) -> Timestamp {
        static BEGAN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        let now = tokio::time::Instant::now().into_std();
        Timestamp::from_seconds(1000).plus(now.saturating_duration_since(*BEGAN))
    }
}

#[derive(Clone, Default)]
pub(crate) struct FakeReporter(pub(crate) Arc<Mutex<Vec<Event>>>);

impl Reporter for FakeReporter {
    fn report(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
