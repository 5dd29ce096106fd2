//! Fetch: bytes come over the wire into staging, many files at once, and are sealed as they are complete.
//!
//! What limits the reading is the session's byte budget alone: each chunk carries a credit that returns once it is written. A
//! crash leaves partial and sealed files in staging; both are invisible, and the next pass fetches again (or goes on with a large one).

mod short;
mod turn;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use model::{Digest, RelativePath};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::event::Event;
use crate::ports::device::{SMALL_FILE_MAX, SmallFileRequest};
use crate::ports::store::RANGE_LENGTH;
use crate::ports::{
    Chunk, DigestRequest, FileFault, FileFaultKind, SealedFile, Session, StagingKey, Store, StoreError,
};
use crate::recourse::{PassError, concerns_source_only};
use crate::stages::foresee::{left_for, store_name};
use crate::stages::withdraw::Withdrawn;
use crate::suspects::{self, Fetching};
use crate::tally::reason_of;
use crate::visit::SourceVisit;
use crate::world::World;
use turn::{Share, Turn};

/// A file that came whole, is sealed in staging, and what the device says its digest is.
#[derive(Debug)]
pub(crate) struct Fetched {
    withdrawn: Withdrawn,
    sealed: SealedFile,
    /// What the device digested, range by range; empty where it cannot.
    device_digests: Vec<Option<Digest>>,
}

impl Fetched {
    pub(crate) fn withdrawn(&self) -> &Withdrawn {
        &self.withdrawn
    }

    pub(crate) fn sealed(&self) -> &SealedFile {
        &self.sealed
    }

    pub(crate) fn device_digests(&self) -> &[Option<Digest>] {
        &self.device_digests
    }

    pub(crate) fn into_parts(self) -> (Withdrawn, SealedFile) {
        (self.withdrawn, self.sealed)
    }
}

/// How many files are read at the same time. With opens, reads and closes each costing a round trip, 128 files of 20 KB fill a
/// link of 100 Mbit/s at 200 ms; OpenSSH's server admits far more open handles.
const FILES_AT_ONCE: usize = 128;

/// How many bytes of files are fetched at the same time: twice what may be asked for and not yet written. Were it all files of a batch, they
/// would come to their ends together, and the disk would wait for the wire and then the wire for the disk.
const BYTES_AT_ONCE: u32 = 16 << 20;

/// What a file counts at least: each open and close is work too.
const MIN_BYTES: u32 = 16 << 10;

/// A file of up to so many ranges (1 GiB) is digested by the device in one go, a larger one range by range. A range goes through a pipe, which
/// costs the device more than twice the time; but a device that digests at 20 MB/s would keep silent for longer than `stall_timeout` over more.
const RANGES_DIGESTED_WHOLE: u64 = 64;
const _: () = assert!(RANGES_DIGESTED_WHOLE * RANGE_LENGTH == 1 << 30);

/// How many ranges of a large file the device is asked to digest at once (4 GiB): whatever size a device claims, its requests stay few.
const RANGES_AT_ONCE: usize = 256;

