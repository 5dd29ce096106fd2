use std::os::unix::fs::PermissionsExt as _;

use engine::ports::{Ledger as _, LedgerError};
use model::{LedgerId, StoreId};

use super::{Place, at, device, options, path, record, source};
use crate::{OpenOptions, ReadError, Reader, SqliteLedger};

fn refusal(place: &Place) -> LedgerError {
    SqliteLedger::open(&place.path(), &options()).unwrap_err()
}

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_ledger_gets_an_id_and_keeps_it() {
    let (place, other) = (Place::new(), Place::new());
    let ledger = place.ledger();
    let id = ledger.id().clone();
    assert!(ledger.is_new());
    assert_eq!(id.as_str().len(), 16);
    assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(&id, other.ledger().id());
    drop(ledger);
    let ledger = place.ledger();
    assert_eq!((ledger.is_new(), ledger.id()), (false, &id));
    assert_eq!(place.reader().id(), &id);
}

#[tokio::test]
async fn the_id_of_a_lost_ledger_can_be_taken_up_again_but_not_put_over_another() {
    let place = Place::new();
    let with = |id: &str| OpenOptions {
        create_with: LedgerId::new(id),
        at: at(0),
    };
    let ledger = SqliteLedger::open(&place.path(), &with("lost")).unwrap();
    assert_eq!(ledger.id().as_str(), "lost");
    drop(ledger);
    let ledger = SqliteLedger::open(&place.path(), &with("other")).unwrap();
    assert_eq!(ledger.id().as_str(), "lost");
}

#[test]
fn a_second_gleaner_is_refused_while_the_first_is_at_work() {
    let place = Place::new();
    let first = place.ledger();
    assert!(matches!(refusal(&place), LedgerError::Busy { .. }));
    // By another name of the same file, too.
    let link = place.folder.path().join("link.db");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    let error = SqliteLedger::open(&link, &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Busy { .. }), "{error}");
    drop(first);
    place.ledger();
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    std::fs::create_dir(place.folder.path().join("state")).unwrap();
    place
        .sql()
        .execute_batch("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1;")
        .unwrap();
    let before = std::fs::read(place.path()).unwrap();
    let error = refusal(&place);
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("no ledger"), "{error}");
    assert!(matches!(
        Reader::open(&place.path()),
        Err(ReadError::Ledger(LedgerError::Damaged { .. }))
    ));
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    std::fs::create_dir(place.folder.path().join("state")).unwrap();
    for content in [&b"not a database, but long enough to look at"[..], &[0; 8192]] {
        std::fs::write(place.path(), content).unwrap();
        let error = refusal(&place);
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
        assert!(!crate::remedy(&error).is_empty());
        assert!(matches!(
            Reader::open(&place.path()),
            Err(ReadError::Ledger(LedgerError::Damaged { .. }))
        ));
        assert_eq!(std::fs::read(place.path()).unwrap(), content);
    }
}

#[tokio::test]
async fn a_malformed_ledger_is_called_damaged() {
    let place = Place::new();
    drop(place.ledger());
    let mut content = std::fs::read(place.path()).unwrap();
    content[4096..].fill(0xa5);
    std::fs::write(place.path(), &content).unwrap();
    let damaged = match SqliteLedger::open(&place.path(), &options()) {
        Ok(ledger) => ledger.record(vec![record("pi1", "a")]).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(damaged, LedgerError::Damaged { .. }), "{damaged}");
}

#[test]
fn a_ledger_of_a_newer_gleaner_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(place.ledger());
    place.sql().pragma_update(None, "user_version", 999).unwrap();
    let error = refusal(&place);
    assert!(
        matches!(error, LedgerError::NewerSchema { found: 999, .. }),
        "{error}"
    );
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Ledger(LedgerError::NewerSchema { found: 999, .. })
        ),
        "{error}"
    );
    let version: i64 = place
        .sql()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 999);
}

#[test]
fn a_creation_that_was_cut_short_is_taken_up_again() {
    let place = Place::new();
    std::fs::create_dir(place.folder.path().join("state")).unwrap();
    std::fs::write(place.path(), "").unwrap();
    assert!(matches!(
        Reader::open(&place.path()),
        Err(ReadError::Missing { .. })
    ));
    let journal: String = place
        .sql()
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
    assert!(matches!(
        Reader::open(&place.path()),
        Err(ReadError::Missing { .. })
    ));
    assert!(place.ledger().is_new());
}

