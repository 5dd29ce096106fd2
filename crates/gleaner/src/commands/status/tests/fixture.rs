//! A ledger with one device for each state.

use std::time::Duration;

use engine::ports::{
    ClockReading, DeviceReport, DiskUse, Ledger as _, PassEnd, PassLease, PassOutcome, Reason, Record,
    Remaining, RemainingFile, RowId, WriterCheck,
};
use ledger::{OpenOptions, Reader, SqliteLedger};
use model::{
    Amount, BatchId, DeviceName, Digest, FailureClass, FileState, Identity, LeaveReason, LedgerId,
    RelativePath, SourcePath, StoreId, Timestamp, WaitReason,
};

use crate::config::Config;
use crate::environment::Environment;

/// A ledger with recorded passes, and its configuration.
pub(in crate::commands) struct LedgerFixture {
    /// Removed after the test.
    _folder: tempfile::TempDir,
    pub(in crate::commands) config: Config,
}

impl LedgerFixture {
    pub(in crate::commands) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let text = format!(
            "[store]\npath = \"/store\"\n[ledger]\npath = \"{}\"\n[defaults]\nsource = \"/home/pi/photos\"\n\
             [[device]]\nname = \"raspberry{{id}}\"\nids = \"1-6\"\n[[device]]\nname = \"camera-on-the-mast\"\n",
            path.display()
        );
        let file = folder.path().join("gleaner.toml");
        let checked = crate::config::check(&file, text.as_bytes(), &Environment::default());
        Self {
            _folder: folder,
            config: checked.map_err(|faults| faults.to_string()).unwrap().config,
        }
    }

    pub(in crate::commands) fn ledger(&self) -> SqliteLedger {
        let options = OpenOptions {
            create_with: LedgerId::new("0123456789abcdef"),
            at: at(-86_400),
        };
        SqliteLedger::open(&self.config.ledger, &options).unwrap()
    }

    pub(in crate::commands) fn reader(&self) -> Reader {
        Reader::open(&self.config.ledger).unwrap()
    }
}

/// The time this many seconds after the fixed present of all tests, 2026-05-01 12:00:00.
pub(in crate::commands) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_777_636_800 + seconds)
}

pub(in crate::commands) fn record(device: &str, path: impl AsRef<[u8]>) -> Record {
    let path = RelativePath::new(path).unwrap();
    Record {
        source: source(),
        store_name: RelativePath::new(device).unwrap().join(&path),
        path,
        identity: Identity {
            device_number: Some(1),
            inode: Some(2),
            size: 2_345_678,
            modified: Timestamp::from_nanoseconds(at(-4000).nanoseconds() + 250_000_000),
            changed: Some(at(-4000)),
        },
        digest: Digest::from_bytes([0xa5; 32]),
        device_digest: true,
        already_stored: false,
        withdrawn: BatchId::new("b1"),
        at: at(-3600),
    }
}

fn source() -> SourcePath {
    SourcePath::new("/home/pi/photos").unwrap()
}

/// Begins a pass this many seconds ago and ends it ten seconds later.
async fn pass(
    ledger: &SqliteLedger,
    device: &str,
    seconds: i64,
    outcome: PassOutcome,
    more: impl FnOnce(&mut PassEnd),
) {
    let lease = begin(ledger, device, seconds).await;
    finish(ledger, &lease, seconds, outcome, more).await;
}

/// Begins a pass this many seconds ago.
async fn begin(ledger: &SqliteLedger, device: &str, seconds: i64) -> PassLease {
    let device = DeviceName::new(device).unwrap();
    ledger.begin_pass(&device, at(-seconds)).await.unwrap()
}

/// Records files in a pass of their own. The pass stays unfinished.
pub(in crate::commands) async fn record_files(
    ledger: &SqliteLedger,
    device: &str,
    records: Vec<Record>,
) -> (PassLease, Vec<RowId>) {
    let lease = begin(ledger, device, 3600).await;
    let rows = ledger.record(&lease, records).await.unwrap();
    (lease, rows)
}

/// Ends the pass of a lease ten seconds after it began.
async fn finish(
    ledger: &SqliteLedger,
    lease: &PassLease,
    seconds: i64,
    outcome: PassOutcome,
    more: impl FnOnce(&mut PassEnd),
) {
    let mut end = PassEnd {
        at: at(10 - seconds),
        outcome,
        released: Amount::ZERO,
        stored: Amount::ZERO,
        took: Duration::from_secs(10),
        report: None,
        remaining: None,
    };
    more(&mut end);
    ledger.finish_pass(lease, end).await.unwrap();
}

fn failed(class: FailureClass, message: &str) -> PassOutcome {
    PassOutcome::Failed {
        class,
        message: message.into(),
        remedy: None,
    }
}

fn report(seconds: i64, available: u64, shortcomings: &[&str]) -> DeviceReport {
    DeviceReport {
        seen_at: at(-seconds),
        clock: Some(ClockReading {
            offset: -1_250_000_000,
            boot_id: Some("5f0e4c1a".into()),
            at: at(-seconds),
        }),
        claims: Vec::new(),
        disks: vec![(
            source(),
            Some(DiskUse {
                total: 32_000_000_000,
                available,
            }),
        )],
        shortcomings: shortcomings.iter().map(|&text| text.to_owned()).collect(),
        writer_check: Some(WriterCheck::Leases),
        compression: None,
        hung_up_on_command: None,
    }
}