/// Fetches and seals a batch, while the device digests the same files.
pub(crate) async fn fetch<W: World>(
    visit: &SourceVisit<'_, W>,
    batch: Vec<Withdrawn>,
) -> Result<Vec<Fetched>, PassError> {
    let places: Vec<(RelativePath, u64)> = batch
        .iter()
        .map(|file| (file.current_path().clone(), file.identity().size))
        .collect();
    // The next batch begins to be fetched when the last bytes of this one are on their way, not when it is sealed.
    let bytes = places
        .iter()
        .fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    let turn = Turn::new(
        visit.device_visit.fetching.clone().acquire_owned().await.ok(),
        bytes,
    );
    let room = Semaphore::new(BYTES_AT_ONCE as usize);
    let (mut arrivals, mut wanted) = (Vec::with_capacity(batch.len()), Vec::new());
    for file in batch {
        let (comes, wants) = coming(visit, &file);
        wanted.extend(wants);
        let share = turn.share(file.identity().size);
        arrivals.push((file, comes, share));
    }
    drop(turn);
    // Which files of the batch came, or are left behind.
    let came: Vec<AtomicBool> = places.iter().map(|_| AtomicBool::new(false)).collect();
    let reading = read_together(visit, wanted);
    let digesting = digests(visit, &places);
    let fetching = stream::iter(arrivals.into_iter().zip(&came))
        .map(async |((file, coming, share), came)| {
            let sealed = fetch_one(visit, file, coming, (share, &room)).await?;
            came.store(true, Ordering::Relaxed);
            Ok(sealed)
        })
        .buffered(FILES_AT_ONCE)
        .try_collect::<Vec<Arrival>>();
    // What is to come is asked for first: where the device has but one shell to spare, its digests can wait.
    let (files, (), digests) = match future::try_join3(fetching, reading, digesting).await {
        Ok(all) => all,
        Err(PassError::Device(failure)) if !concerns_source_only(failure.class) => {
            let of_batch = places.iter().zip(&came);
            let of_batch = of_batch.map(|((current_path, size), came)| Fetching {
                current_path,
                size: *size,
                is_received: came.load(Ordering::Relaxed),
            });
            return Err(suspects::record(visit, &of_batch.collect::<Vec<_>>(), failure).await);
        }
        Err(error) => return Err(error),
    };

    let (mut fetched, mut short) = (Vec::with_capacity(files.len()), Vec::new());
    for (file, device_digests) in files.into_iter().zip(digests) {
        match file {
            Arrival::Whole(withdrawn, sealed) => fetched.push(Fetched {
                withdrawn,
                sealed,
                device_digests,
            }),
            Arrival::Short(withdrawn, detail) => short.push((withdrawn, detail)),
            Arrival::Left => {}
        }
    }
    short::leave(visit, short).await?;
    Ok(fetched)
}

/// What came of a file.
enum Arrival {
    /// It is sealed.
    Whole(Withdrawn, SealedFile),
    /// Fewer or more bytes than it should have, with what is told of that.
    Short(Withdrawn, String),
    /// It is left behind.
    Left,
}

/// A small file that comes together with others.
struct Coming {
    chunks: mpsc::UnboundedReceiver<Chunk>,
    outcome: oneshot::Receiver<Result<u64, FileFault>>,
}

fn coming<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
) -> (Option<Coming>, Option<SmallFileRequest>) {
    let expected_size = file.identity().size;
    if expected_size > SMALL_FILE_MAX || !visit.session.abilities().reads_together {
        return (None, None);
    }
    let (sender, chunks) = mpsc::unbounded_channel();
    let (teller, outcome) = oneshot::channel();
    let wanted = SmallFileRequest {
        path: file.current_path().clone(),
        expected_size,
        chunks: sender,
        outcome: teller,
    };
    (Some(Coming { chunks, outcome }), Some(wanted))
}

async fn read_together<W: World>(
    visit: &SourceVisit<'_, W>,
    wanted: Vec<SmallFileRequest>,
) -> Result<(), PassError> {
    if wanted.is_empty() {
        return Ok(());
    }
    Ok(visit.session.fetch_together(visit.source, wanted).await?)
}

/// What the device says the digests of these files are: that of the whole, or those of the ranges of a file beyond
/// [`RANGES_DIGESTED_WHOLE`].
/// None at all where the device has no tool.
async fn digests<W: World>(
    visit: &SourceVisit<'_, W>,
    files: &[(RelativePath, u64)],
) -> Result<Vec<Vec<Option<Digest>>>, PassError> {
    if !visit.session.abilities().digests {
        return Ok(vec![Vec::new(); files.len()]);
    }
    let in_one_go = |size: &u64| !is_digested_in_ranges(visit, *size);
    let whole = files.iter().filter(|(_, size)| in_one_go(size));
    let whole = whole.map(|(path, _)| DigestRequest {
        path: path.clone(),
        offset: 0,
        length: None,
    });
    let whole: Vec<DigestRequest> = whole.collect();
    let mut of_whole = match whole.is_empty() {
        true => Vec::new().into_iter(),
        false => visit.session.digest(visit.source, &whole).await?.into_iter(),
    };
    let mut all = Vec::with_capacity(files.len());
    for (path, size) in files {
        all.push(match in_one_go(size) {
            true => vec![of_whole.next().flatten()],
            false => range_digests(visit, path, *size).await?,
        });
    }
    Ok(all)
}

fn is_digested_in_ranges<W: World>(visit: &SourceVisit<'_, W>, size: u64) -> bool {
    size > visit.world.store().range_length() * RANGES_DIGESTED_WHOLE
}

