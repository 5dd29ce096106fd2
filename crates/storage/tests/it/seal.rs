//! What is received becomes a sealed file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::Ordering;

use engine::ports::{Store as _, StoreError};
use storage::Settings;

use crate::context::{
    EARNEST_RANGE, Home, MODIFIED, RANGE, block_on, chunks, content, digest, key, published, sealed, settings,
};
use crate::watched::WatchedDisk;

#[test]
fn a_sealed_file_has_the_digest_of_its_bytes_and_of_each_range() {
    let home = Home::new();
    let store = home.open();
    block_on(async {
        for length in [
            0,
            1,
            40_000,
            200_000,
            RANGE - 1,
            RANGE,
            RANGE + 1,
            3 * RANGE,
            3 * RANGE + 7,
        ] {
            let content = content(length, 1);
            let sealed = sealed(&store, &content).await.unwrap();
            assert_eq!((sealed.size, sealed.digest), (length, digest(&content)));
            let mut end = 0;
            for range in &sealed.ranges {
                assert_eq!(range.offset, end);
                end += range.length;
                let part = &content[usize::try_from(range.offset).unwrap()..usize::try_from(end).unwrap()];
                assert_eq!(range.digest, digest(part));
            }
            assert_eq!(end, length);
            assert_eq!(sealed.ranges.len() as u64, length.div_ceil(RANGE).max(1));
            let path = home.path.join(".gleaner/staging/ours/sealed").join(&sealed.token);
            assert_eq!(fs::read(&path).unwrap(), content);
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(
                (metadata.mtime(), metadata.mtime_nsec()),
                (1_500_000_000, 123_456_789)
            );
        }
    });
    assert_eq!(home.staging("partial"), [""; 0]);
    assert_eq!(home.visible(), []);
}

#[test]
fn chunks_may_come_in_any_number_of_appends() {
    let home = Home::new();
    let store = home.open();
    let content = content(2 * RANGE + 12_345, 2);
    block_on(async {
        let (mut staged, _) = store.stage(&key(&content), false).await.unwrap();
        for part in content.chunks(77_777) {
            staged = store.append(staged, chunks(part)).await.unwrap();
        }
        let sealed = store.seal(staged, Vec::new(), MODIFIED).await.unwrap();
        assert_eq!(sealed.digest, digest(&content));
        assert_eq!(sealed.ranges.len(), 3);
    });
}

#[test]
fn a_file_in_earnest_ranges_is_proved_too() {
    let home = Home::new();
    let settings = Settings {
        range_length: EARNEST_RANGE,
        ..settings("ours")
    };
    let store = home.open_with(&WatchedDisk::new(), settings);
    let content = content(EARNEST_RANGE + 1, 3);
    let sealed = block_on(sealed(&store, &content)).unwrap();
    assert_eq!(sealed.digest, digest(&content));
    assert_eq!(sealed.ranges.len(), 2);
}

#[test]
fn bytes_that_come_back_other_than_they_were_written_are_never_sealed() {
    for length in [1, RANGE + 1, 3 * RANGE] {
        let home = Home::new();
        let disk = WatchedDisk::new();
        let store = home.open_on(&disk);
        disk.spoils_reads.store(true, Ordering::SeqCst);
        let outcome = block_on(sealed(&store, &content(length, 4)));
        assert!(matches!(outcome, Err(StoreError::ReadBack { .. })), "{outcome:?}");
        home.assert_staging_is_empty();
    }
}

#[test]
fn a_small_file_costs_nothing_before_it_is_sealed_and_few_calls_then() {
    let home = Home::new();
    let disk = WatchedDisk::new();
    let store = home.open_on(&disk);
    disk.take_calls();
    block_on(async {
        let (staged, _) = store.stage(&key(b"bees"), true).await.unwrap();
        assert_eq!(disk.take_calls(), []);
        store.seal(staged, chunks(b"bees"), MODIFIED).await.unwrap();
    });
    let operations: Vec<_> = disk.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(
        operations,
        [
            "create_file",
            "write_at",
            "set_modified",
            "flush_file",
            "drop_cache",
            "read_at",
            "file_status",
            "rename",
        ]
    );
}

#[test]
fn the_mode_is_set_before_anybody_can_see_the_file() {
    let home = Home::new();
    let settings = Settings {
        file_mode: Some(0o640),
        dir_mode: Some(0o2750),
        ..settings("ours")
    };
    let store = home.open_with(&WatchedDisk::new(), settings);
    block_on(async {
        published(&store, "a/b/c.jpg", b"bees").await.unwrap();
    });
    assert_eq!(home.mode("a/b/c.jpg"), 0o640);
    assert_eq!(home.mode("a/b"), 0o2750);
    assert_eq!(home.mode("a"), 0o2750);
}

#[test]
fn a_discarded_file_leaves_nothing() {
    let home = Home::new();
    let store = home.open();
    block_on(async {
        for length in [10, 3 * RANGE + 1] {
            let content = content(length, 5);
            let (staged, _) = store.stage(&key(&content), false).await.unwrap();
            let staged = store.append(staged, chunks(&content)).await.unwrap();
            store.discard(staged).await;
        }
    });
    home.assert_staging_is_empty();
}
