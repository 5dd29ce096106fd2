//! An interrupted large file resumes after its last flushed range.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use engine::ports::{SealedFile, Store as _};
use rustix::io::Errno;
use storage::{DirectoryStore, Disk};

use crate::context::{
    MODIFIED, RANGE, TestStore, block_on, chunks, content, digest, inline_settings, key, publication,
    settings,
};
use crate::watched::WatchedDisk;

/// Receives all but the last byte, then stops.
async fn broken_off<D: Disk>(store: &DirectoryStore<D>, content: &[u8]) {
    let (staged, there) = store.stage(&key(content), false).await.unwrap();
    assert_eq!(there, 0);
    let staged = store
        .append(staged, chunks(&content[..content.len() - 1]))
        .await
        .unwrap();
    drop(staged);
}

async fn resumed<D: Disk>(store: &DirectoryStore<D>, content: &[u8]) -> (u64, SealedFile) {
    let (staged, there) = store.stage(&key(content), true).await.unwrap();
    let rest = &content[usize::try_from(there).unwrap()..];
    let sealed = store.seal(staged, chunks(rest), MODIFIED).await.unwrap();
    (there, sealed)
}

/// Waits for the proofs that continue after a file was dropped.
fn settled(dir: &TestStore, ranges: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !dir.staging("partial").iter().any(|name| name.contains(ranges)) {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            dir.staging("partial")
        );
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupted_file_resumes_after_its_last_flushed_range() {
    let dir = TestStore::new();
    let content = content(3 * RANGE + 500, 1);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".3.");
    let (there, sealed) = block_on(resumed(&dir.open(), &content));
    assert_eq!(there, 3 * RANGE);
    assert_eq!(sealed.digest, digest(&content));
    assert_eq!(sealed.ranges.len(), 4);
    assert_eq!(dir.staging("partial"), [""; 0]);
}

#[test]
fn a_file_may_be_interrupted_repeatedly() {
    let dir = TestStore::new();
    let content = content(3 * RANGE + 500, 2);
    let range = usize::try_from(RANGE).unwrap();
    for (count, expected) in [(1, 0), (2, 1), (3, 2)] {
        let store = dir.open();
        block_on(async {
            let (staged, there) = store.stage(&key(&content), true).await.unwrap();
            assert_eq!(there, expected * RANGE);
            let from = usize::try_from(there).unwrap();
            drop(
                store
                    .append(staged, chunks(&content[from..count * range]))
                    .await
                    .unwrap(),
            );
        });
        drop(store);
        settled(&dir, &format!(".{count}."));
    }
    let (there, sealed) = block_on(resumed(&dir.open(), &content));
    assert_eq!((there, sealed.digest), (3 * RANGE, digest(&content)));
    assert_eq!(dir.staging("partial"), [""; 0]);
}

#[test]
fn without_resume_a_file_starts_over_and_its_old_bytes_are_gone() {
    let dir = TestStore::new();
    let content = content(2 * RANGE, 3);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".1.");
    let store = dir.open();
    block_on(async {
        drop(store.stage(&key(&content), false).await.unwrap());
    });
    dir.assert_staging_is_empty();
}

#[test]
fn another_version_of_a_file_is_never_resumed() {
    let dir = TestStore::new();
    block_on(broken_off(&dir.open(), &content(2 * RANGE, 4)));
    settled(&dir, ".1.");
    let (there, _) = block_on(resumed(&dir.open(), &content(2 * RANGE, 5)));
    assert_eq!(there, 0);
    assert_eq!(dir.staging("partial").len(), 1);
}

