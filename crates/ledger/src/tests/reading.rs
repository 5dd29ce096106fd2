use engine::ports::{FileFilter, FileRow, History as _, HistoryError, LedgerError, Record, StoredCopy};
use model::{Digest, FileState, LeaveReason};

use super::{TempLedger, at, device, path, record, set_states, store};

fn listed(temp: &TempLedger, filter: FileFilter) -> Vec<String> {
    let files = temp.reader();
    let files = files.files(filter).unwrap();
    files
        .map(|file| file.unwrap())
        .map(|file: FileRow| format!("{}/{}", file.device, file.path))
        .collect()
}

#[tokio::test]
async fn files_are_listed_by_device_and_then_oldest_first() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    for (device, name, time) in [("pi2", "c", 3), ("pi1", "b", 2), ("pi2", "a", 1), ("pi2", "b", 1)] {
        let record = Record {
            at: at(time),
            ..record(device, name)
        };
        store(&ledger, device, vec![record]).await.unwrap();
    }
    assert_eq!(
        listed(&temp, FileFilter::default()),
        ["pi1/b", "pi2/a", "pi2/b", "pi2/c"]
    );
}

#[tokio::test]
async fn a_filter_selects_exactly_the_files_that_match_it() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let mut rows = Vec::new();
    for (name, time) in [("stored", 10), ("released", 20), ("kept", 30)] {
        for device in ["pi1", "pi2"] {
            let record = Record {
                at: at(time),
                ..record(device, name)
            };
            rows.extend(store(&ledger, device, vec![record]).await.unwrap());
        }
    }
    for (device, number) in [("pi1", 0), ("pi2", 1)] {
        let settled = vec![
            (rows[2 + number], FileState::Released, None),
            (rows[4 + number], FileState::Kept, Some(LeaveReason::KeptByRule)),
        ];
        set_states(&ledger, device, settled, at(40)).await.unwrap();
    }
    let all = FileFilter::default;
    let states = |states: &[FileState]| FileFilter {
        states: states.into(),
        ..all()
    };
    assert_eq!(listed(&temp, all()).len(), 6);
    assert_eq!(
        listed(&temp, states(&[FileState::Stored])),
        ["pi1/stored", "pi2/stored"]
    );
    assert_eq!(
        listed(&temp, states(&[FileState::Kept, FileState::Stored])),
        ["pi1/stored", "pi1/kept", "pi2/stored", "pi2/kept"]
    );
    assert_eq!(
        listed(&temp, states(&[FileState::Released])),
        ["pi1/released", "pi2/released"]
    );
    let one = FileFilter {
        devices: vec![device("pi2")],
        since: Some(at(20)),
        ..all()
    };
    assert_eq!(listed(&temp, one), ["pi2/released", "pi2/kept"]);
    assert!(
        listed(
            &temp,
            FileFilter {
                devices: vec![device("pi9")],
                ..all()
            }
        )
        .is_empty()
    );
}

#[tokio::test]
async fn a_list_of_many_pages_contains_each_file_once() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    // All recorded at the same time, so that only the row distinguishes them.
    let names: Vec<_> = (0..2500).map(|number| format!("{number:04}")).collect();
    store(
        &ledger,
        "pi1",
        names.iter().map(|name| record("pi1", name)).collect(),
    )
    .await
    .unwrap();
    store(
        &ledger,
        "pi2",
        names.iter().map(|name| record("pi2", name)).collect(),
    )
    .await
    .unwrap();
    let expected: Vec<_> = ["pi1", "pi2"]
        .into_iter()
        .flat_map(|device| names.iter().map(move |name| format!("{device}/{name}")))
        .collect();
    assert_eq!(listed(&temp, FileFilter::default()), expected);
}

#[tokio::test]
async fn a_reader_sees_acknowledged_records_and_does_not_block_the_writer() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows: Vec<_> = (0..1500)
        .map(|number| record("pi1", &format!("{number:04}")))
        .collect();
    store(&ledger, "pi1", rows).await.unwrap();
    let reader = temp.reader();
    let mut files = reader.files(FileFilter::default()).unwrap();
    assert_eq!(files.next().unwrap().unwrap().path, path("0000"));
    // While the list is being read, the writer writes and empties its log completely.
    store(
        &ledger,
        "pi1",
        vec![Record {
            at: at(100),
            ..record("pi1", "late")
        }],
    )
    .await
    .unwrap();
    let busy: i64 = temp
        .sql()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
    let rest: Vec<_> = files.map(|file| file.unwrap().path).collect();
    assert_eq!((rest.len(), rest.last()), (1500, Some(&path("late"))));
    assert_eq!(
        reader
            .device(&device("pi1"), at(0))
            .unwrap()
            .unwrap()
            .totals
            .stored
            .files,
        1501
    );
}

#[tokio::test]
async fn the_status_is_read_without_the_table_of_files() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    super::run_pass(&ledger, "pi1", at(0), engine::ports::PassOutcome::Well).await;
    store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    drop(ledger);
    // A query of a missing table would fail.
    temp.sql().execute_batch("DROP TABLE file").unwrap();
    let reader = temp.reader();
    let all = reader.devices(at(2)).unwrap();
    let one = reader.device(&device("pi1"), at(2)).unwrap().unwrap();
    assert_eq!((all.len(), all[0].totals.stored.files), (1, 1));
    assert_eq!((one.totals.stored.files, one.stored_today.files), (1, 1));
    assert_eq!(reader.passes(&device("pi1"), 5).unwrap().len(), 2);
    assert_eq!(reader.remaining(&device("pi1"), 5).unwrap(), []);
}

#[tokio::test]
async fn each_name_and_content_in_the_store_is_listed_once() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let stored = |name: &str, content: u8| Record {
        digest: Digest::from_bytes([content; 32]),
        store_name: path(name),
        ..record("pi1", "x")
    };
    for (name, content) in [("b", 1), ("a", 1), ("b", 1), ("b", 2), ("c", 1), ("b", 1)] {
        store(&ledger, "pi1", vec![stored(name, content)]).await.unwrap();
    }
    let copy = |name: &str, content: u8| StoredCopy {
        store_name: path(name),
        size: 10,
        digest: Digest::from_bytes([content; 32]),
    };
    let copies: Vec<_> = temp.reader().stored_copies().map(Result::unwrap).collect();
    assert_eq!(copies, [copy("a", 1), copy("b", 1), copy("b", 2), copy("c", 1)]);
    let many = (0..2500).map(|number| stored(&format!("{:04}", number / 2), 1));
    store(&ledger, "pi1", many.collect()).await.unwrap();
    assert_eq!(temp.reader().stored_copies().count(), 1250 + 4);
}

#[tokio::test]
async fn a_column_with_an_invalid_value_is_reported_as_damage() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    temp.sql().execute_batch("UPDATE file SET path = x'2f'").unwrap();
    let damaged = |error: HistoryError| matches!(error, HistoryError::Ledger(LedgerError::Damaged { .. }));
    let reader = temp.reader();
    let mut files = reader.files(FileFilter::default()).unwrap();
    assert!(damaged(files.next().unwrap().unwrap_err()));
    assert!(files.next().is_none());
}

#[test]
fn a_reader_of_an_older_ledger_says_which_command_migrates_it() {
    let location = "ledger.db".into();
    let error = HistoryError::OlderSchema { location, found: 1 };
    assert!(crate::read_remedy(&error).contains("gleaner run"));
}
