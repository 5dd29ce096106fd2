//! A world that answers at once with what the engine needs, at almost no cost, so that the count is the
//! engine's.
//!
//! The ledger is the simulator's. The simulator's devices and store are not used: they do real work, which
//! takes several times as long as the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::event::{Event, Reporter};
use engine::ports::store::RANGE_LENGTH;
use engine::ports::{
    Abilities, Chunk, ChunkSender, Clock, Condition, ConnectHints, Destination, DeviceFacts, DeviceFailure,
    Devices, DigestRequest, Entry, EntryKind, FileFault, InspectResult, Inspection, ListingEnd, Move,
    Openness, Placement, Publication, PublishFault, RenameResult, Reproof, Room, SealedFile, Session,
    SmallFileRequest, StagingKey, Store, StoreError, StoreProperties, StoreStatus, SurveyItem, SurveySender,
};
use engine::world::World;
use model::{DeviceName, Digest, Identity, LedgerId, RelativePath, SourcePath, StoreId, Timestamp};
use sim::simulator::ledger::ModelLedger;

use crate::path;
use crate::receiving::StoppedClock;

/// Bytes of each file.
const SIZE: usize = 20_000;
/// Items of a survey that are sent together.
const BATCH: usize = 256;
/// The digest of all files.
const DIGEST: Digest = Digest::from_bytes([0xab; 32]);

/// One device with `files` files, all settled, and a collector that accepts everything.
#[derive(Debug)]
pub(crate) struct Obliging {
    devices: Device,
    collector: Collector,
    ledger: ModelLedger,
}

impl Obliging {
    pub(crate) fn new(files: usize) -> Self {
        let counts = Arc::new(Counts::default());
        let facts = DeviceFacts {
            clock: Some(StoppedClock.now()),
            boot_id: Some("e540966f-acc0-4bcb-b41b-700e49852b8d".to_owned()),
            uptime: Some(Duration::from_hours(24)),
            disks: Vec::new(),
            folders: Vec::new(),
        };
        Self {
            devices: Device {
                files: (0..files).map(path).collect(),
                facts,
                content: Bytes::from(vec![7; SIZE]),
                counts: Arc::clone(&counts),
            },
            collector: Collector { counts },
            ledger: ModelLedger::new(LedgerId::new("0123456789abcdef0123456789abcdef").unwrap()),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.collector.counts
    }
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) planned: AtomicUsize,
    pub(crate) recorded: AtomicUsize,
    pub(crate) removed: AtomicUsize,
}

impl World for Obliging {
    type Devices = Device;
    type Store = Collector;
    type Ledger = ModelLedger;
    type Clock = StoppedClock;
    type Reporter = Collector;