#[test]
fn changed_staged_bytes_show_in_the_digests_of_range_and_whole() {
    let dir = TestStore::new();
    let content = content(2 * RANGE + 1, 6);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".2.");
    let partial = dir
        .path
        .join(".gleaner/staging/ours/partial")
        .join(&dir.staging("partial")[0]);
    let file = fs::File::options().write(true).open(partial).unwrap();
    file.write_at(b"x", RANGE + 5).unwrap();
    drop(file);
    let mut tampered = content.clone();
    tampered[usize::try_from(RANGE).unwrap() + 5] = b'x';
    let (there, sealed) = block_on(resumed(&dir.open(), &content));
    assert_eq!(there, 2 * RANGE);
    assert_eq!(sealed.digest, digest(&tampered));
    let range = usize::try_from(RANGE).unwrap();
    assert_eq!(sealed.ranges[0].digest, digest(&content[..range]));
    assert_ne!(sealed.ranges[1].digest, digest(&content[range..2 * range]));
}

#[test]
fn bytes_beyond_the_last_flushed_range_are_truncated() {
    let dir = TestStore::new();
    let content = content(3 * RANGE + 500, 11);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".3.");
    let store = dir.open();
    block_on(async {
        let (staged, there) = store.stage(&key(&content), true).await.unwrap();
        assert_eq!(there, 3 * RANGE);
        let sealed = store.seal(staged, Vec::new(), MODIFIED).await.unwrap();
        let flushed = usize::try_from(3 * RANGE).unwrap();
        assert_eq!(
            (sealed.size, sealed.digest),
            (3 * RANGE, digest(&content[..flushed]))
        );
    });
}

#[test]
fn a_partial_file_shorter_than_its_name_says_is_not_resumed() {
    let dir = TestStore::new();
    let content = content(2 * RANGE + 1, 7);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".2.");
    let partial = dir
        .path
        .join(".gleaner/staging/ours/partial")
        .join(&dir.staging("partial")[0]);
    fs::File::options()
        .write(true)
        .open(partial)
        .unwrap()
        .set_len(RANGE)
        .unwrap();
    let (there, sealed) = block_on(resumed(&dir.open(), &content));
    assert_eq!((there, sealed.digest), (0, digest(&content)));
    assert_eq!(dir.staging("partial"), [""; 0]);
}

#[test]
fn a_partial_file_with_too_many_ranges_resumes_at_the_files_end() {
    let dir = TestStore::new();
    let content = content(2 * RANGE + 500, 12);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".2.");
    let folder = dir.path.join(".gleaner/staging/ours/partial");
    let name = &dir.staging("partial")[0];
    let partial = folder.join(name.replace(".2.", ".9."));
    fs::rename(folder.join(name), &partial).unwrap();
    let file = fs::File::options().write(true).open(partial).unwrap();
    file.set_len(9 * RANGE).unwrap();
    drop(file);
    let (there, sealed) = block_on(resumed(&dir.open(), &content));
    assert_eq!((there, sealed.digest), (2 * RANGE, digest(&content)));
}

#[test]
fn all_resumed_bytes_are_read_from_the_disk() {
    let dir = TestStore::new();
    let content = content(3 * RANGE + 500, 13);
    block_on(broken_off(&dir.open(), &content));
    settled(&dir, ".3.");
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    drop(block_on(store.stage(&key(&content), true)).unwrap());
    assert_eq!(*disk.dropped.lock().unwrap(), [(0, 3 * RANGE)]);
}

#[test]
fn a_vanished_partial_file_starts_over_and_a_failed_rename_fails() {
    for is_removed in [true, false] {
        let dir = TestStore::new();
        let content = content(2 * RANGE + 500, 14);
        block_on(broken_off(&dir.open(), &content));
        settled(&dir, ".2.");
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        let partial = dir.path.join(".gleaner/staging/ours/partial");
        disk.refuse(move |call| {
            if call.operation == "rename" && is_removed {
                fs::remove_dir_all(&partial).unwrap();
            }
            (call.operation == "rename" && !is_removed).then_some(Errno::IO)
        });
        let outcome = block_on(store.stage(&key(&content), true));
        if is_removed {
            assert_eq!(outcome.unwrap().1, 0);
        } else {
            assert!(outcome.is_err());
        }
    }
}

