//! Every call on the disk fails once. The result is an error, or a success that is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ports::{Placement, PublishFault, Store as _, StoreError, StoreStatus as _};
use rustix::io::Errno;
use storage::{DirectoryStore, StoreFolder, StoreSettings};

use crate::context::{
    MODIFIED, TestStore, block_on, chunks, content, digest, inline_settings, key, now, publication, sealed,
};
use crate::watched::WatchedDisk;

/// Very short ranges: these tests store files some hundred times.
const RANGE: u64 = 4096;

const LARGE: &str = "d1/day/large";
const SMALL: &str = "d1/day/small";
const KNOWN: &str = "d1/known";

fn short_settings() -> StoreSettings {
    StoreSettings {
        range_length: RANGE,
        ..inline_settings()
    }
}

fn contents() -> [(&'static str, Vec<u8>); 3] {
    [
        (LARGE, content(2 * RANGE + 77, 1)),
        (SMALL, b"bees".to_vec()),
        (KNOWN, b"from rsync".to_vec()),
    ]
}

/// One pass of a store from opening to retiring. Returns the files that count as stored.
async fn pass(
    dir: &TestStore,
    disk: &Arc<WatchedDisk>,
) -> Result<Vec<(&'static str, Result<Placement, PublishFault>)>, StoreError> {
    let folder = StoreFolder::open(Arc::clone(disk), &dir.path, None)?;
    let store = DirectoryStore::open(folder, short_settings())?;
    store.condition().await?;
    store
        .tidy_staging(now().minus(std::time::Duration::from_hours(1)))
        .await?;
    let mut files = Vec::new();
    let mut publications = Vec::new();
    for (name, content) in contents() {
        let (staged, there) = store.stage(&key(&content), true).await?;
        let rest = &content[usize::try_from(there).unwrap()..];
        let (first, last) = rest.split_at(rest.len() / 2);
        let staged = store.append(staged, chunks(first)).await?;
        let sealed = store.seal(staged, chunks(last), MODIFIED).await?;
        assert_eq!(
            sealed.digest,
            digest(&content),
            "what is sealed is what was received"
        );
        publications.push(publication(&sealed, name));
        files.push(sealed);
    }
    let answers = store.publish(publications).await?;
    store.retire(files).await?;
    Ok(contents()
        .into_iter()
        .map(|(name, _)| name)
        .zip(answers)
        .collect())
}

fn assert_nothing_visible_is_untrue(dir: &TestStore, call: usize) {
    for (name, found) in dir.visible() {
        let (_, content) = contents().into_iter().find(|(known, _)| *known == name).unwrap();
        assert!(found == content, "call {call}: {name} is not what was received");
    }
}

fn fail_at_each_call(error: Errno) -> usize {
    let mut call = 0;
    loop {
        let dir = TestStore::in_memory();
        dir.write(KNOWN, b"from rsync");
        let disk = WatchedDisk::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        disk.refuse(move |_| (counted.fetch_add(1, Ordering::SeqCst) == call).then_some(error));
        let outcome = block_on(pass(&dir, &disk));
        assert_nothing_visible_is_untrue(&dir, call);
        if let Ok(answers) = &outcome {
            for (name, answer) in answers {
                assert!(
                    answer.is_err() || dir.read(name).is_some(),
                    "call {call}: {name} is claimed but absent"
                );
            }
        }
        assert_eq!(disk.open_handles(), 0, "call {call} leaks");

        // Whatever was left, the next pass completes the work.
        disk.refuse_nothing();
        let answers = block_on(pass(&dir, &disk)).unwrap();
        assert!(
            answers.iter().all(|(_, answer)| answer.is_ok()),
            "call {call}: {answers:?}"
        );
        assert_nothing_visible_is_untrue(&dir, call);
        assert_eq!(dir.visible().len(), 3, "call {call}");
        block_on(
            dir.open()
                .tidy_staging(now().plus(std::time::Duration::from_hours(1))),
        )
        .unwrap();
        dir.assert_staging_is_empty();
        if calls.load(Ordering::SeqCst) <= call {
            return call;
        }
        call += 1;
    }
}

#[test]
fn after_a_failure_of_any_call_the_store_is_true_and_can_complete() {
    assert!(fail_at_each_call(Errno::IO) > 60);
}

#[test]
fn after_a_full_disk_at_any_call_the_store_is_true_and_can_complete() {
    assert!(fail_at_each_call(Errno::NOSPC) > 60);
}

#[test]
fn after_a_forbidden_call_the_store_is_true_and_can_complete() {
    assert!(fail_at_each_call(Errno::ACCESS) > 60);
}

#[test]
fn once_a_call_finds_no_room_the_store_reports_that_it_is_full() {
    for operation in [
        "write_at",
        "flush_file",
        "make_folder",
        "link",
        "flush_folder",
        "create_file",
    ] {
        let dir = TestStore::new();
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| (call.operation == operation).then_some(Errno::DQUOT));
        let outcome = block_on(async {
            let file = sealed(&store, b"bees").await?;
            store.publish(vec![publication(&file, "a/b")]).await
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{operation}: {error:?}");
    }
}
