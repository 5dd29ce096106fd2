//! Received bytes become a sealed file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use engine::ports::{Chunk, StagingKey, Store as _, StoreError};
use rustix::io::Errno;
use storage::StoreSettings;
use tokio::sync::Semaphore;

use crate::context::{
    MODIFIED, RANGE, SHIPPED_RANGE, TestStore, block_on, chunks, content, digest, key, published, sealed,
    settings,
};
use crate::watched::WatchedDisk;

#[test]
fn a_sealed_file_has_the_digest_of_its_bytes_and_of_each_range() {
    let dir = TestStore::new();
    let store = dir.open();
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
            let path = dir.path.join(".gleaner/staging/ours/sealed").join(&sealed.token);
            assert_eq!(fs::read(&path).unwrap(), content);
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(
                (metadata.mtime(), metadata.mtime_nsec()),
                (1_500_000_000, 123_456_789)
            );
        }
    });
    assert_eq!(dir.staging("partial"), [""; 0]);
    assert_eq!(dir.visible(), []);
}

#[test]
fn chunks_may_come_in_any_number_of_appends() {
    let dir = TestStore::new();
    let store = dir.open();
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
fn a_file_in_full_length_ranges_is_proved_too() {
    let dir = TestStore::new();
    let settings = StoreSettings {
        range_length: SHIPPED_RANGE,
        ..settings("ours")
    };
    let store = dir.open_with(&WatchedDisk::new(), settings);
    let content = content(SHIPPED_RANGE + 1, 3);
    let sealed = block_on(sealed(&store, &content)).unwrap();
    assert_eq!(sealed.digest, digest(&content));
    assert_eq!(sealed.ranges.len(), 2);
}

#[test]
fn bytes_read_back_differently_are_never_sealed() {
    for length in [1, RANGE + 1, 3 * RANGE] {
        let dir = TestStore::new();
        let disk = WatchedDisk::new();
        let store = dir.open_on(&disk);
        disk.spoils_reads.store(true, Ordering::SeqCst);
        let outcome = block_on(sealed(&store, &content(length, 4)));
        assert!(matches!(outcome, Err(StoreError::ReadBack { .. })), "{outcome:?}");
        dir.assert_staging_is_empty();
    }
}

#[test]
fn a_small_file_takes_no_calls_before_sealing_and_few_then() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
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
fn the_mode_is_set_before_the_file_is_visible() {
    let dir = TestStore::new();
    let settings = StoreSettings {
        file_mode: Some(0o640),
        dir_mode: Some(0o2750),
        ..settings("ours")
    };
    let store = dir.open_with(&WatchedDisk::new(), settings);
    block_on(async {
        published(&store, "a/b/c.jpg", b"bees").await.unwrap();
    });
    assert_eq!(dir.mode("a/b/c.jpg"), 0o640);
    assert_eq!(dir.mode("a/b"), 0o2750);
    assert_eq!(dir.mode("a"), 0o2750);
}

#[test]
fn a_discarded_file_leaves_nothing() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        for length in [10, 3 * RANGE + 1] {
            let content = content(length, 5);
            let (staged, _) = store.stage(&key(&content), false).await.unwrap();
            let staged = store.append(staged, chunks(&content)).await.unwrap();
            store.discard(staged).await;
        }
    });
    dir.assert_staging_is_empty();
}

/// A file that is shorter than expected.
fn key_of(expected_size: u64) -> StagingKey {
    StagingKey {
        expected_size,
        ..key(b"bees")
    }
}

#[test]
fn room_is_reserved_for_large_files_and_a_lack_fails_at_once() {
    const LARGE: u64 = 8 << 20;
    for (expected_size, refusal, is_requested, is_received) in [
        (LARGE - 1, None, false, true),
        (LARGE, None, true, true),
        (LARGE + 1, None, true, true),
        // Many file systems cannot reserve room.
        (LARGE, Some(Errno::OPNOTSUPP), true, true),
        (LARGE, Some(Errno::NOSPC), true, false),
        (LARGE, Some(Errno::DQUOT), true, false),
    ] {
        let dir = TestStore::in_memory();
        let disk = WatchedDisk::new();
        let store = dir.open_on(&disk);
        disk.refuse(move |call| refusal.filter(|_| call.operation == "preallocate"));
        let received = block_on(async {
            let (staged, _) = store.stage(&key_of(expected_size), false).await?;
            store.append(staged, chunks(b"bees")).await
        });
        assert_eq!(received.is_ok(), is_received, "{expected_size} {refusal:?}");
        let calls = disk.take_calls();
        let asked = calls.iter().any(|call| call.operation == "preallocate");
        assert_eq!(asked, is_requested, "{expected_size} {refusal:?}");
    }
}

#[test]
fn a_file_shorter_than_its_reserved_room_is_truncated() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    // Little room; much room that is filled; much room that is not.
    for (expected_size, is_cut) in [(5, false), (9 << 20, false), (10 << 20, true)] {
        let content = content(if expected_size > 5 { 9 << 20 } else { 4 }, 6);
        disk.take_calls();
        let sealed = block_on(async {
            let (staged, _) = store.stage(&key_of(expected_size), false).await.unwrap();
            store.seal(staged, chunks(&content), MODIFIED).await.unwrap()
        });
        assert_eq!(sealed.digest, digest(&content));
        let path = dir.path.join(".gleaner/staging/ours/sealed").join(&sealed.token);
        assert_eq!(fs::metadata(path).unwrap().len(), content.len() as u64);
        let calls = disk.take_calls();
        let cut = calls.iter().any(|call| call.operation == "truncate");
        assert_eq!(cut, is_cut, "{expected_size}");
    }
}

#[test]
fn credit_returns_after_read_back_or_after_the_write_of_a_large_file() {
    const SMALL: u64 = 64 << 10;
    for (length, free) in [(1, 0), (SMALL, 0), (SMALL + 1, 1)] {
        let dir = TestStore::in_memory();
        let disk = WatchedDisk::new();
        let store = dir.open_on(&disk);
        let credits = Arc::new(Semaphore::new(1));
        let (seen, counted) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&credits));
        let sight = Arc::clone(&seen);
        disk.refuse(move |call| {
            if call.operation == "read_at" {
                sight.lock().unwrap().push(counted.available_permits());
            }
            None
        });
        block_on(async {
            let content = content(length, 7);
            let credit = Arc::clone(&credits).acquire_owned().await.unwrap();
            let mut chunk = Chunk::from(Bytes::from(content.clone()));
            chunk.credit = Some(credit);
            let (staged, _) = store.stage(&key(&content), false).await.unwrap();
            store.seal(staged, vec![chunk], MODIFIED).await.unwrap();
        });
        assert_eq!(seen.lock().unwrap().first(), Some(&free), "{length}");
        assert_eq!(credits.available_permits(), 1);
    }
}
