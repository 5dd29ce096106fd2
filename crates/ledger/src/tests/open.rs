use std::os::unix::fs::PermissionsExt as _;

use engine::ports::{History as _, HistoryError, Ledger as _, LedgerError};
use model::{LedgerId, StoreId};

use super::{TempLedger, at, device, options, path, record, source};
use crate::{OpenOptions, Reader, SqliteLedger};

fn refusal(temp: &TempLedger) -> LedgerError {
    SqliteLedger::open(&temp.path(), &options()).unwrap_err()
}

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_ledger_gets_an_id_and_keeps_it() {
    let (temp, other) = (TempLedger::new(), TempLedger::new());
    let ledger = temp.ledger();
    let id = ledger.id().clone();
    assert!(ledger.is_new());
    assert_eq!(id.as_str().len(), 16);
    assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(&id, other.ledger().id());
    drop(ledger);
    let ledger = temp.ledger();
    assert_eq!((ledger.is_new(), ledger.id()), (false, &id));
    assert_eq!(temp.reader().id(), &id);
}

#[tokio::test]
async fn a_new_ledger_can_take_the_id_of_a_lost_one_but_an_existing_one_cannot() {
    let temp = TempLedger::new();
    let with = |id: &str| OpenOptions {
        create_with: LedgerId::new(id),
        at: at(0),
    };
    let ledger = SqliteLedger::open(&temp.path(), &with("lost")).unwrap();
    assert_eq!(ledger.id().as_str(), "lost");
    drop(ledger);
    let ledger = SqliteLedger::open(&temp.path(), &with("other")).unwrap();
    assert_eq!(ledger.id().as_str(), "lost");
}

#[test]
fn a_second_gleaner_is_refused_while_the_first_has_the_ledger() {
    let temp = TempLedger::new();
    let first = temp.ledger();
    assert!(matches!(refusal(&temp), LedgerError::Busy { .. }));
    // Also by another name of the same file.
    let link = temp.folder.path().join("link.db");
    std::os::unix::fs::symlink(temp.path(), &link).unwrap();
    let error = SqliteLedger::open(&link, &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Busy { .. }), "{error}");
    drop(first);
    temp.ledger();
}

#[test]
fn the_database_of_another_program_is_refused_and_not_changed() {
    let temp = TempLedger::new();
    std::fs::create_dir(temp.folder.path().join("state")).unwrap();
    temp.sql()
        .execute_batch("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1;")
        .unwrap();
    let before = std::fs::read(temp.path()).unwrap();
    let error = refusal(&temp);
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    assert!(
        error.to_string().contains("the database of another program"),
        "{error}"
    );
    assert!(matches!(
        Reader::open(&temp.path()),
        Err(HistoryError::Ledger(LedgerError::Damaged { .. }))
    ));
    assert_eq!(std::fs::read(temp.path()).unwrap(), before);
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_not_changed() {
    let temp = TempLedger::new();
    std::fs::create_dir(temp.folder.path().join("state")).unwrap();
    for content in [&b"not a database, but long enough to look at"[..], &[0; 8192]] {
        std::fs::write(temp.path(), content).unwrap();
        let error = refusal(&temp);
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
        assert!(!crate::remedy(&error).is_empty());
        assert!(matches!(
            Reader::open(&temp.path()),
            Err(HistoryError::Ledger(LedgerError::Damaged { .. }))
        ));
        assert_eq!(std::fs::read(temp.path()).unwrap(), content);
    }
}

#[tokio::test]
async fn a_malformed_ledger_is_reported_as_damaged() {
    let temp = TempLedger::new();
    drop(temp.ledger());
    let mut content = std::fs::read(temp.path()).unwrap();
    content[4096..].fill(0xa5);
    std::fs::write(temp.path(), &content).unwrap();
    let damaged = match SqliteLedger::open(&temp.path(), &options()) {
        Ok(ledger) => super::store(&ledger, "pi1", vec![record("pi1", "a")])
            .await
            .unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(damaged, LedgerError::Damaged { .. }), "{damaged}");
}

#[test]
fn a_ledger_of_a_newer_gleaner_is_refused_and_not_changed() {
    let temp = TempLedger::new();
    drop(temp.ledger());
    temp.sql().pragma_update(None, "user_version", 999).unwrap();
    let error = refusal(&temp);
    assert!(
        matches!(error, LedgerError::NewerSchema { found: 999, .. }),
        "{error}"
    );
    let error = Reader::open(&temp.path()).unwrap_err();
    assert!(
        matches!(
            error,
            HistoryError::Ledger(LedgerError::NewerSchema { found: 999, .. })
        ),
        "{error}"
    );
    let version: i64 = temp
        .sql()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 999);
}

#[test]
fn an_interrupted_creation_is_completed_by_the_next_open() {
    let temp = TempLedger::new();
    std::fs::create_dir(temp.folder.path().join("state")).unwrap();
    std::fs::write(temp.path(), "").unwrap();
    assert!(matches!(
        Reader::open(&temp.path()),
        Err(HistoryError::Missing { .. })
    ));
    let journal: String = temp
        .sql()
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
    assert!(matches!(
        Reader::open(&temp.path()),
        Err(HistoryError::Missing { .. })
    ));
    assert!(temp.ledger().is_new());
}

