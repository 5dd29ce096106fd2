//! Destinations within the store: the checks before a file is fetched, and files for folders to which no link
//! leads from the store's own staging.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use engine::ports::{Placement, PublishFault, Room, Store as _, StoreError, StoreInspection as _};
use rustix::io::Errno;
use storage::{DirectoryStore, InitError, init};

use crate::context::{
    MODIFIED, TestStore, block_on, chunks, foreseen, foreseen_of, init_options, inline_settings, key, name,
    now, published, settings,
};
use crate::mounts::Mount;
use crate::watched::{Call, WatchedDisk};

/// Refuses the first call of that kind.
fn once(operation: &'static str, refusal: Errno) -> impl Fn(&Call) -> Option<Errno> + Send + Sync {
    let is_done = AtomicBool::new(false);
    move |call| {
        let is_it =
            call.operation == operation && !is_done.swap(call.operation == operation, Ordering::SeqCst);
        is_it.then_some(refusal)
    }
}

/// A store in which one file was copied beside its folder `day`.
fn divided() -> (TestStore, Arc<WatchedDisk>, DirectoryStore<WatchedDisk>) {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    disk.refuse(once("link", Errno::XDEV));
    assert_eq!(block_on(published(&store, "day/a", b"bees")), Ok(Placement::New));
    disk.refuse_nothing();
    (dir, disk, store)
}

fn area(dir: &TestStore) -> std::path::PathBuf {
    dir.path.join("day/.gleaner/staging/ours")
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_file_is_copied_beside_its_folder_if_no_link_leads_there() {
    let (dir, disk, store) = divided();
    assert_eq!(dir.read("day/a").unwrap(), b"bees");
    let modified = fs::metadata(dir.path.join("day/a")).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        u64::try_from(since.as_nanos()).unwrap(),
        u64::try_from(MODIFIED.nanoseconds()).unwrap()
    );
    dir.assert_staging_is_empty();
    assert_eq!(
        (
            count(&area(&dir).join("partial")),
            count(&area(&dir).join("sealed"))
        ),
        (0, 0)
    );
    assert_eq!(dir.visible().len(), 1);
    drop(store);
    // The next process knows the area and copies nothing.
    let store = dir.open_with(&disk, inline_settings());
    block_on(async {
        let room = foreseen(&store, "day/b").await;
        assert!(matches!(room, Ok(Room::Other { .. })), "{room:?}");
        let bound = engine::ports::StagingKey {
            folder: Some(name("day")),
            ..key(b"wasp")
        };
        let (staged, _) = store.stage(&bound, false).await.unwrap();
        disk.take_calls();
        let sealed = store.seal(staged, chunks(b"wasp"), MODIFIED).await.unwrap();
        assert_eq!(count(&area(&dir).join("sealed")), 1);
        store.retire(vec![sealed]).await.unwrap();
        assert_eq!(count(&area(&dir).join("sealed")), 0);
    });
}

#[test]
fn staging_beside_a_folder_is_tidied_and_removed_once_unused() {
    let (dir, disk, store) = divided();
    for left in ["sealed/0-1", "partial/probe-1"] {
        fs::write(area(&dir).join(left), b"left by a crash").unwrap();
    }
    drop(store);
    let store = dir.open_with(&disk, inline_settings());
    block_on(store.tidy_staging(now().minus(Duration::from_hours(1)))).unwrap();
    assert_eq!(
        (
            count(&area(&dir).join("partial")),
            count(&area(&dir).join("sealed"))
        ),
        (0, 0)
    );
    fs::create_dir_all(dir.path.join("day/.gleaner/staging/theirs")).unwrap();
    block_on(store.tidy_staging(now().plus(Duration::from_hours(1)))).unwrap();
    assert!(!area(&dir).exists(), "it was unused for long");
    assert!(
        dir.path.join("day/.gleaner/staging/theirs").exists(),
        "it is another collector's"
    );
    assert_eq!(count(&dir.path.join(".gleaner/staging/ours/beside")), 0);
    // The area is made again when it is needed.
    disk.refuse(once("link", Errno::XDEV));
    assert_eq!(block_on(published(&store, "day/b", b"wasp")), Ok(Placement::New));
}

