//! Fetch: bytes are read into staging, many files at once, and each file is sealed as soon as it is complete.
//!
//! Reading is limited by the session's byte budget alone: each chunk carries a credit that returns once it is
//! written. A crash leaves partial and sealed files in staging. Both are invisible, and the next pass fetches
//! the files again, or resumes a large one.

mod digests;
mod permit;
mod receive;
mod short;
mod staging;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use model::RelativePath;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::ports::device::{SMALL_FILE_MAX, SmallFileRequest};
use crate::ports::{DeviceFailure, FileFaultKind, PassLease, SealedFile, Session, StoreError};
use crate::recourse::{PassError, concerns_source_only};
use crate::stages::store_name::left_for;
use crate::stages::withdraw::Withdrawn;
use crate::suspects::{self, Fetching};
use crate::tally::reason_of;
use crate::visit::SourceVisit;
use crate::world::World;
use digests::{DeviceDigests, request_digests};
use permit::{FetchPermit, FetchQuota};
use receive::{IncomingFile, MAX_BYTES, describe_location, receive_one};

/// A file that is whole and sealed in staging, and what the device says its digest is.
#[derive(Debug)]
pub(crate) struct Fetched {
    withdrawn: Withdrawn,
    sealed: SealedFile,
    device_digests: DeviceDigests,
}

impl Fetched {
    pub(crate) fn withdrawn(&self) -> &Withdrawn {
        &self.withdrawn
    }

    pub(crate) fn sealed(&self) -> &SealedFile {
        &self.sealed
    }

    /// What the device digested: the whole, or its ranges in order. Empty if it has no digest tool.
    pub(crate) fn device_digests(&self) -> &[Option<model::Digest>] {
        &self.device_digests
    }

    pub(crate) fn into_parts(self) -> (Withdrawn, SealedFile) {
        (self.withdrawn, self.sealed)
    }
}

/// Files that are read at the same time.
///
/// Opens, reads and closes each cost a round trip: 128 files of 20 KB fill a link of 100 Mbit/s at 200 ms.
/// OpenSSH's server allows far more open handles.
const MAX_FILES: usize = 128;

/// Fetches and seals a batch, while the device digests the same files.
pub(crate) async fn fetch<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    batch: Vec<Withdrawn>,
) -> Result<Vec<Fetched>, PassError> {
    let listed: Vec<(RelativePath, u64)> = batch
        .iter()
        .map(|file| (file.current_path().clone(), file.identity().size))
        .collect();
    let permit = acquire_permit(visit, &listed).await;
    let (mut files, mut requests) = (Vec::with_capacity(batch.len()), Vec::new());
    for file in batch {
        let quota = permit.quota(file.identity().size);
        let (incoming, request) = share_stream(visit, &file);
        requests.extend(request);
        files.push((file, incoming, quota));
    }
    drop(permit);
    let byte_slots = Semaphore::new(MAX_BYTES as usize);
    let received: Vec<AtomicBool> = listed.iter().map(|_| AtomicBool::new(false)).collect();
    let receiving = stream::iter(files.into_iter().zip(&received))
        .map(async |((file, incoming, quota), received)| {
            let arrival = fetch_one(visit, file, incoming, quota, &byte_slots).await?;
            received.store(true, Ordering::Relaxed);
            Ok(arrival)
        })
        .buffered(MAX_FILES)
        .try_collect::<Vec<Arrival>>();
    let streaming = stream_together(visit, requests);
    let digesting = request_digests(visit, &listed);
    // Bytes are requested first: on a device with one free shell channel its digests can wait.
    match future::try_join3(receiving, streaming, digesting).await {
        Ok((arrivals, (), digests)) => sort_out(visit, arrivals, digests).await,
        Err(PassError::Device(failure)) if !concerns_source_only(failure.class) => {
            Err(record_suspects(visit, lease, &listed, &received, failure).await)
        }
        Err(error) => Err(error),
    }
}

