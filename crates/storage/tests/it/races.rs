//! Two collectors on one store, at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use engine::ports::{Placement, PublishFault, Store as _};
use storage::{DirectoryStore, SystemDisk};

use crate::context::{TestStore, block_on, now, publication, published, sealed, settings};

type PublishResults = Vec<Result<Placement, PublishFault>>;

/// Publishes under all names, with the content that `of` returns for each number.
fn publish_many(store: &DirectoryStore<SystemDisk>, of: impl Fn(u8) -> Vec<u8>) -> PublishResults {
    block_on(async {
        let mut publications = Vec::new();
        for number in 0..60_u8 {
            let sealed = sealed(store, &of(number)).await.unwrap();
            publications.push(publication(&sealed, &format!("d/{}/{number}", number % 4)));
        }
        let mut answers = Vec::new();
        while !publications.is_empty() {
            let batch = publications.drain(..10).collect();
            answers.extend(store.publish(batch).await.unwrap());
        }
        answers
    })
}

fn race(first: fn(u8) -> Vec<u8>, second: fn(u8) -> Vec<u8>) -> (TestStore, PublishResults, PublishResults) {
    let dir = TestStore::new();
    let disk = Arc::new(SystemDisk::default());
    let stores = ["one", "two"].map(|ledger| dir.open_with(&disk, settings(ledger)));
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| publish_many(&stores[0], first));
        let two = scope.spawn(|| publish_many(&stores[1], second));
        (one.join().unwrap(), two.join().unwrap())
    });
    (dir, one, two)
}

#[test]
fn of_two_collectors_with_different_content_only_one_gets_the_name() {
    let first = |number| vec![1, number];
    let second = |number| vec![2, number];
    let (dir, one, two) = race(first, second);
    let visible: BTreeMap<_, _> = dir.visible().into_iter().collect();
    assert_eq!(visible.len(), 60);
    for number in 0..60_u8 {
        let index = usize::from(number);
        let content = &visible[&format!("d/{}/{number}", number % 4)];
        let expected = match (&one[index], &two[index]) {
            (Ok(Placement::New), Err(PublishFault::Taken)) => first(number),
            (Err(PublishFault::Taken), Ok(Placement::New)) => second(number),
            other => panic!("{number}: {other:?}"),
        };
        assert_eq!(*content, expected);
    }
}

#[test]
fn of_two_collectors_with_equal_content_both_count_it_as_stored() {
    let content = |number| vec![number; 100];
    let (dir, one, two) = race(content, content);
    for (one, two) in one.iter().zip(&two) {
        let mut answers = [one.clone().unwrap(), two.clone().unwrap()];
        answers.sort_by_key(|answer| *answer == Placement::Same);
        assert_eq!(answers, [Placement::New, Placement::Same]);
    }
    assert_eq!(dir.visible().len(), 60);
}

#[test]
fn two_collectors_never_touch_the_staging_of_each_other() {
    let dir = TestStore::new();
    let disk = Arc::new(SystemDisk::default());
    let ours = dir.open_with(&disk, settings("ours"));
    let theirs = dir.open_with(&disk, settings("theirs"));
    block_on(async {
        let sealed = sealed(&ours, b"bees").await.unwrap();
        theirs.tidy_staging(now()).await.unwrap();
        let answers = theirs.publish(vec![publication(&sealed, "a")]).await.unwrap();
        assert!(matches!(answers[0], Err(PublishFault::Failed(_))), "{answers:?}");
        let answers = ours.publish(vec![publication(&sealed, "a")]).await.unwrap();
        assert_eq!(answers, [Ok(Placement::New)]);
    });
}

#[test]
fn folders_removed_meanwhile_give_true_results_and_no_deadlock() {
    let dir = TestStore::new();
    let store = dir.open();
    let path = dir.path.join("d");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Fails when a file appears meanwhile; the next iteration removes that one too.
                fs::remove_dir_all(&path).unwrap_or_default();
                std::thread::yield_now();
            }
        });
        let answers = publish_many(&store, |number| vec![number]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(answers.len(), 60);
    });
    block_on(async {
        assert_eq!(published(&store, "d/again", b"bees").await, Ok(Placement::New));
    });
}
