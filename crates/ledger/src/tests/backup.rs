use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use engine::ports::{History as _, HistoryError, Ledger as _, LedgerError};

use super::writing::SmallTmpfs;
use super::{TempLedger, at, device, record};
use crate::schema::MIGRATIONS;
use crate::{Backup, BackupError, Reader, backup};

fn target(temp: &TempLedger) -> PathBuf {
    temp.folder.path().join("copy.db")
}

fn entries(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort_unstable();
    names
}

/// The number of recorded files by the totals and by the rows, of a copy.
fn counts(copy: &Path) -> (u64, u64) {
    let reader = Reader::open(copy).unwrap();
    let status = reader.device(&device("pi1"), at(0)).unwrap();
    let files = reader
        .files(engine::ports::FileFilter::default())
        .unwrap()
        .count();
    let stored = status.map_or(0, |status| status.totals.stored.files);
    (stored, u64::try_from(files).unwrap())
}

#[tokio::test]
async fn a_backup_is_a_complete_private_ledger_in_a_single_file() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    super::store(&ledger, "pi1", vec![record("pi1", "a"), record("pi1", "b")])
        .await
        .unwrap();
    let target = target(&temp);
    let Backup { bytes, files } = backup(&temp.path(), &target).unwrap();
    let copy = std::fs::metadata(&target).unwrap();
    assert_eq!((copy.len(), files), (bytes, 2));
    assert_eq!(copy.permissions().mode() & 0o777, 0o600);
    assert_eq!(entries(temp.folder.path()), ["copy.db", "state"]);
    assert_eq!(Reader::open(&target).unwrap().id(), ledger.id());
    // A gleaner can continue with it.
    let restored = super::opened(&target);
    assert_eq!(restored.id(), ledger.id());
    super::store(&restored, "pi1", vec![record("pi1", "c")])
        .await
        .unwrap();
    assert_eq!(counts(&target), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_writer_has_the_content_of_one_moment() {
    const BATCH: u64 = 7;
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let stop = AtomicBool::new(false);
    let batch = async |number: u64| {
        let records = (0..BATCH).map(|file| record("pi1", &format!("{number}/{file}")));
        super::store(&ledger, "pi1", records.collect()).await.unwrap();
    };
    batch(0).await;
    let copies = || {
        let mut files = Vec::new();
        for number in 0..8 {
            let before = counts(&temp.path()).0;
            let target = temp.folder.path().join(number.to_string());
            let copy = backup(&temp.path(), &target).unwrap();
            let after = counts(&temp.path()).0;
            assert_eq!(counts(&target), (copy.files, copy.files));
            assert_eq!(
                copy.files % BATCH,
                0,
                "a batch is in the copy whole or not at all"
            );
            assert!(
                (before..=after).contains(&copy.files),
                "{before} {copy:?} {after}"
            );
            files.push(copy.files);
        }
        stop.store(true, Ordering::Release);
        files
    };
    let files = std::thread::scope(|scope| {
        let copying = scope.spawn(copies);
        let writer = async {
            let mut number = 1;
            while !stop.load(Ordering::Acquire) && !copying.is_finished() {
                batch(number).await;
                number += 1;
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(writer));
        copying.join().unwrap()
    });
    assert!(
        files.first() < files.last(),
        "the writer continued meanwhile: {files:?}"
    );
}

#[test]
fn a_backup_does_not_replace_an_existing_file() {
    let temp = TempLedger::new();
    let _ledger = temp.ledger();
    let target = target(&temp);
    std::fs::write(&target, "mine").unwrap();
    let link = temp.folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for existing in [&target, &link, &temp.path()] {
        let error = backup(&temp.path(), existing).unwrap_err();
        assert!(matches!(error, BackupError::Exists { .. }), "{error}");
        assert!(!error.remedy().is_empty());
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    assert_eq!(entries(temp.folder.path()), ["copy.db", "link", "state"]);
}

#[test]
fn a_backup_of_a_missing_ledger_is_an_error_and_leaves_no_file() {
    let temp = TempLedger::new();
    let error = backup(&temp.path(), &target(&temp)).unwrap_err();
    assert!(
        matches!(error, BackupError::Ledger(HistoryError::Missing { .. })),
        "{error}"
    );
    assert_eq!(entries(temp.folder.path()), Vec::<String>::new());
}

#[test]
fn a_backup_of_a_malformed_ledger_is_an_error_and_leaves_no_file() {
    let temp = TempLedger::new();
    drop(temp.ledger());
    let mut content = std::fs::read(temp.path()).unwrap();
    content[4096..].fill(0xa5);
    std::fs::write(temp.path(), &content).unwrap();
    let error = backup(&temp.path(), &target(&temp)).unwrap_err();
    assert!(
        matches!(
            error,
            BackupError::Ledger(HistoryError::Ledger(LedgerError::Damaged { .. }))
        ),
        "{error}"
    );
    assert_eq!(entries(temp.folder.path()), ["state"]);
}

#[test]
fn a_backup_into_a_missing_folder_is_an_error_that_names_the_copy() {
    let temp = TempLedger::new();
    let _ledger = temp.ledger();
    let error = backup(&temp.path(), &temp.folder.path().join("none/copy.db")).unwrap_err();
    assert!(matches!(error, BackupError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("none/copy.db"), "{error}");
}

#[tokio::test]
async fn a_backup_to_a_full_disk_leaves_no_file() {
    let Some(disk) = SmallTmpfs::mount() else { return };
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let records = (0..40_000).map(|number| record("pi1", &number.to_string()));
    super::store(&ledger, "pi1", records.collect()).await.unwrap();
    let target = disk.folder.path().join("copy.db");
    let error = backup(&temp.path(), &target).unwrap_err();
    let BackupError::Failed { reason, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(reason, "the disk is full");
    assert_eq!(entries(disk.folder.path()), Vec::<String>::new());
    disk.resize("64m");
    assert_eq!(backup(&temp.path(), &target).unwrap().files, 40_000);
    assert_eq!(entries(disk.folder.path()), ["copy.db"]);
}

#[test]
fn a_backup_of_an_older_ledger_keeps_its_schema() {
    let temp = TempLedger::new();
    std::fs::create_dir(temp.path().parent().unwrap()).unwrap();
    let sql = temp.sql();
    for step in &MIGRATIONS[..6] {
        sql.execute_batch(step).unwrap();
    }
    sql.pragma_update(None, "application_id", crate::schema::APPLICATION_ID)
        .unwrap();
    sql.pragma_update(None, "user_version", 6).unwrap();
    assert_eq!(backup(&temp.path(), &target(&temp)).unwrap().files, 0);
    assert!(matches!(
        Reader::open(&target(&temp)),
        Err(HistoryError::OlderSchema { found: 6, .. })
    ));
}

#[test]
fn the_path_of_a_backup_may_be_any_bytes() {
    let temp = TempLedger::new();
    let _ledger = temp.ledger();
    let folder = temp
        .folder
        .path()
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9 'x' ?#%41"));
    std::fs::create_dir(&folder).unwrap();
    backup(&temp.path(), &folder.join("file:copy.db?mode=ro")).unwrap();
    assert_eq!(entries(&folder), ["file:copy.db?mode=ro"]);
}