/// Waits until the batch before needs the link only for its last bytes.
async fn acquire_permit<W: World>(
    visit: &SourceVisit<'_, W>,
    listed: &[(RelativePath, u64)],
) -> Arc<FetchPermit> {
    let bytes = listed
        .iter()
        .fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    let fetching = visit.device_visit.fetching.clone();
    FetchPermit::new(fetching.acquire_owned().await.ok(), bytes)
}

/// A small file is requested in one stream with others, where the device can do that.
fn share_stream<W: World>(
    visit: &SourceVisit<'_, W>,
    file: &Withdrawn,
) -> (Option<IncomingFile>, Option<SmallFileRequest>) {
    let expected_size = file.identity().size;
    if expected_size > SMALL_FILE_MAX || !visit.session.abilities().reads_together {
        return (None, None);
    }
    let (chunk_sender, chunks) = mpsc::unbounded_channel();
    let (outcome_sender, outcome) = oneshot::channel();
    let request = SmallFileRequest {
        path: file.current_path().clone(),
        expected_size,
        chunks: chunk_sender,
        outcome: outcome_sender,
    };
    (Some(IncomingFile { chunks, outcome }), Some(request))
}

async fn stream_together<W: World>(
    visit: &SourceVisit<'_, W>,
    requests: Vec<SmallFileRequest>,
) -> Result<(), PassError> {
    if requests.is_empty() {
        return Ok(());
    }
    Ok(visit.session.fetch_together(visit.source, requests).await?)
}

/// What became of a file.
enum Arrival {
    /// It is sealed.
    Whole(Withdrawn, SealedFile),
    /// It returned fewer or more bytes than listed, with the detail.
    Short(Withdrawn, String),
    /// It is left behind.
    Left,
}

async fn fetch_one<W: World>(
    visit: &SourceVisit<'_, W>,
    file: Withdrawn,
    incoming: Option<IncomingFile>,
    quota: FetchQuota,
    byte_slots: &Semaphore,
) -> Result<Arrival, PassError> {
    let size = file.identity().size;
    let (reason, detail) = match receive_one(visit, &file, incoming, quota, byte_slots).await {
        Ok(Ok(sealed)) => return Ok(Arrival::Whole(file, sealed)),
        // A file that cannot be read may still be there: it is inspected at the end of the batch.
        Ok(Err(fault)) if matches!(fault.kind, FileFaultKind::Grown | FileFaultKind::Missing) => {
            return Ok(Arrival::Short(file, fault.message));
        }
        Ok(Err(fault)) => (reason_of(&fault), fault.message),
        // This concerns no other file. Bytes of it that still arrive are discarded.
        Err(PassError::Store(StoreError::OfFile { fault, .. })) => {
            let (reason, detail) = left_for(fault);
            (reason, describe_location(&file, detail))
        }
        Err(error) => return Err(error),
    };
    visit.leave_behind(file.original(), size, reason, Some(detail));
    Ok(Arrival::Left)
}

async fn sort_out<W: World>(
    visit: &SourceVisit<'_, W>,
    arrivals: Vec<Arrival>,
    digests: Vec<DeviceDigests>,
) -> Result<Vec<Fetched>, PassError> {
    let (mut fetched, mut short) = (Vec::with_capacity(arrivals.len()), Vec::new());
    for (arrival, device_digests) in arrivals.into_iter().zip(digests) {
        match arrival {
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

async fn record_suspects<W: World>(
    visit: &SourceVisit<'_, W>,
    lease: &PassLease,
    listed: &[(RelativePath, u64)],
    received: &[AtomicBool],
    failure: DeviceFailure,
) -> PassError {
    let files: Vec<_> = listed
        .iter()
        .zip(received)
        .map(|((current_path, size), received)| Fetching {
            current_path,
            size: *size,
            is_received: received.load(Ordering::Relaxed),
        })
        .collect();
    suspects::record(visit, lease, &files, failure).await
}