#[test]
fn a_reader_reports_a_missing_ledger_and_does_not_create_it() {
    let temp = TempLedger::new();
    let error = Reader::open(&temp.path()).unwrap_err();
    assert!(matches!(error, HistoryError::Missing { .. }), "{error}");
    assert!(!crate::read_remedy(&error).is_empty());
    assert_eq!(std::fs::read_dir(temp.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_dry_run_takes_a_missing_ledger_as_empty_and_does_not_create_it() {
    let temp = TempLedger::new();
    let options = OpenOptions {
        create_with: LedgerId::new("lost"),
        at: at(0),
    };
    let store = StoreId::new("a").unwrap();
    let ledger = SqliteLedger::open_without_creating(&temp.path(), &options).unwrap();
    assert_eq!((ledger.is_new(), ledger.id().as_str()), (true, "lost"));
    ledger.expect_store(&store).await.unwrap();
    assert_eq!(ledger.store().await.unwrap(), None);
    assert_eq!(ledger.last_clock(&device("pi1")).await.unwrap(), None);
    let known = ledger.known_files(&device("pi1"), &source(), &[path("a")]).await;
    assert_eq!(known.unwrap(), [None]);
    // It keeps records as long as it is open.
    super::store(&ledger, "pi1", vec![record("pi1", "a")])
        .await
        .unwrap();
    let known = ledger.known_files(&device("pi1"), &source(), &[path("a")]).await;
    assert!(matches!(known.unwrap()[..], [Some(_)]));
    drop(ledger);
    assert_eq!(std::fs::read_dir(temp.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_dry_run_does_not_complete_an_interrupted_creation() {
    let temp = TempLedger::new();
    std::fs::create_dir(temp.folder.path().join("state")).unwrap();
    std::fs::write(temp.path(), "").unwrap();
    drop(SqliteLedger::open_without_creating(&temp.path(), &options()).unwrap());
    assert_eq!(std::fs::metadata(temp.path()).unwrap().len(), 0);
    let beside = std::fs::read_dir(temp.folder.path().join("state")).unwrap();
    assert_eq!(beside.count(), 1);
}

#[tokio::test]
async fn a_dry_run_with_an_existing_ledger_is_refused_as_a_run_would_be() {
    let temp = TempLedger::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let open = || SqliteLedger::open_without_creating(&temp.path(), &options());
    let ledger = temp.ledger();
    let id = ledger.id().clone();
    assert!(matches!(open().unwrap_err(), LedgerError::Busy { .. }));
    drop(ledger);
    let ledger = open().unwrap();
    assert_eq!((ledger.is_new(), ledger.id()), (false, &id));
    ledger.expect_store(&store("a")).await.unwrap();
    assert_eq!(
        ledger.store().await.unwrap(),
        None,
        "a dry run does not bind the ledger"
    );
    ledger.bind_store(&store("a")).await.unwrap();
    ledger.expect_store(&store("a")).await.unwrap();
    let error = ledger.expect_store(&store("b")).await.unwrap_err();
    assert!(matches!(error, LedgerError::OtherStore { .. }), "{error}");
    let error = SqliteLedger::open_without_creating(&temp.path().join("ledger.db"), &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
}

#[test]
fn only_the_owner_and_the_group_have_access_to_a_new_folder() {
    let temp = TempLedger::new();
    let path = temp.folder.path().join("a/b/ledger.db");
    let _ledger = super::opened(&path);
    assert_eq!(mode(temp.folder.path().join("a")), 0o750);
    assert_eq!(mode(temp.folder.path().join("a/b")), 0o750);
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        assert_eq!(mode(path.with_file_name(file)), 0o640, "{file}");
    }
}

#[test]
fn an_error_names_the_folder_that_cannot_be_created() {
    let temp = TempLedger::new();
    std::fs::write(temp.folder.path().join("file"), "").unwrap();
    let error = SqliteLedger::open(&temp.folder.path().join("file/ledger.db"), &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("file/ledger.db"), "{error}");
}

#[tokio::test]
async fn a_ledger_is_bound_to_the_first_store_and_refuses_another() {
    let temp = TempLedger::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let ledger = temp.ledger();
    assert_eq!(ledger.store().await.unwrap(), None);
    ledger.bind_store(&store("a")).await.unwrap();
    ledger.bind_store(&store("a")).await.unwrap();
    let error = ledger.bind_store(&store("b")).await.unwrap_err();
    let LedgerError::OtherStore {
        remembered, found, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((remembered, found), (store("a"), store("b")));
    drop(ledger);
    let ledger = temp.ledger();
    assert!(ledger.bind_store(&store("b")).await.is_err());
    assert_eq!(temp.reader().store(), Some(&store("a")));
}

#[tokio::test]
async fn a_store_is_replaced_only_if_the_caller_names_the_old_one() {
    let temp = TempLedger::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let ledger = temp.ledger();
    ledger.bind_store(&store("a")).await.unwrap();
    assert!(ledger.rebind_store(&store("x"), &store("b")).await.is_err());
    assert_eq!(ledger.store().await.unwrap(), Some(store("a")));
    ledger.rebind_store(&store("a"), &store("b")).await.unwrap();
    // Repeated after a crash, it succeeds.
    ledger.rebind_store(&store("a"), &store("b")).await.unwrap();
    ledger.bind_store(&store("b")).await.unwrap();
    assert!(ledger.bind_store(&store("a")).await.is_err());
}

#[tokio::test]
async fn the_single_file_of_a_closed_ledger_is_a_complete_copy() {
    let (temp, copy) = (TempLedger::new(), TempLedger::new());
    let ledger = temp.ledger();
    super::store(&ledger, "pi1", vec![record("pi1", "a")])
        .await
        .unwrap();
    drop(ledger);
    std::fs::create_dir(copy.folder.path().join("state")).unwrap();
    std::fs::copy(temp.path(), copy.path()).unwrap();
    let status = copy.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(status.totals.stored.files, 1);
}