#[test]
fn a_damaged_staging_note_is_written_again() {
    let (dir, disk, store) = divided();
    drop(store);
    let notes = dir.path.join(".gleaner/staging/ours/beside");
    let note = fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path();
    fs::write(&note, b"\xff\0 spoiled").unwrap();
    fs::write(area(&dir).join("sealed/0-1"), b"left by a crash").unwrap();
    let store = dir.open_with(&disk, inline_settings());
    // Without a readable note the area is unknown, which is no failure.
    block_on(store.tidy_staging(now().minus(Duration::from_hours(1)))).unwrap();
    disk.refuse(once("link", Errno::XDEV));
    assert_eq!(block_on(published(&store, "day/b", b"wasp")), Ok(Placement::New));
    disk.refuse_nothing();
    drop(store);
    let store = dir.open_with(&disk, inline_settings());
    block_on(store.tidy_staging(now().minus(Duration::from_hours(1)))).unwrap();
    assert_eq!(count(&area(&dir).join("sealed")), 0);
}

#[test]
fn a_mount_within_the_store_has_its_own_room_and_staging() {
    let dir = TestStore::new();
    let Some(mount) = Mount::tmpfs(&dir.path.join("r1"), 4) else {
        return;
    };
    let store = dir.open();
    block_on(async {
        let room = foreseen(&store, "r1/day/a").await.unwrap();
        assert!(
            matches!(room, Room::Other { bytes, .. } if bytes <= 4 << 20),
            "{room:?}"
        );
        assert!(mount.path().join(".gleaner/staging/ours/sealed").exists());
        assert!(!mount.path().join("day").exists(), "nothing visible is made");
        assert_eq!(published(&store, "r1/day/a", b"bees").await, Ok(Placement::New));
        store.quarantine(&name("r1/day/a")).await.unwrap();
    });
    assert_eq!(
        dir.read("r1/day/.gleaner/quarantine/1/r1/day/a").unwrap(),
        b"bees"
    );
    assert_eq!(dir.read("r1/day/a"), None);
}

#[test]
fn a_full_mount_within_the_store_affects_only_its_own_files() {
    let dir = TestStore::new();
    let Some(_mount) = Mount::tmpfs(&dir.path.join("r1"), 1) else {
        return;
    };
    let store = dir.open();
    let content = vec![7; 3 << 20];
    block_on(async {
        foreseen(&store, "r1/a").await.unwrap();
        let bound = engine::ports::StagingKey {
            folder: Some(name("r1")),
            ..key(&content)
        };
        let (staged, _) = store.stage(&bound, false).await.unwrap();
        let error = store
            .append(staged, chunks(&content))
            .await
            .map(drop)
            .unwrap_err();
        let is_room = matches!(
            &error,
            StoreError::OfFile {
                fault: PublishFault::NoRoom(_),
                ..
            }
        );
        assert!(is_room, "{error}");
        assert_eq!(published(&store, "r2/a", b"bees").await, Ok(Placement::New));
    });
}

#[test]
fn an_unusable_folder_is_reported_with_the_true_reason() {
    for (refusal, expected_text) in [
        (Errno::ACCESS, "day: Permission denied"),
        (Errno::ROFS, "day: Read-only file system"),
        (Errno::PERM, "day: Operation not permitted"),
    ] {
        let dir = TestStore::in_memory();
        dir.write("day/there", b"x");
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| (call.operation == "may_write").then_some(refusal));
        let answer = block_on(foreseen(&store, "day/a"));
        assert!(
            matches!(&answer, Err(PublishFault::Unusable(text)) if text.starts_with(expected_text)),
            "{answer:?}"
        );
    }
}

