//! One file: its bytes are read, written into staging, and sealed.

use futures_util::future;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::permit::FetchQuota;
use super::staging::{may_resume, staging_key};
use crate::event::Event;
use crate::ports::{Chunk, FileFault, FileFaultKind, SealedFile, Session, Store};
use crate::recourse::PassError;
use crate::stages::withdraw::Withdrawn;
use crate::visit::SourceVisit;
use crate::world::World;

/// Bytes of files that are fetched at the same time: twice the byte budget of a session.
///
/// If it were all files of a batch, they would all end together: the disk would wait for the link, and then
/// the link for the disk.
pub(super) const MAX_BYTES: u32 = 16 << 20;

/// The least that a file counts towards [`MAX_BYTES`]: each open and close is work too.
const MIN_BYTES: u32 = 16 << 10;

/// Chunks that are written together: 8 MiB in the largest chunks that a server sends.
const MAX_CHUNKS: usize = 32;

/// A small file that is sent in one stream with others.
pub(super) struct IncomingFile {
    pub(super) chunks: mpsc::UnboundedReceiver<Chunk>,
    pub(super) outcome: oneshot::Receiver<Result<u64, FileFault>>,
}

type StagedOf<W> = <<W as World>::Store as Store>::Staged;

/// A file that was read to its end or to a fault.
struct ReadFile<S> {
    staged: S,
    /// Bytes read from the device.
    outcome: Result<u64, FileFault>,
    /// The last chunks, not yet written.
    last: Vec<Chunk>,
}

/// Receives a file into staging and seals it. A file that returned another number of bytes than listed is
/// [`FileFaultKind::Grown`].
pub(super) async fn receive_one<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
    incoming: Option<IncomingFile>,
    mut quota: FetchQuota,
    byte_slots: &Semaphore,
) -> Result<Result<SealedFile, FileFault>, PassError> {
    let store = visit.world.store();
    let size = file.identity().size;
    let bytes = u32::try_from(size).unwrap_or(u32::MAX);
    let byte_slot = byte_slots.acquire_many(bytes.clamp(MIN_BYTES, MAX_BYTES)).await;
    let key = staging_key(visit, file);
    // A file in the shared stream is sent from its beginning.
    let resume = incoming.is_none() && may_resume(visit, file);
    let (staged, have) = store.stage(&key, resume).await?;
    if have > 0 {
        quota.received(have);
        visit.report(&Event::Resumed {
            device: visit.device.name.clone(),
            path: file.original().clone(),
            bytes: have,
        });
    }
    let read = read(visit, file, staged, incoming, have, &mut quota).await?;
    drop((byte_slot, quota));
    let fault = match read.outcome {
        Ok(count) if have + count == size => {
            let modified = file.identity().modified;
            return Ok(Ok(store.seal(read.staged, read.last, modified).await?));
        }
        Ok(count) => FileFault {
            kind: FileFaultKind::Grown,
            message: format!("{} of {size} bytes were there", have + count),
        },
        Err(fault) => FileFault {
            message: describe_location(file, fault.message),
            ..fault
        },
    };
    store.discard(read.staged).await;
    Ok(Err(fault))
}

/// Reads a file from the shared stream, or individually if the device skipped it there.
async fn read<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
    mut staged: StagedOf<W>,
    incoming: Option<IncomingFile>,
    have: u64,
    quota: &mut FetchQuota,
) -> Result<ReadFile<StagedOf<W>>, PassError> {
    if let Some(incoming) = incoming {
        let size = file.identity().size;
        let (received, last) = receive(visit, staged, incoming.chunks, size, quota).await?;
        // `Err`: the device skipped the file, and nothing of it was received.
        if let Ok(outcome) = incoming.outcome.await {
            return Ok(ReadFile {
                staged: received,
                outcome,
                last,
            });
        }
        staged = received;
    }
    fetch_alone(visit, file, staged, have, quota).await
}

/// Reads a file by a request of its own, from the offset where it resumes.
async fn fetch_alone<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
    staged: StagedOf<W>,
    have: u64,
    quota: &mut FetchQuota,
) -> Result<ReadFile<StagedOf<W>>, PassError> {
    let size = file.identity().size;
    let (sender, chunks) = mpsc::unbounded_channel();
    let fetching = async {
        visit
            .session
            .fetch(visit.source, file.current_path(), have, size, sender)
            .await
            .map_err(PassError::from)
    };
    let receiving = receive(visit, staged, chunks, size.saturating_sub(have), quota);
    let (outcome, (staged, last)) = future::try_join(fetching, receiving).await?;
    Ok(ReadFile {
        staged,
        outcome,
        last,
    })
}

/// Writes chunks as they arrive, all but those that complete the file. The store takes these when it seals,
/// so that a small file costs it one job.
///
/// Credits return as bytes are written. A file never holds credit while it needs more: otherwise files that
/// wait for the last bytes of others would wait indefinitely.
async fn receive<W: World>(
    visit: &SourceVisit<'_, W>,
    mut staged: StagedOf<W>,
    mut chunks: mpsc::UnboundedReceiver<Chunk>,
    mut missing: u64,
    quota: &mut FetchQuota,
) -> Result<(StagedOf<W>, Vec<Chunk>), PassError> {
    let mut waiting = Vec::new();
    while chunks.recv_many(&mut waiting, MAX_CHUNKS).await > 0 {
        let bytes: u64 = waiting
            .iter()
            .map(|chunk| u64::try_from(chunk.bytes.len()).unwrap_or(0))
            .sum();
        visit.report(&Event::Received {
            device: visit.device.name.clone(),
            bytes,
        });
        missing = missing.saturating_sub(bytes);
        quota.received(bytes);
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

/// Adds the current path of a file to a message, for the person who must mend it.
pub(super) fn describe_location(file: &Withdrawn, message: String) -> String {
    if file.current_path() == file.original() {
        message
    } else {
        format!("{message}; the file is at {}", file.current_path())
    }
}
