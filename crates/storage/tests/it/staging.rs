//! Files that earlier processes left in staging.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::Store as _;
use model::Timestamp;
use rustix::io::Errno;
use storage::{Executor, StoreSettings, SystemDisk};

use crate::context::{
    LaterClock, MODIFIED, RANGE, TestStore, block_on, chunks, content, key, now, publication, sealed,
    settings,
};
use crate::watched::WatchedDisk;

const WEEK: Duration = Duration::from_hours(7 * 24);

fn leave(dir: &TestStore, ledger: &str) {
    // Without threads: a thread may still rename a partial file after the store is dropped.
    let settings = StoreSettings {
        executor: Executor::inline(),
        ..settings(ledger)
    };
    let store = dir.open_with(&Arc::new(SystemDisk::default()), settings);
    block_on(async {
        drop(sealed(&store, b"sealed").await.unwrap());
        let small = content(1000, 1);
        let (staged, _) = store.stage(&key(&small), false).await.unwrap();
        drop(store.append(staged, chunks(&small)).await.unwrap());
        let large = content(2 * RANGE, 2);
        let (staged, _) = store.stage(&key(&large), false).await.unwrap();
        let staged = store.append(staged, chunks(&large)).await.unwrap();
        drop(staged);
    });
}

#[test]
fn tidying_keeps_only_recent_files_that_can_be_resumed() {
    let dir = TestStore::new();
    leave(&dir, "ours");
    let store = dir.open();
    block_on(store.tidy_staging(now().minus(WEEK))).unwrap();
    assert_eq!(dir.staging("sealed"), [""; 0]);
    let kept = dir.staging("partial");
    assert_eq!(kept.len(), 1, "{kept:?}");
    block_on(store.tidy_staging(now().plus(WEEK))).unwrap();
    dir.assert_staging_is_empty();
}

#[test]
fn tidying_never_touches_files_that_this_process_uses() {
    let dir = TestStore::new();
    let store = dir.open();
    let content = content(2 * RANGE, 3);
    block_on(async {
        let small = sealed(&store, b"bees").await.unwrap();
        let (staged, _) = store.stage(&key(&content), false).await.unwrap();
        let staged = store.append(staged, chunks(&content[..1000])).await.unwrap();
        store.tidy_staging(now().minus(WEEK)).await.unwrap();
        let large = store
            .seal(staged, chunks(&content[1000..]), MODIFIED)
            .await
            .unwrap();
        store.tidy_staging(now().minus(WEEK)).await.unwrap();
        let publications = vec![publication(&small, "small"), publication(&large, "large")];
        let answers = store.publish(publications).await.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    });
}

#[test]
fn an_abandoned_file_is_tidied_by_the_same_process() {
    let dir = TestStore::new();
    let store = dir.open();
    let content = content(1000, 4);
    block_on(async {
        let (staged, _) = store.stage(&key(&content), false).await.unwrap();
        let staged = store.append(staged, chunks(&content)).await.unwrap();
        store.tidy_staging(now().minus(WEEK)).await.unwrap();
        assert_eq!(dir.staging("partial").len(), 1);
        drop(staged);
        store.tidy_staging(now().minus(WEEK)).await.unwrap();
    });
    dir.assert_staging_is_empty();
}

#[test]
fn the_device_time_does_not_make_a_file_old() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        let (staged, _) = store.stage(&key(b"bees"), false).await.unwrap();
        let sealed = store
            .seal(staged, chunks(b"bees"), Timestamp::EPOCH)
            .await
            .unwrap();
        store.tidy_staging(now().minus(WEEK)).await.unwrap();
        let answers = store.publish(vec![publication(&sealed, "a")]).await.unwrap();
        assert!(answers[0].is_ok(), "{answers:?}");
    });
}

#[test]
fn old_files_of_other_collectors_are_counted_and_never_touched() {
    let dir = TestStore::new();
    leave(&dir, "theirs");
    let names = |folder: &str| {
        let path = dir.path.join(".gleaner/staging/theirs").join(folder);
        fs::read_dir(path).unwrap().count()
    };
    let store = dir.open();
    assert_eq!(block_on(store.tidy_staging(now().plus(WEEK))).unwrap(), 0);
    for (hours, count) in [(7 * 24 - 1, 0), (7 * 24 + 1, 3)] {
        let later = StoreSettings {
            clock: Arc::new(LaterClock(Duration::from_hours(hours))),
            ..settings("ours")
        };
        let store = dir.open_with(&Arc::new(SystemDisk::default()), later);
        assert_eq!(block_on(store.tidy_staging(now().plus(WEEK))).unwrap(), count);
    }
    assert_eq!((names("partial"), names("sealed")), (2, 1));
}

#[test]
fn a_published_file_outlives_the_tidying_of_its_sealed_name() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        let sealed = sealed(&store, b"bees").await.unwrap();
        let answers = store.publish(vec![publication(&sealed, "a/b")]).await.unwrap();
        assert!(answers[0].is_ok());
        // The process dies here, before it can retire.
    });
    block_on(dir.open().tidy_staging(now())).unwrap();
    dir.assert_staging_is_empty();
    assert_eq!(dir.read("a/b").unwrap(), b"bees");
}

#[test]
fn retiring_ignores_a_missing_sealed_name_and_reports_other_failures() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    block_on(async {
        let stuck = sealed(&store, b"bees").await.unwrap();
        let gone = sealed(&store, b"wasp").await.unwrap();
        disk.refuse(|call| (call.operation == "remove_file").then_some(Errno::IO));
        store.retire(vec![stuck]).await.unwrap_err();
        disk.refuse_nothing();
        store.tidy_staging(now().plus(WEEK)).await.unwrap();
        store.retire(vec![gone]).await.unwrap();
    });
    dir.assert_staging_is_empty();
}

#[test]
fn a_leftover_probe_is_removed_and_an_unknown_file_only_once_old() {
    let dir = TestStore::new();
    let store = dir.open();
    for name in ["probe-1", "unknown"] {
        dir.write(&format!(".gleaner/staging/ours/partial/{name}"), b"");
    }
    block_on(store.tidy_staging(now().minus(WEEK))).unwrap();
    assert_eq!(dir.staging("partial"), ["unknown"]);
    block_on(store.tidy_staging(now().plus(WEEK))).unwrap();
    dir.assert_staging_is_empty();
}

#[test]
fn tidying_ignores_a_file_that_vanishes_and_reports_other_failures() {
    for operation in ["status_at", "remove_file"] {
        for vanishes in [true, false] {
            let dir = TestStore::new();
            leave(&dir, "ours");
            let disk = WatchedDisk::new();
            let store = dir.open_on(&disk);
            let staging = dir.path.join(".gleaner/staging/ours");
            disk.refuse(move |call| {
                if call.operation != operation {
                    return None;
                }
                if !vanishes {
                    return Some(Errno::IO);
                }
                let name = std::str::from_utf8(&call.name).unwrap();
                for folder in ["sealed", "partial"] {
                    fs::remove_file(staging.join(folder).join(name)).unwrap_or_default();
                }
                None
            });
            let tidied = block_on(store.tidy_staging(now().plus(WEEK)));
            assert_eq!(tidied.is_ok(), vanishes, "{operation}: {tidied:?}");
            if vanishes {
                dir.assert_staging_is_empty();
            }
        }
    }
}
