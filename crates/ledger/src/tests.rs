//! The promises of the ledger, one test each.

mod backup;
mod crash;
mod leases;
mod open;
mod passes;
mod permissions;
mod port;
mod reading;
mod schema;
mod sightings;
mod totals;
mod writing;

use std::path::{Path, PathBuf};

use engine::ports::{Ledger as _, LedgerError, PassEnd, PassLease, PassOutcome, Record, RowId};
use model::{
    Amount, BatchId, DeviceName, Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath,
    Timestamp,
};
use tempfile::TempDir;

use crate::{OpenOptions, Reader, SqliteLedger};

/// A folder for a ledger, removed after the test.
struct TempLedger {
    folder: TempDir,
}

impl TempLedger {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/ledger.db")
    }

    fn ledger(&self) -> SqliteLedger {
        opened(&self.path())
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    /// A connection of its own, like that of an operator with `sqlite3`.
    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

fn opened(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path, &options()).unwrap()
}

fn options() -> OpenOptions {
    OpenOptions {
        create_with: None,
        at: at(0),
    }
}

/// A time `seconds` after the noon of one day.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_780_000_000 / 86_400 * 86_400 + 43_200 + seconds)
}

fn device(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

fn source() -> SourcePath {
    SourcePath::new("/home/pi/photos").unwrap()
}

fn path(name: impl AsRef<[u8]>) -> RelativePath {
    RelativePath::new(name).unwrap()
}

fn identity(size: u64) -> Identity {
    Identity {
        device_number: Some(66_306),
        inode: Some(4711),
        size,
        modified: at(-100),
        changed: Some(at(-90)),
    }
}

/// A file of ten bytes, withdrawn in the batch `b1`.
fn record(device_name: &str, name: &str) -> Record {
    Record {
        source: source(),
        path: path(name),
        identity: identity(10),
        digest: Digest::from_bytes([7; 32]),
        device_digest: true,
        store_name: path(format!("{device_name}/{name}")),
        already_stored: false,
        withdrawn: BatchId::new("b1"),
        at: at(1),
    }
}

fn pass_end(outcome: PassOutcome) -> PassEnd {
    PassEnd {
        at: at(60),
        outcome,
        released: Amount::ZERO,
        stored: Amount::ZERO,
        took: std::time::Duration::from_mins(1),
        report: None,
        remaining: None,
    }
}

/// Begins a pass and finishes it with `outcome`.
async fn run_pass(ledger: &SqliteLedger, device_name: &str, begun: Timestamp, outcome: PassOutcome) {
    let lease = ledger.begin_pass(&device(device_name), begun).await.unwrap();
    ledger.finish_pass(&lease, pass_end(outcome)).await.unwrap();
}

/// Begins a pass over a device.
async fn begin(ledger: &SqliteLedger, device_name: &str) -> PassLease {
    ledger.begin_pass(&device(device_name), at(0)).await.unwrap()
}

/// Records files in a pass of their own.
async fn store(
    ledger: &SqliteLedger,
    device_name: &str,
    records: Vec<Record>,
) -> Result<Vec<RowId>, LedgerError> {
    let lease = ledger.begin_pass(&device(device_name), at(0)).await?;
    ledger.record(&lease, records).await
}

/// Sets the states of files in a pass of its own.
async fn set_states(
    ledger: &SqliteLedger,
    device_name: &str,
    rows: Vec<(RowId, FileState, Option<LeaveReason>)>,
    time: Timestamp,
) -> Result<(), LedgerError> {
    let lease = begin(ledger, device_name).await;
    ledger.set_states(&lease, rows, time).await
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}