async fn range_digests<W: World>(
    visit: &SourceVisit<'_, W>,
    path: &RelativePath,
    size: u64,
) -> Result<Vec<Option<Digest>>, PassError> {
    let range_length = visit.world.store().range_length();
    let mut digests = Vec::new();
    let mut offset = 0;
    while offset < size {
        let offsets = std::iter::successors(Some(offset), |offset| offset.checked_add(range_length));
        let requests: Vec<DigestRequest> = offsets
            .take_while(|offset| *offset < size)
            .take(RANGES_AT_ONCE)
            .map(|offset| DigestRequest {
                path: path.clone(),
                offset,
                length: Some(range_length.min(size - offset)),
            })
            .collect();
        offset = requests
            .last()
            .map_or(size, |last| last.offset.saturating_add(range_length));
        digests.extend(visit.session.digest(visit.source, &requests).await?);
    }
    Ok(digests)
}

async fn fetch_one<W: World>(
    visit: &SourceVisit<'_, W>,
    file: Withdrawn,
    coming: Option<Coming>,
    (share, room): (Share, &Semaphore),
) -> Result<Arrival, PassError> {
    let size = file.identity().size;
    let (reason, detail) = match receive_one(visit, &file, coming, (share, room)).await {
        Ok(Ok(sealed)) => return Ok(Arrival::Whole(file, sealed)),
        // What cannot be read in one way may be there in the other.
        Ok(Err(fault)) if matches!(fault.kind, FileFaultKind::Grown | FileFaultKind::Missing) => {
            return Ok(Arrival::Short(file, fault.message));
        }
        Ok(Err(fault)) => (reason_of(&fault), fault.message),
        // That concerns no other file. What still comes of this one is thrown away.
        Err(PassError::Store(StoreError::OfFile { fault, .. })) => {
            let (reason, detail) = left_for(fault);
            (reason, describe_location(&file, detail))
        }
        Err(error) => return Err(error),
    };
    visit.leave_behind(file.original(), size, reason, Some(detail));
    Ok(Arrival::Left)
}

/// Receives a file into staging and seals it. One with another number of bytes than it should have counts as
/// grown.
async fn receive_one<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
    coming: Option<Coming>,
    (mut share, room): (Share, &Semaphore),
) -> Result<Result<SealedFile, FileFault>, PassError> {
    let store = visit.world.store();
    let size = file.identity().size;
    let bytes = u32::try_from(size).unwrap_or(u32::MAX);
    let room = room.acquire_many(bytes.clamp(MIN_BYTES, BYTES_AT_ONCE)).await;
    let key = staging_key(visit, file);
    // What comes with others comes from its beginning on.
    let resume = coming.is_none() && may_resume(visit, file);
    let (staged, have) = store.stage(&key, resume).await?;
    if have > 0 {
        share.came(have);
        let (device, path) = (visit.device.name.clone(), file.original().clone());
        visit.report(&Event::Resumed {
            device,
            path,
            bytes: have,
        });
    }
    let (staged, came) = match coming {
        Some(coming) => take_coming(visit, staged, coming, (size, &mut share)).await?,
        None => (staged, None),
    };
    let (staged, outcome, last) = match came {
        Some((outcome, last)) => (staged, outcome, last),
        None => fetch_alone(visit, file, staged, (have, &mut share)).await?,
    };
    drop((room, share));
    let fault = match outcome {
        Ok(count) if have + count == size => {
            return Ok(Ok(store.seal(staged, last, file.identity().modified).await?));
        }
        // Fewer bytes are looked into as more are.
        Ok(count) => FileFault {
            kind: FileFaultKind::Grown,
            message: format!("{} of {size} bytes were there", have + count),
        },
        Err(fault) => FileFault {
            message: describe_location(file, fault.message),
            ..fault
        },
    };
    store.discard(staged).await;
    Ok(Err(fault))
}

type StagedOf<W> = <<W as World>::Store as Store>::Staged;

/// What could be read of a file, and the last chunks of it.
type Came = (Result<u64, FileFault>, Vec<Chunk>);

