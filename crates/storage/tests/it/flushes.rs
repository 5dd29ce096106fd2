//! The cost of durability in flushes: exactly one per file, one per folder and batch, and a few more.

use engine::ports::{Placement, PublishFault, Store as _, StoreStatus as _};
use rustix::io::Errno;

use crate::context::{
    RANGE, TestStore, block_on, content, digest, inline_settings, name, now, publication, published,
    reproved, sealed, settings,
};
use crate::watched::{Call, WatchedDisk};

fn count(calls: &[Call], operation: &str) -> usize {
    calls.iter().filter(|call| call.operation == operation).count()
}

/// Files flushed, and folders flushed.
fn flushes(disk: &WatchedDisk) -> (usize, usize) {
    let calls = disk.take_calls();
    (
        count(&calls, "flush_file") + count(&calls, "flush_bytes"),
        count(&calls, "flush_folder"),
    )
}

#[test]
fn flushes_are_one_per_file_one_per_folder_and_batch_and_a_few() {
    for executor in [settings("ours"), inline_settings()] {
        let dir = TestStore::new();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, executor);
        assert_eq!(flushes(&disk), (0, 0));
        block_on(async {
            store.condition().await.unwrap();
            store.tidy_staging(now()).await.unwrap();
            assert_eq!(flushes(&disk), (0, 0));
            // The folders d1/day, d1/night and d2; in the first batch also d1 and the store itself, which
            // hold their names.
            for (batch, expected) in [(0, 5), (1, 3), (2, 3)] {
                let mut files = Vec::new();
                let mut publications = Vec::new();
                for number in 0..30_u8 {
                    let sealed = sealed(&store, &[batch, number]).await.unwrap();
                    let folder = ["d1/day", "d1/night", "d2"][usize::from(number % 3)];
                    publications.push(publication(&sealed, &format!("{folder}/{batch}-{number}")));
                    files.push(sealed);
                }
                assert_eq!(flushes(&disk), (30, 0));
                let answers = store.publish(publications).await.unwrap();
                assert!(answers.iter().all(|answer| *answer == Ok(Placement::New)));
                assert_eq!(flushes(&disk), (0, expected), "batch {batch}");
                store.retire(files).await.unwrap();
                assert_eq!(flushes(&disk), (0, 0));
            }
        });
    }
}

#[test]
fn a_large_file_is_flushed_once_per_range() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    block_on(sealed(&store, &content(4 * RANGE + 1, 1))).unwrap();
    // And once the folder of the partial name, which must not return.
    assert_eq!(flushes(&disk), (5, 1));
}

#[test]
fn a_new_folder_is_durable_before_a_file_in_it_counts_as_stored() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    block_on(async {
        published(&store, "a/b/1", b"bees").await.unwrap();
        disk.take_calls();
        // The store itself and a are known to be durable; a holds the name of c.
        published(&store, "a/c/2", b"bees").await.unwrap();
        assert_eq!(flushes(&disk).1, 2);
        // A folder that another process made under a known name is another folder.
        std::fs::remove_dir_all(dir.path.join("a/c")).unwrap();
        std::fs::create_dir(dir.path.join("a/c")).unwrap();
        published(&store, "a/c/3", b"bees").await.unwrap();
        assert_eq!(flushes(&disk).1, 2);
    });
}

#[test]
fn a_folder_that_another_process_made_is_flushed_by_this_one_too() {
    let dir = TestStore::new();
    block_on(published(&dir.open(), "a/b/1", b"bees")).unwrap();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.take_calls();
    block_on(published(&store, "a/b/2", b"bees")).unwrap();
    assert_eq!(flushes(&disk).1, 3);
}

#[test]
fn equal_content_is_flushed_before_it_counts_as_stored() {
    let dir = TestStore::new();
    dir.write("a/b", b"from rsync");
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    block_on(async {
        disk.take_calls();
        assert_eq!(published(&store, "a/b", b"from rsync").await, Ok(Placement::Same));
        // The sealed file and the existing one; its folder, and the store, which holds the folder's name.
        assert_eq!(flushes(&disk), (2, 2));
        reproved(&store, "a/b", b"from rsync").await;
        assert_eq!(flushes(&disk), (1, 1));
    });
}

#[test]
fn nothing_counts_as_stored_if_a_folder_cannot_be_flushed() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.refuse(|call| (call.operation == "flush_folder").then_some(Errno::IO));
    block_on(async {
        let file = sealed(&store, b"bees").await.unwrap();
        store.publish(vec![publication(&file, "a/b")]).await.unwrap_err();
        store
            .reprove(&name("a/b"), 4, &digest(b"bees"))
            .await
            .unwrap_err();
        disk.refuse_nothing();
        disk.take_calls();
        // A folder whose flush failed does not count as flushed.
        assert_eq!(published(&store, "a/b", b"bees").await, Ok(Placement::Same));
        assert_eq!(flushes(&disk), (2, 2));
    });
}

#[test]
fn equal_content_that_cannot_be_flushed_or_read_does_not_count() {
    for operation in ["flush_file", "read_at", "file_status", "open_file"] {
        let dir = TestStore::new();
        dir.write("a/b", b"bees");
        let disk = WatchedDisk::new();
        let store = dir.open_on(&disk);
        block_on(async {
            let file = sealed(&store, b"bees").await.unwrap();
            disk.refuse(move |call| (call.operation == operation).then_some(Errno::IO));
            let answers = store.publish(vec![publication(&file, "a/b")]).await.unwrap();
            assert!(
                matches!(answers[0], Err(PublishFault::Failed(_))),
                "{operation}: {answers:?}"
            );
        });
    }
}
