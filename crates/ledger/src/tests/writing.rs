use std::process::Command;
use std::sync::Arc;

use engine::ports::{FileFilter, History as _, Ledger as _, LedgerError, RowId};
use model::FileState;
use rusqlite::StatementStatus;

use super::{TempLedger, at, begin, device, is_root, opened, path, record, source, store};

#[test]
fn every_commit_is_flushed() {
    let temp = TempLedger::new();
    let opened = crate::open::open(&temp.path(), &super::options()).unwrap();
    let pragma = |name: &str| -> String {
        let value = opened
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        match value.unwrap() {
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    };
    assert_eq!(pragma("journal_mode"), "wal");
    // 2 is FULL: every commit flushes the log.
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("foreign_keys"), "Integer(1)");
    assert_eq!(pragma("application_id"), format!("Integer({})", 0x676c_6e72));
    assert_eq!(
        pragma("user_version"),
        format!("Integer({})", crate::schema::VERSION)
    );
    assert_eq!(pragma("busy_timeout"), "Integer(5000)");
}

#[tokio::test]
async fn of_many_requests_at_once_only_the_faulty_ones_fail() {
    let temp = TempLedger::new();
    let ledger = Arc::new(temp.ledger());
    let lease = Arc::new(begin(&ledger, "pi1").await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (ledger, lease) = (Arc::clone(&ledger), Arc::clone(&lease));
        tasks.spawn(async move {
            if number % 10 == 3 {
                let unknown = vec![(RowId(1_000_000), FileState::Released, None)];
                return (
                    number,
                    ledger.set_states(&lease, unknown, at(0)).await.map(|()| RowId(0)),
                );
            }
            let rows = ledger
                .record(&lease, vec![record("pi1", &number.to_string())])
                .await;
            (number, rows.map(|rows| rows[0]))
        });
    }
    let mut rows = std::collections::BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        let (number, outcome) = done.unwrap();
        assert_eq!(outcome.is_err(), number % 10 == 3, "{number}");
        if let Ok(row) = outcome {
            let known = ledger
                .known_files(&device("pi1"), &source(), &[path(number.to_string())])
                .await
                .unwrap();
            assert_eq!(known[0].as_ref().unwrap().row, row);
            rows.insert(row);
        }
    }
    assert_eq!(rows.len(), 180);
    assert_eq!(
        temp.reader()
            .device(&device("pi1"), at(0))
            .unwrap()
            .unwrap()
            .totals
            .stored
            .files,
        180
    );
}

#[test]
fn a_failed_request_does_not_undo_the_others_of_its_group() {
    let temp = TempLedger::new();
    let mut opened = crate::open::open(&temp.path(), &super::options()).unwrap();
    let ((good, good_reply), (bad, bad_reply)) = (
        crate::worker::new_request(|ledger| crate::names::device(ledger, &device("good"))),
        crate::worker::new_request(|ledger| {
            crate::names::device(ledger, &device("bad"))?;
            ledger.execute("INSERT INTO nothing VALUES (1)", ()).map(|_| 0)
        }),
    );
    let (second, second_reply) =
        crate::worker::new_request(|ledger| crate::names::device(ledger, &device("second")));
    crate::worker::commit(&mut opened.connection, vec![good, bad, second], &opened.path);
    assert!(good_reply.blocking_recv().unwrap().is_ok());
    assert!(bad_reply.blocking_recv().unwrap().is_err());
    assert!(second_reply.blocking_recv().unwrap().is_ok());
    let names: Vec<_> = temp
        .reader()
        .devices(at(0))
        .unwrap()
        .into_iter()
        .map(|device| device.name)
        .collect();
    assert_eq!(names, [device("good"), device("second")]);
}

#[tokio::test]
async fn a_request_whose_caller_left_is_done_whole_or_not_at_all() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = begin(&ledger, "pi1").await;
    for number in 0..20 {
        let records: Vec<_> = (0..50)
            .map(|file| record("pi1", &format!("{number}/{file}")))
            .collect();
        let request = ledger.record(&lease, records);
        // Polled once, then dropped.
        drop(tokio::time::timeout(std::time::Duration::ZERO, request).await);
    }
    drop(ledger);
    let files = temp.reader().files(FileFilter::default()).unwrap().count();
    assert_eq!(files % 50, 0);
}

#[tokio::test]
async fn the_ledger_works_again_after_its_disk_was_full() {
    let Some(disk) = SmallTmpfs::mount() else { return };
    let ledger = opened(&disk.folder.path().join("ledger.db"));
    let mut recorded = 0;
    let full = loop {
        let batch = (0..100)
            .map(|number| record("pi1", &format!("{recorded}/{number}")))
            .collect();
        match store(&ledger, "pi1", batch).await {
            Ok(rows) => recorded += rows.len(),
            Err(error) => break error,
        }
        assert!(recorded < 1_000_000);
    };
    let LedgerError::Failed { reason, .. } = &full else {
        panic!("{full}")
    };
    assert_eq!(reason, "the disk is full");
    // Acknowledged records can be read, and the ledger records again once there is room.
    let first = ledger
        .known_files(&device("pi1"), &source(), &[path("0/0")])
        .await
        .unwrap();
    assert!(first[0].is_some());
    disk.resize("16m");
    let rows = store(&ledger, "pi1", vec![record("pi1", "after")]).await.unwrap();
    assert_eq!(usize::try_from(rows[0].0).unwrap(), recorded + 1);
}

/// A tmpfs of 4 MiB; only root can mount one.
pub(super) struct SmallTmpfs {
    pub(super) folder: tempfile::TempDir,
}

impl SmallTmpfs {
    pub(super) fn mount() -> Option<Self> {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mounted = is_root() && disk.run_mount("size=4m");
        mounted.then_some(disk)
    }

    pub(super) fn resize(&self, size: &str) {
        assert!(self.run_mount(&format!("remount,size={size}")));
    }

    fn run_mount(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(self.folder.path());
        mount.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallTmpfs {
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .arg("--lazy")
                .arg(self.folder.path())
                .stderr(std::process::Stdio::null())
                .status(),
        );
    }
}

#[test]
fn each_statement_is_compiled_once_for_any_number_of_files() {
    let temp = TempLedger::new();
    let opened = crate::open::open(&temp.path(), &super::options()).unwrap();
    let ledger = &opened.connection;
    let records: Vec<_> = (0..10).map(|number| record("pi1", &number.to_string())).collect();
    let lease = crate::lease::begin(ledger, &device("pi1"), at(0)).unwrap();
    let known_device = crate::lease::device(ledger, &lease).unwrap().unwrap();
    let rows = crate::records::record(ledger, known_device, lease.row(), &records).unwrap();
    for row in rows {
        crate::records::set_states(ledger, known_device, &[(row, FileState::Released, None)], at(0)).unwrap();
    }
    for text in [
        include_str!("../sql/read/row.sql"),
        include_str!("../sql/write/record.sql"),
        include_str!("../sql/write/set_state.sql"),
    ] {
        let statement = ledger.prepare_cached(text).unwrap();
        assert!(statement.get_status(StatementStatus::Run) >= 10, "{text}");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{text}");
    }
}