#[test]
fn an_unusual_name_is_tried_before_its_file_is_fetched() {
    for (refusal, is_long) in [
        (Errno::INVAL, false),
        (Errno::ILSEQ, false),
        (Errno::NAMETOOLONG, true),
    ] {
        let dir = TestStore::in_memory();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| (call.operation == "create_file").then_some(refusal));
        block_on(async {
            for odd in ["a:b", "day?/a", "e\u{301}"] {
                let answer = foreseen(&store, odd).await;
                let is_right = match &answer {
                    Err(PublishFault::Unacceptable(_)) => is_long,
                    Err(PublishFault::Forbidden(_)) => !is_long,
                    _ => false,
                };
                assert!(is_right, "{odd}: {answer:?}");
            }
            assert_eq!(
                foreseen(&store, "day/a.jpg").await,
                Ok(Room::OfStore),
                "an ordinary one"
            );
        });
        disk.refuse_nothing();
        dir.assert_staging_is_empty();
    }
}

#[test]
fn a_size_that_no_file_can_have_is_reported_in_advance() {
    const LARGE: u64 = 5 << 30;
    for unsupported in [false, true] {
        let dir = TestStore::in_memory();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| match call.operation {
            "preallocate" if unsupported => Some(Errno::OPNOTSUPP),
            "preallocate" | "write_at" => Some(Errno::FBIG),
            _ => None,
        });
        block_on(async {
            let answer = foreseen_of(&store, "a", LARGE).await;
            assert!(matches!(answer, Err(PublishFault::TooLarge(_))), "{answer:?}");
            assert_eq!(foreseen_of(&store, "a", 1 << 20).await, Ok(Room::OfStore));
        });
        dir.assert_staging_is_empty();
    }
}

#[test]
fn a_file_too_large_for_the_store_affects_only_itself() {
    for operation in ["write_at", "preallocate"] {
        let dir = TestStore::in_memory();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        let content = vec![7; 9 << 20];
        block_on(async {
            let (staged, _) = store.stage(&key(&content), false).await.unwrap();
            disk.refuse(once(operation, Errno::FBIG));
            let error = store
                .append(staged, chunks(&content))
                .await
                .map(drop)
                .unwrap_err();
            let is_of_file = |error: &StoreError| match error {
                StoreError::OfFile { fault, .. } => matches!(fault, PublishFault::TooLarge(_)),
                _ => false,
            };
            assert!(is_of_file(&error), "{operation}: {error}");
            dir.assert_staging_is_empty();
            assert_eq!(published(&store, "a", b"bees").await, Ok(Placement::New));
        });
    }
}

#[test]
fn a_store_without_links_and_safe_renames_is_recognised() {
    // Linux itself refuses to replace a file, and asks the file system only about a free name. rclone replies
    // to links with EIO.
    for link in [Errno::PERM, Errno::NOSYS, Errno::ACCESS, Errno::IO] {
        let folder = tempfile::TempDir::new().unwrap();
        let disk = WatchedDisk::new();
        let renames = AtomicUsize::new(0);
        disk.refuse(move |call| match call.operation {
            "link" => Some(link),
            "rename_without_replacing" if renames.fetch_add(1, Ordering::SeqCst) == 0 => Some(Errno::EXIST),
            "rename_without_replacing" => Some(Errno::INVAL),
            _ => None,
        });
        let refused = init(&disk, folder.path(), &init_options());
        assert!(
            matches!(refused, Err(InitError::Store(StoreError::CannotPublish { .. }))),
            "{link}: {refused:?}"
        );
        assert_eq!(count(&folder.path().join(".gleaner")), 0);
    }
}

#[test]
fn a_full_store_is_not_mistaken_for_one_without_links() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    disk.refuse(|call| (call.operation == "link").then_some(Errno::NOSPC));
    let error = DirectoryStore::open(dir.folder(&disk), settings("ours")).map(drop);
    assert!(error.is_err_and(|error| matches!(error, StoreError::Full { .. })));
}
