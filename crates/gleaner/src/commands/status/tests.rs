//! What people and programs read, held against what they read before.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::ports::{
    ClockReading, DeviceReport, DiskUse, Ledger as _, PassEnd, PassOutcome, Reason, Record, RowId, Standing,
    StandingFile,
};
use ledger::{OpenOptions, Reader, SqliteLedger};
use model::{
    DeviceName, Digest, FailureClass, FileState, Identity, LeaveReason, LedgerId, PassId, RelativePath,
    SourcePath, StoreId, Timestamp, WaitReason,
};

use super::{Paint, Question, detail, json, overview, times};
use crate::config::Config;
use crate::{Environment, Output};

/// A ledger with a past, and the configuration that goes with it.
pub(in crate::commands) struct Past {
    /// Gone with the test.
    _folder: tempfile::TempDir,
    pub(in crate::commands) config: Config,
}

impl Past {
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

/// So many seconds from the present time of all tests: 2026-05-01 12:00:00.
pub(in crate::commands) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_777_636_800 + seconds)
}

pub(in crate::commands) fn record(device: &str, path: impl Into<Vec<u8>>) -> Record {
    let path = RelativePath::new(path).unwrap();
    Record {
        pass: RowId(1),
        device: DeviceName::new(device).unwrap(),
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
        was_there: false,
        withdrawn: PassId::new("b1"),
        at: at(-3600),
    }
}

fn source() -> SourcePath {
    SourcePath::new("/home/pi/photos").unwrap()
}

/// Text as it came out.
pub(in crate::commands) fn printed<E: std::fmt::Debug>(
    print: impl FnOnce(&mut Output) -> Result<(), E>,
) -> String {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let mut output = Output::to(shared.clone());
    print(&mut output).unwrap();
    output.flush().unwrap();
    let bytes = shared.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Begins a pass so many seconds ago and ends it ten seconds later.
async fn pass(
    ledger: &SqliteLedger,
    device: &str,
    seconds: i64,
    outcome: PassOutcome,
    more: impl FnOnce(&mut PassEnd),
) {
    let device = DeviceName::new(device).unwrap();
    let row = ledger.begin_pass(&device, at(-seconds)).await.unwrap();
    let mut end = PassEnd {
        pass: row,
        device,
        at: at(10 - seconds),
        outcome,
        released: (0, 0),
        stored: (0, 0),
        took: Duration::from_secs(10),
        report: None,
        standing: None,
    };
    more(&mut end);
    ledger.finish_pass(end).await.unwrap();
}

fn failed(class: FailureClass, message: &str) -> PassOutcome {
    PassOutcome::Failed {
        class,
        message: message.into(),
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
        disks: vec![(
            source(),
            Some(DiskUse {
                total: 32_000_000_000,
                available,
            }),
        )],
        shortcomings: shortcomings.iter().map(|&text| text.to_owned()).collect(),
    }
}

fn standing(files: &[(&str, Reason, Option<&str>)], totals: &[(Reason, u64, u64)]) -> Standing {
    let file = |&(path, reason, detail): &(&str, Reason, Option<&str>)| StandingFile {
        source: source(),
        path: path.into(),
        reason,
        size: 1_000_000,
        detail: detail.map(str::to_owned),
    };
    Standing {
        files: files.iter().map(file).collect(),
        totals: totals.to_vec(),
    }
}

/// One device for each state there is.
async fn a_day() -> Past {
    let past = Past::new();
    let ledger = past.ledger();
    ledger
        .bind_store(&StoreId::new("store-1").unwrap())
        .await
        .unwrap();
    let rows = ledger
        .record(
            ["day/1.jpg", "day/2.jpg", "day/3.jpg"]
                .map(|path| record("raspberry1", path))
                .into(),
        )
        .await
        .unwrap();
    let released = rows.iter().take(2).map(|row| (*row, FileState::Released, None));
    ledger.settle(released.collect(), at(-3500)).await.unwrap();
    pass(&ledger, "raspberry1", 3600, PassOutcome::Well, |end| {
        end.stored = (3, 7_037_034);
        end.released = (2, 4_691_356);
    })
    .await;
    let (settling, open) = (Reason::Wait(WaitReason::Settling), Reason::Wait(WaitReason::Open));
    let link = Reason::Leave(LeaveReason::Link);
    pass(&ledger, "raspberry1", 120, PassOutcome::Well, |end| {
        end.report = Some(report(115, 18_900_000_000, &[]));
        let files = [
            ("day/4.jpg", settling, None),
            ("day/5.jpg", settling, None),
            ("latest", link, None),
        ];
        end.standing = Some(standing(
            &files,
            &[(settling, 2, 2_000_000), (open, 1, 9), (link, 1, 0)],
        ));
    })
    .await;
    troubled_devices(&ledger).await;
    // Under way.
    ledger
        .begin_pass(&DeviceName::new("raspberry1").unwrap(), at(-5))
        .await
        .unwrap();
    past
}

async fn troubled_devices(ledger: &SqliteLedger) {
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
        end.standing = Some(standing(&files, &[(settling, 1, 5), (unreadable, 2, 2_000_000)]));
    })
    .await;
    let no_space = PassOutcome::HomeFailed {
        message: "the store /store is full".into(),
    };
    pass(ledger, "raspberry5", 50, no_space, |_| ()).await;
    pass(ledger, "old-one", 700_000, PassOutcome::Well, |_| ()).await;
}