#[test]
fn a_missing_ledger_is_missed_and_not_made() {
    let place = Place::new();
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(matches!(error, ReadError::Missing { .. }), "{error}");
    assert!(!error.remedy().is_empty());
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_look_takes_a_missing_ledger_to_be_empty_and_makes_none() {
    let place = Place::new();
    let options = OpenOptions {
        create_with: LedgerId::new("lost"),
        at: at(0),
    };
    let store = StoreId::new("a").unwrap();
    let ledger = SqliteLedger::open_without_making(&place.path(), &options).unwrap();
    assert_eq!((ledger.is_new(), ledger.id().as_str()), (true, "lost"));
    ledger.expect_store(&store).await.unwrap();
    assert_eq!(ledger.store().await.unwrap(), None);
    assert_eq!(ledger.last_clock(&device("pi1")).await.unwrap(), None);
    let remembered = ledger.known_files(&device("pi1"), &source(), &[path("a")]).await;
    assert_eq!(remembered.unwrap(), [None]);
    // What it is told after all, it knows as long as it is there.
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    let remembered = ledger.known_files(&device("pi1"), &source(), &[path("a")]).await;
    assert!(matches!(remembered.unwrap()[..], [Some(_)]));
    drop(ledger);
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_look_at_a_creation_that_was_cut_short_does_not_take_it_up() {
    let place = Place::new();
    std::fs::create_dir(place.folder.path().join("state")).unwrap();
    std::fs::write(place.path(), "").unwrap();
    drop(SqliteLedger::open_without_making(&place.path(), &options()).unwrap());
    assert_eq!(std::fs::metadata(place.path()).unwrap().len(), 0);
    let beside = std::fs::read_dir(place.folder.path().join("state")).unwrap();
    assert_eq!(beside.count(), 1);
}

#[tokio::test]
async fn a_look_at_a_ledger_that_is_there_is_refused_what_a_gleaner_at_work_would_be() {
    let place = Place::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let look = || SqliteLedger::open_without_making(&place.path(), &options());
    let ledger = place.ledger();
    let id = ledger.id().clone();
    assert!(matches!(look().unwrap_err(), LedgerError::Busy { .. }));
    drop(ledger);
    let ledger = look().unwrap();
    assert_eq!((ledger.is_new(), ledger.id()), (false, &id));
    ledger.expect_store(&store("a")).await.unwrap();
    assert_eq!(ledger.store().await.unwrap(), None, "a look binds nothing");
    ledger.bind_store(&store("a")).await.unwrap();
    ledger.expect_store(&store("a")).await.unwrap();
    let error = ledger.expect_store(&store("b")).await.unwrap_err();
    assert!(matches!(error, LedgerError::OtherStore { .. }), "{error}");
    let error = SqliteLedger::open_without_making(&place.path().join("ledger.db"), &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
}

#[test]
fn the_folder_is_made_for_the_group_and_nobody_else() {
    let place = Place::new();
    let path = place.folder.path().join("a/b/ledger.db");
    let _ledger = super::opened(&path);
    assert_eq!(mode(place.folder.path().join("a")), 0o750);
    assert_eq!(mode(place.folder.path().join("a/b")), 0o750);
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        assert_eq!(mode(path.with_file_name(file)), 0o640, "{file}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("file"), "").unwrap();
    let error = SqliteLedger::open(&place.folder.path().join("file/ledger.db"), &options()).unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("file/ledger.db"), "{error}");
}

#[tokio::test]
async fn the_first_store_is_remembered_and_another_is_refused() {
    let place = Place::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let ledger = place.ledger();
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
    let ledger = place.ledger();
    assert!(ledger.bind_store(&store("b")).await.is_err());
    assert_eq!(place.reader().store(), Some(&store("a")));
}

#[tokio::test]
async fn a_store_is_replaced_only_by_who_names_the_old_one() {
    let place = Place::new();
    let store = |id: &str| StoreId::new(id).unwrap();
    let ledger = place.ledger();
    ledger.bind_store(&store("a")).await.unwrap();
    assert!(ledger.rebind_store(&store("x"), &store("b")).await.is_err());
    assert_eq!(ledger.store().await.unwrap(), Some(store("a")));
    ledger.rebind_store(&store("a"), &store("b")).await.unwrap();
    // Said again after a crash, it is as good as done.
    ledger.rebind_store(&store("a"), &store("b")).await.unwrap();
    ledger.bind_store(&store("b")).await.unwrap();
    assert!(ledger.bind_store(&store("a")).await.is_err());
}

#[tokio::test]
async fn a_copy_of_the_one_file_of_a_closed_ledger_is_a_copy_of_all() {
    let (place, copy) = (Place::new(), Place::new());
    let ledger = place.ledger();
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    drop(ledger);
    std::fs::create_dir(copy.folder.path().join("state")).unwrap();
    std::fs::copy(place.path(), copy.path()).unwrap();
    let status = copy.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(status.totals.stored.files, 1);
}