    fn devices(&self) -> &Device {
        &self.devices
    }
    fn store(&self) -> &Collector {
        &self.collector
    }
    fn ledger(&self) -> &ModelLedger {
        &self.ledger
    }
    fn clock(&self) -> &StoppedClock {
        &StoppedClock
    }
    fn reporter(&self) -> &Collector {
        &self.collector
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    files: Arc<[RelativePath]>,
    facts: DeviceFacts,
    content: Bytes,
    counts: Arc<Counts>,
}

fn identity(number: usize) -> Identity {
    let touched = Timestamp::from_seconds(1_699_990_000);
    Identity {
        device_number: Some(2049),
        inode: Some(number as u64),
        size: SIZE as u64,
        modified: touched,
        changed: Some(touched),
    }
}

/// The number in the name of a file, in whichever folder it is.
fn number(path: &RelativePath) -> usize {
    let name = path.as_bytes();
    let digits = &name[name.len() - 10..name.len() - 4];
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

impl Devices for Device {
    type Session = Self;

    async fn connect(
        &self,
        _: &DeviceName,
        _: &[SourcePath],
        _: ConnectHints,
    ) -> Result<Self, DeviceFailure> {
        Ok(self.clone())
    }
}

impl Session for Device {
    fn abilities(&self) -> Abilities {
        Abilities {
            complete_identities: true,
            digests: true,
            tells_time: true,
            renames_atomically: true,
            reads_together: true,
            no_shell: None,
            is_read_only: false,
            one_view: true,
        }
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn has_early_listing(&self, _: &SourcePath) -> bool {
        false
    }

    async fn survey(&self, _: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        let removed = self.counts.removed.load(Ordering::Relaxed);
        let entry = |path: &RelativePath| {
            SurveyItem::Entry(Entry {
                path: path.clone(),
                kind: EntryKind::File,
                identity: identity(number(path)),
                openness: Openness::Closed,
            })
        };
        for files in self.files[removed..].chunks(BATCH) {
            items.send(files.iter().map(entry).collect()).await.unwrap();
        }
        Ok(ListingEnd::Whole)
    }

    async fn rename(&self, source: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        let targets: Vec<RelativePath> = moves.iter().map(|step| step.to.clone()).collect();
        let looks = self.inspect(source, &targets).await?;
        Ok(looks.into_iter().map(Ok).collect())
    }

    async fn inspect(
        &self,
        _: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let seen = |path| Inspection {
            identity: identity(number(path)),
            openness: Openness::Closed,
        };
        Ok(paths.iter().map(|path| Ok(seen(path))).collect())
    }

    async fn fetch(
        &self,
        _: &SourcePath,
        _: &RelativePath,
        _: u64,
        _: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        chunks.send(Chunk::from(self.content.clone())).unwrap();
        Ok(Ok(SIZE as u64))
    }

    async fn fetch_together(
        &self,
        _: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        for file in files {
            file.chunks.send(Chunk::from(self.content.clone())).unwrap();
            file.outcome.send(Ok(SIZE as u64)).unwrap();
        }
        Ok(())
    }

    async fn digest(
        &self,
        _: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        Ok(vec![Some(DIGEST); requests.len()])
    }

    async fn remove(
        &self,
        _: &SourcePath,
        files: &[RelativePath],
        _: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        self.counts.removed.fetch_add(files.len(), Ordering::Relaxed);
        Ok(vec![Ok(()); files.len()])
    }

    fn compression_paid(&self) -> Option<bool> {
        None
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}

/// Store and reporter.
#[derive(Debug)]
pub(crate) struct Collector {
    counts: Arc<Counts>,
}

impl StoreStatus for Collector {
    fn properties(&self) -> StoreProperties {
        StoreProperties {
            range_length: RANGE_LENGTH,
            max_component: 255,
        }
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        Ok(Condition {
            id: StoreId::new("store").unwrap(),
            room: Some(u64::MAX),
        })
    }
}

impl Store for Collector {
    type Staged = usize;

    async fn tidy_staging(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn foresee(&self, wanted: Vec<Destination>) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        Ok(vec![Ok(Room::OfStore); wanted.len()])
    }

    async fn stage(&self, _: &StagingKey, _: bool) -> Result<(usize, u64), StoreError> {
        Ok((0, 0))
    }

    async fn append(&self, staged: usize, chunks: Vec<Chunk>) -> Result<usize, StoreError> {
        Ok(staged + chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>())
    }

    async fn seal(&self, staged: usize, last: Vec<Chunk>, _: Timestamp) -> Result<SealedFile, StoreError> {
        Ok(SealedFile {
            token: String::new(),
            size: self.append(staged, last).await? as u64,
            digest: DIGEST,
            modified: Timestamp::EPOCH,
            ranges: Vec::new(),
        })
    }

    async fn discard(&self, _: usize) {}

    async fn retire(&self, _: Vec<SealedFile>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn publish(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<Result<Placement, PublishFault>>, StoreError> {
        Ok(vec![Ok(Placement::New); publications.len()])
    }

    async fn reprove(&self, _: &RelativePath, _: u64, _: &Digest) -> Result<Reproof, StoreError> {
        Ok(Reproof::Same)
    }
}

impl Reporter for Collector {
    fn report(&self, _: Timestamp, event: &Event) {
        match event {
            Event::Planned { .. } => self.counts.planned.fetch_add(1, Ordering::Relaxed),
            Event::Stored { .. } => self.counts.recorded.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}