fn overview_of(past: &Past, reader: Option<&Reader>, colours: bool) -> String {
    let question = Question {
        reader,
        config: &past.config,
        now: at(0),
    };
    let devices = question.devices().unwrap();
    printed(|output| overview::print(&question, &devices, Paint::with(colours), output))
}

#[track_caller]
fn assert_snapshot(printed: &str, snapshot: &str) {
    assert!(
        printed == snapshot,
        "it prints:\n{printed}\nand was to print:\n{snapshot}"
    );
}

#[tokio::test]
async fn the_overview_tells_of_every_device_and_what_to_do() {
    let past = a_day().await;
    let printed = overview_of(&past, Some(&past.reader()), false);
    assert_snapshot(&printed, include_str!("tests/overview.txt"));
}

#[tokio::test]
async fn colours_say_nothing_that_words_do_not() {
    let past = a_day().await;
    let coloured = overview_of(&past, Some(&past.reader()), true);
    assert!(coloured.contains("\x1b[32mok"));
    let mut plain = coloured;
    for code in ["0", "1", "2", "32", "33", "1;31"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_snapshot(&plain, include_str!("tests/overview.txt"));
}

#[test]
fn before_the_first_sweep_every_configured_device_is_there() {
    let past = Past::new();
    assert_snapshot(&overview_of(&past, None, false), include_str!("tests/before.txt"));
}

#[tokio::test]
async fn a_device_in_detail_names_its_files_and_its_passes() {
    let past = a_day().await;
    let reader = past.reader();
    let question = Question {
        reader: Some(&reader),
        config: &past.config,
        now: at(0),
    };
    let mut all = String::new();
    for device in question.devices().unwrap() {
        let standing = question.standing(&device).unwrap();
        let passes = reader.passes(&device.name, 10).unwrap();
        let when = (at(0), Paint::with(false));
        all += &printed(|output| detail::print(&device, &standing, &passes, when, output));
        all += "--------\n";
    }
    assert_snapshot(&all, include_str!("tests/detail.txt"));
}

#[tokio::test]
async fn the_document_for_programs_is_stable() {
    let past = a_day().await;
    let reader = past.reader();
    let question = Question {
        reader: Some(&reader),
        config: &past.config,
        now: at(0),
    };
    let devices = question.devices().unwrap();
    let text = printed(|output| json::print(&question, &devices, output));
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["ledger"]["path"] = "ledger.db".into();
    let printed = serde_json::to_string_pretty(&document).unwrap() + "\n";
    assert_snapshot(&printed, include_str!("tests/status.json"));
}

/// All keys, however deep.
fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            fields.values().for_each(|field| keys(field, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_field_for_programs_is_in_the_reference() {
    let reference = include_str!("../../../../../docs/reference/json.md");
    let mut found = std::collections::BTreeSet::new();
    let lines = include_str!("../files/tests/lines.json").lines();
    for document in lines.chain([include_str!("tests/status.json")]) {
        keys(&serde_json::from_str(document).unwrap(), &mut found);
    }
    assert!(found.len() > 40, "{found:?}");
    for key in found {
        assert!(
            reference.contains(&format!("`{key}`")),
            "docs/reference/json.md says nothing of `{key}`"
        );
    }
}

#[test]
fn a_document_without_a_ledger_is_a_document() {
    let past = Past::new();
    let question = Question {
        reader: None,
        config: &past.config,
        now: at(0),
    };
    let devices = question.devices().unwrap();
    let text = printed(|output| json::print(&question, &devices, output));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(document["ledger"].is_null());
    assert_eq!(document["devices"].as_array().unwrap().len(), 7);
    assert_eq!(document["devices"][0]["state"], "never-visited");
}

#[test]
fn times_read_as_people_say_them() {
    for (seconds, text) in [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (200_000, "2 days ago"),
    ] {
        assert_eq!(times::ago(at(-seconds), at(0)), text);
    }
    assert_eq!(times::ago(at(1), at(0)), "in the future");
    assert_eq!(times::rfc3339(at(0)), "2026-05-01T12:00:00Z");
    let ends = [i64::MIN, i64::MAX].map(Timestamp::from_nanoseconds);
    assert_eq!(
        ends.map(times::to_the_second),
        ["1677-09-21 00:12:43", "2262-04-11 23:47:16"]
    );
    assert_eq!(times::from_jiff(jiff::Timestamp::MAX), ends[1]);
    assert_eq!(times::from_jiff(jiff::Timestamp::MIN), ends[0]);
}
