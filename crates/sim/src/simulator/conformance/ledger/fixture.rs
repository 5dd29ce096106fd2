//! A ledger to check, and the records that the checks make.

use engine::ports::{History, Ledger, PassLease, Record, Sighting, Unseen};
use model::{BatchId, DeviceName, Digest, Identity, SourcePath, Timestamp};

use crate::simulator::conformance::{message, path};

/// A place that keeps one ledger across processes.
pub trait LedgerFixture {
    /// The implementation under test.
    type Ledger: Ledger;
    /// The same ledger as a command reads it.
    type History: History;

    /// Opens the ledger as a new process does, after the previous process has ended.
    fn open(&self) -> Self::Ledger;

    /// Opens the ledger for reading, while a process may be writing it.
    fn history(&self) -> Self::History;
}

pub(super) fn device(name: &str) -> Result<DeviceName, String> {
    DeviceName::new(name).map_err(message)
}

pub(super) fn source(text: &str) -> Result<SourcePath, String> {
    SourcePath::new(text).map_err(message)
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

pub(super) fn identity(size: u64) -> Identity {
    Identity {
        device_number: Some(1),
        inode: Some(7),
        size,
        modified: at(-60),
        changed: Some(at(-59)),
    }
}

pub(super) fn record(name: &str, size: u64) -> Result<Record, String> {
    Ok(Record {
        source: source("/photos")?,
        path: path(name)?,
        identity: identity(size),
        digest: Digest::from_bytes([u8::try_from(size).unwrap_or_default(); 32]),
        device_digest: true,
        store_name: path(format!("bee/{name}"))?,
        already_stored: false,
        withdrawn: BatchId::new("1-1-0"),
        at: at(0),
    })
}

/// Begins a pass over the device `bee`.
pub(super) async fn begin(ledger: &impl Ledger) -> Result<PassLease, String> {
    begin_over(ledger, "bee").await
}

pub(super) async fn begin_over(ledger: &impl Ledger, name: &str) -> Result<PassLease, String> {
    ledger.begin_pass(&device(name)?, at(0)).await.map_err(message)
}

pub(super) async fn record_sightings(
    ledger: &impl Ledger,
    lease: &PassLease,
    folder: &str,
    files: &[(&str, u64)],
    seconds: i64,
) -> Result<Vec<Timestamp>, String> {
    record_sightings_among(ledger, lease, folder, files, Unseen::Forget, seconds).await
}

pub(super) async fn record_sightings_among(
    ledger: &impl Ledger,
    lease: &PassLease,
    folder: &str,
    files: &[(&str, u64)],
    others: Unseen,
    seconds: i64,
) -> Result<Vec<Timestamp>, String> {
    let sighting = |(name, size): &(&str, u64)| {
        Ok(Sighting {
            path: path(name)?,
            identity: identity(*size),
        })
    };
    let sightings: Result<Vec<Sighting>, String> = files.iter().map(sighting).collect();
    ledger
        .record_sightings(lease, &source(folder)?, sightings?, others, at(seconds))
        .await
        .map_err(message)
}