fn remaining(files: &[(&str, Reason, Option<&str>)], totals: &[(Reason, u64, u64)]) -> Remaining {
    let file = |&(path, reason, detail): &(&str, Reason, Option<&str>)| RemainingFile {
        source: source(),
        path: path.into(),
        reason,
        size: 1_000_000,
        detail: detail.map(str::to_owned),
    };
    Remaining {
        files: files.iter().map(file).collect(),
        totals: totals
            .iter()
            .map(|(reason, files, bytes)| (*reason, Amount::new(*files, *bytes)))
            .collect(),
    }
}

/// One device for each state.
pub(super) async fn ledger_with_every_state() -> LedgerFixture {
    let fixture = LedgerFixture::new();
    let ledger = fixture.ledger();
    ledger
        .bind_store(&StoreId::new("store-1").unwrap())
        .await
        .unwrap();
    let days = ["day/1.jpg", "day/2.jpg", "day/3.jpg"];
    let records = days.map(|path| record("raspberry1", path));
    let (lease, rows) = record_files(&ledger, "raspberry1", records.into()).await;
    let released = rows.iter().take(2).map(|row| (*row, FileState::Released, None));
    let released = released.collect();
    ledger.set_states(&lease, released, at(-3500)).await.unwrap();
    finish(&ledger, &lease, 3600, PassOutcome::Well, |end| {
        end.stored = Amount::new(3, 7_037_034);
        end.released = Amount::new(2, 4_691_356);
    })
    .await;
    // An aborted pass.
    ledger
        .begin_pass(&DeviceName::new("raspberry1").unwrap(), at(-1800))
        .await
        .unwrap();
    let (settling, open) = (Reason::Wait(WaitReason::Settling), Reason::Wait(WaitReason::Open));
    let link = Reason::Leave(LeaveReason::Link);
    pass(&ledger, "raspberry1", 120, PassOutcome::Well, |end| {
        end.report = Some(report(115, 18_900_000_000, &[]));
        let files = [
            ("day/4.jpg", settling, None),
            ("day/5.jpg", settling, None),
            ("latest", link, None),
        ];
        end.remaining = Some(remaining(
            &files,
            &[(settling, 2, 2_000_000), (open, 1, 9), (link, 1, 0)],
        ));
    })
    .await;
    devices_with_problems(&ledger).await;
    // A pass in progress.
    ledger
        .begin_pass(&DeviceName::new("raspberry1").unwrap(), at(-5))
        .await
        .unwrap();
    fixture
}

async fn devices_with_problems(ledger: &SqliteLedger) {
    let (settling, unreadable) = (
        Reason::Wait(WaitReason::Settling),
        Reason::Leave(LeaveReason::Unreadable),
    );
    pass(ledger, "raspberry2", 90_000, PassOutcome::Well, |end| {
        end.report = Some(report(89_995, 900_000_000, &[]));
    })
    .await;
    for seconds in [9000, 120] {
        let tunnel_down = failed(
            FailureClass::TunnelDown,
            "connect to localhost port 5002: Connection refused",
        );
        pass(ledger, "raspberry2", seconds, tunnel_down, |_| ()).await;
    }
    let changed = failed(
        FailureClass::HostKeyChanged,
        "Host key for [localhost]:5003 has changed\x1b[2J",
    );
    pass(ledger, "raspberry3", 110, changed, |_| ()).await;
    pass(ledger, "raspberry4", 100, PassOutcome::Partial, |end| {
        let shortcomings = ["no digest tool: content is proved by size and time only"];
        end.report = Some(report(95, 31_000_000_000, &shortcomings));
        let denied = Some("permission denied");
        let files = [
            ("private/a\\x1b.jpg", unreadable, denied),
            ("private/b.jpg", unreadable, denied),
        ];
        end.remaining = Some(remaining(&files, &[(settling, 1, 5), (unreadable, 2, 2_000_000)]));
    })
    .await;
    let no_space = PassOutcome::CollectorFailed {
        message: "the store /store is full".into(),
    };
    pass(ledger, "raspberry5", 50, no_space, |_| ()).await;
    let unproved = Reason::Wait(WaitReason::Unproved);
    pass(ledger, "raspberry6", 40, PassOutcome::Partial, |end| {
        end.report = Some(report(35, 31_000_000_000, &[]));
        let files = [(
            "day/6.jpg",
            unproved,
            Some("what was received has another digest"),
        )];
        end.remaining = Some(remaining(&files, &[(unproved, 1, 1_000_000)]));
    })
    .await;
    let lease = begin(ledger, "old-one", 700_000).await;
    let file = vec![record("old-one", "day/1.jpg")];
    ledger.record(&lease, file).await.unwrap();
    finish(ledger, &lease, 700_000, PassOutcome::Well, |_| ()).await;
}