#[test]
fn a_range_counts_only_after_its_flush() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    let content = content(3 * RANGE, 8);
    disk.take_calls();
    block_on(broken_off(&store, &content));
    let calls = disk.take_calls();
    let order: Vec<_> = calls
        .iter()
        .map(|call| call.operation)
        .filter(|operation| matches!(*operation, "flush_bytes" | "drop_cache" | "rename"))
        .collect();
    assert_eq!(order, ["flush_bytes", "drop_cache", "rename"].repeat(2));
}

#[test]
fn a_failed_flush_discards_the_file_and_is_never_repeated() {
    for executor in [inline_settings(), settings("ours")] {
        let dir = TestStore::new();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, executor);
        let content = content(3 * RANGE, 9);
        disk.refuse(|call| call.operation.starts_with("flush").then_some(Errno::IO));
        disk.take_calls();
        block_on(async {
            let (staged, _) = store.stage(&key(&content), false).await.unwrap();
            store.seal(staged, chunks(&content), MODIFIED).await.unwrap_err();
        });
        let flushes = disk.take_calls().into_iter();
        assert_eq!(
            flushes.filter(|call| call.operation.starts_with("flush")).count(),
            1
        );
        dir.assert_staging_is_empty();
        disk.refuse_nothing();
        let (there, _) = block_on(resumed(&store, &content));
        assert_eq!(there, 0);
    }
}

#[test]
fn two_receivers_of_one_key_never_share_a_file() {
    let dir = TestStore::new();
    let store = dir.open();
    let content = content(2 * RANGE + 9, 10);
    block_on(async {
        let (first, _) = store.stage(&key(&content), true).await.unwrap();
        let first = store
            .append(first, chunks(&content[..content.len() - 9]))
            .await
            .unwrap();
        let (second, there) = store.stage(&key(&content), true).await.unwrap();
        assert_eq!(there, 0);
        let second = store.seal(second, chunks(&content), MODIFIED).await.unwrap();
        let rest = chunks(&content[content.len() - 9..]);
        let first = store.seal(first, rest, MODIFIED).await.unwrap();
        assert_ne!(first.token, second.token);
        assert_eq!(
            (first.digest, second.digest),
            (digest(&content), digest(&content))
        );
    });
}

#[test]
fn resuming_never_truncates_a_file_that_was_published_meanwhile() {
    for at in ["truncate", "rename"] {
        let dir = TestStore::new();
        let content = content(2 * RANGE + 500, 15);
        // As after cloning a machine: two processes with the same collector id.
        let first = dir.open();
        let (staged, _) = block_on(first.stage(&key(&content), false)).unwrap();
        let received = usize::try_from(2 * RANGE + 100).unwrap();
        let staged = block_on(first.append(staged, chunks(&content[..received]))).unwrap();
        settled(&dir, ".2.");
        let rest = chunks(&content[received..]);
        let finish = move || {
            block_on(async {
                let sealed = first.seal(staged, rest, MODIFIED).await?;
                first.publish(vec![publication(&sealed, "published")]).await
            })
        };
        let finish = Mutex::new(Some(finish));
        let disk = WatchedDisk::new();
        let has_run = Arc::new(AtomicBool::new(false));
        let ran = Arc::clone(&has_run);
        disk.refuse(move |call| {
            let finish = (call.operation == at).then(|| finish.lock().unwrap().take());
            if let Some(finish) = finish.flatten() {
                ran.store(true, Ordering::SeqCst);
                // Refused if the name is gone already.
                drop(std::thread::spawn(finish).join().unwrap());
            }
            None
        });
        let second = dir.open_with(&disk, inline_settings());
        let (_, resumed_at) = block_on(second.stage(&key(&content), true)).unwrap();
        if let Some(published) = dir.read("published") {
            assert!(published == content, "{at}: the published file was changed");
        }
        assert!(has_run.load(Ordering::SeqCst), "{at}");
        let expected = if at == "rename" {
            (true, 0)
        } else {
            (false, 2 * RANGE)
        };
        assert_eq!((dir.read("published").is_some(), resumed_at), expected);
    }
}