/// Takes a file that comes with others. Nothing is told of one that was passed over, and nothing has come of it.
async fn take_coming<W: World>(
    visit: &SourceVisit<'_, W>,
    staged: StagedOf<W>,
    coming: Coming,
    missing: (u64, &mut Share),
) -> Result<(StagedOf<W>, Option<Came>), PassError> {
    let (staged, last) = receive(visit, staged, coming.chunks, missing).await?;
    let outcome = coming.outcome.await.ok();
    Ok((staged, outcome.map(|outcome| (outcome, last))))
}

/// Reads a file by itself, from where it is to be gone on with.
async fn fetch_alone<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
    staged: StagedOf<W>,
    (have, share): (u64, &mut Share),
) -> Result<(StagedOf<W>, Result<u64, FileFault>, Vec<Chunk>), PassError> {
    let size = file.identity().size;
    let (sender, chunks) = mpsc::unbounded_channel();
    let fetching = async {
        visit
            .session
            .fetch(visit.source, file.current_path(), have, size, sender)
            .await
            .map_err(PassError::from)
    };
    let receiving = receive(visit, staged, chunks, (size.saturating_sub(have), share));
    let (outcome, (staged, last)) = future::try_join(fetching, receiving).await?;
    Ok((staged, outcome, last))
}

/// Who is to mend a file must know where it is now.
fn describe_location(file: &Withdrawn, message: String) -> String {
    if file.current_path() == file.original() {
        message
    } else {
        format!("{message}; it lies at {}", file.current_path())
    }
}

/// Takes chunks as they come and has them written, all but those that complete the file: the store takes these when it seals, so that a
/// small file costs it one job. Credits return as bytes are written. A file never holds credit while it needs more: those that wait
/// for the last bytes of others would wait for ever.
async fn receive<W: World>(
    visit: &SourceVisit<'_, W>,
    mut staged: StagedOf<W>,
    mut chunks: mpsc::UnboundedReceiver<Chunk>,
    (mut missing, share): (u64, &mut Share),
) -> Result<(StagedOf<W>, Vec<Chunk>), PassError> {
    let mut waiting = Vec::new();
    while chunks.recv_many(&mut waiting, CHUNKS_AT_ONCE).await > 0 {
        let bytes: u64 = waiting
            .iter()
            .map(|chunk| u64::try_from(chunk.bytes.len()).unwrap_or(0))
            .sum();
        visit.report(&Event::Received {
            device: visit.device.name.clone(),
            bytes,
        });
        missing = missing.saturating_sub(bytes);
        share.came(bytes);
        if missing > 0 {
            staged = visit
                .world
                .store()
                .append(staged, std::mem::take(&mut waiting))
                .await?;
        }
    }
    Ok((staged, waiting))
}

/// How many chunks one write takes: 8 MiB in the largest chunks that a server sends.
const CHUNKS_AT_ONCE: usize = 32;

/// Only a whole identity tells that it is the very same version, and only a digest of the device proves the bytes that are there.
fn may_resume<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> bool {
    file.identity().is_complete() && visit.session.abilities().digests
}

/// Stands for one version of one file of one device. Two versions never share a key: every part of the identity is in it.
fn staging_key<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> StagingKey {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        hasher.update(bytes);
    };
    let identity = file.identity();
    let current_path: &RelativePath = file.current_path();
    part(visit.device.name.as_str().as_bytes());
    part(visit.source.as_bytes());
    part(current_path.as_bytes());
    for number in [identity.device_number, identity.inode] {
        part(&number.map(u64::to_le_bytes).unwrap_or_default());
    }
    part(&identity.size.to_le_bytes());
    part(&identity.modified.nanoseconds().to_le_bytes());
    part(
        &identity
            .changed
            .map(|changed| changed.nanoseconds().to_le_bytes())
            .unwrap_or_default(),
    );
    StagingKey {
        digest: Digest::from_bytes(hasher.finalize().into()),
        expected_size: identity.size,
        range_digests: is_digested_in_ranges(visit, identity.size),
        folder: match visit.device_visit.receives_beside.load(Ordering::Relaxed) {
            true => folder(visit, file),
            false => None,
        },
    }
}

/// The folder of the store that a file is bound for, if nothing stands in its way.
fn folder<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> Option<RelativePath> {
    let digest = Digest::from_bytes([0; 32]);
    let modified = file.identity().modified;
    let name = store_name(visit, file.original(), modified, &digest).ok()?;
    name.parent()
}
