//! The key of staging folders, and a collector that takes over those of another.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::Store as _;
use model::{CollectorId, LedgerId};
use rustix::io::Errno;
use storage::{DirectoryStore, Disk, StoreSettings, SystemDisk, TakenOver};

use crate::context::{
    MODIFIED, RANGE, TestStore, block_on, chunks, content, digest, key, now, sealed, settings,
};
use crate::watched::WatchedDisk;

fn id(collector: &str) -> CollectorId {
    CollectorId::new(collector).unwrap()
}

fn paths(dir: &TestStore, collector: &str) -> BTreeSet<String> {
    let folder = dir.path.join(".gleaner/staging").join(collector);
    let mut found = BTreeSet::new();
    for kind in ["partial", "sealed"] {
        let Ok(entries) = fs::read_dir(folder.join(kind)) else {
            continue;
        };
        found.extend(entries.map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            format!("{kind}/{name}")
        }));
    }
    found
}

/// Receives two ranges of a file and a few bytes, and waits until both ranges are counted.
fn leave_partial(dir: &TestStore, collector: &str, content: &[u8]) {
    let store = dir.open_with(&Arc::new(SystemDisk::default()), settings(collector));
    let length = usize::try_from(2 * RANGE + 100).unwrap();
    block_on(async {
        let (staged, _) = store.stage(&key(content), false).await.unwrap();
        drop(store.append(staged, chunks(&content[..length])).await.unwrap());
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !paths(dir, collector).iter().any(|path| path.contains(".2.")) {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            paths(dir, collector)
        );
        std::thread::yield_now();
    }
}

fn take_over<D: Disk>(store: &DirectoryStore<D>, from: &str) -> Result<TakenOver, engine::ports::StoreError> {
    block_on(store.take_over(vec![id(from)]))
}

fn left(taken: &TakenOver) -> Vec<(&str, &str)> {
    let left = taken.left.iter();
    left.map(|area| (area.beside.as_str(), area.cause.as_str()))
        .collect()
}

async fn resumed<D: Disk>(store: &DirectoryStore<D>, content: &[u8]) -> u64 {
    let (staged, there) = store.stage(&key(content), true).await.unwrap();
    let rest = &content[usize::try_from(there).unwrap()..];
    let sealed = store.seal(staged, chunks(rest), MODIFIED).await.unwrap();
    assert_eq!(sealed.digest, digest(content));
    there
}

#[test]
fn a_folder_with_the_former_name_is_renamed_once() {
    let dir = TestStore::new();
    let content = content(3 * RANGE, 1);
    leave_partial(&dir, "ledger", &content);
    let with_former = || StoreSettings {
        former_staging: LedgerId::new("ledger"),
        ..settings("ours")
    };
    let before = paths(&dir, "ledger");
    let store = dir.open_with(&Arc::new(SystemDisk::default()), with_former());
    assert_eq!(paths(&dir, "ours"), before);
    assert!(!dir.path.join(".gleaner/staging/ledger").exists());
    assert_eq!(block_on(resumed(&store, &content)), 2 * RANGE);
    // A folder of that name that appears later is not ours any more.
    leave_partial(&dir, "ledger", &content);
    let before = paths(&dir, "ledger");
    let store = dir.open_with(&Arc::new(SystemDisk::default()), with_former());
    block_on(store.tidy_staging(now().plus(Duration::from_hours(1)))).unwrap();
    assert_eq!(paths(&dir, "ledger"), before);
}

#[test]
fn a_folder_with_the_former_name_is_left_unless_it_is_ours() {
    let dir = TestStore::new();
    leave_partial(&dir, "ledger", &content(3 * RANGE, 2));
    let before = paths(&dir, "ledger");
    dir.open();
    assert_eq!(paths(&dir, "ledger"), before);
    assert_eq!(paths(&dir, "ours"), BTreeSet::new());
}

#[test]
fn a_partial_file_is_copied_and_never_shared_and_sealed_ones_are_removed() {
    let dir = TestStore::new();
    let content = content(3 * RANGE + 500, 3);
    leave_partial(&dir, "theirs", &content);
    let theirs = dir.open_with(&Arc::new(SystemDisk::default()), settings("theirs"));
    drop(block_on(sealed(&theirs, b"sealed")).unwrap());
    let partial = paths(&dir, "theirs")
        .into_iter()
        .find(|path| path.contains(".2."));
    let partial = dir.path.join(".gleaner/staging/theirs").join(partial.unwrap());
    let still_open = fs::OpenOptions::new().write(true).open(&partial).unwrap();

    let store = dir.open();
    let taken = take_over(&store, "theirs").unwrap();
    assert_eq!((taken.partial.files, taken.partial.bytes), (1, 2 * RANGE));
    assert_eq!((taken.removed, taken.left), (1, Vec::new()));
    assert!(!dir.path.join(".gleaner/staging/theirs").exists());
    let own = paths(&dir, "ours");
    assert_eq!(own.len(), 1, "{own:?}");
    let copy = dir.path.join(".gleaner/staging/ours").join(own.first().unwrap());
    assert_ne!(
        fs::metadata(copy).unwrap().ino(),
        still_open.metadata().unwrap().ino()
    );
    // The other collector still lives, and writes.
    std::os::unix::fs::FileExt::write_all_at(&still_open, &[0; 5000], 0).unwrap();
    assert_eq!(block_on(resumed(&store, &content)), 2 * RANGE);
    assert!(take_over(&store, "theirs").unwrap().is_nothing());
}

#[test]
fn after_a_crash_between_copy_and_removal_there_is_one_copy() {
    for operation in [
        "remove_file",
        "flush_file",
        "rename",
        "flush_folder",
        "create_file",
    ] {
        let dir = TestStore::new();
        let content = content(3 * RANGE, 4);
        leave_partial(&dir, "theirs", &content);
        let disk = WatchedDisk::new();
        let store = dir.open_on(&disk);
        disk.refuse(move |call| (call.operation == operation).then_some(Errno::IO));
        take_over(&store, "theirs").unwrap_err();
        disk.refuse_nothing();
        let theirs = paths(&dir, "theirs");
        assert!(
            theirs.iter().any(|path| path.contains(".2.")),
            "{operation}: {theirs:?}"
        );
        // The process ends here. The next one has another run of tokens.
        drop(store);
        let store = dir.open();
        take_over(&store, "theirs").unwrap();
        let counted = paths(&dir, "ours")
            .into_iter()
            .filter(|path| path.contains(".2."));
        assert_eq!(counted.count(), 1, "{operation}: {:?}", paths(&dir, "ours"));
        assert!(!dir.path.join(".gleaner/staging/theirs").exists(), "{operation}");
        assert_eq!(block_on(resumed(&store, &content)), 2 * RANGE, "{operation}");
    }
}

#[test]
fn an_unreadable_partial_file_is_removed_and_fetched_again() {
    let dir = TestStore::new();
    let content = content(3 * RANGE, 5);
    leave_partial(&dir, "theirs", &content);
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.refuse(|call| (call.operation == "read_at").then_some(Errno::IO));
    let taken = take_over(&store, "theirs").unwrap();
    disk.refuse_nothing();
    assert_eq!((taken.partial.files, taken.removed), (0, 1));
    assert_eq!(block_on(resumed(&store, &content)), 0);
}

#[test]
fn a_staging_folder_beside_another_folder_is_taken_over_too() {
    let dir = TestStore::new();
    let content = content(3 * RANGE, 6);
    leave_partial(&dir, "theirs", &content);
    // As if the collector had received it beside a mount: its area is noted, by the path in hexadecimal
    // digits.
    let beside = dir.path.join("mount/.gleaner/staging/theirs");
    fs::create_dir_all(&beside).unwrap();
    for folder in ["partial", "sealed"] {
        fs::rename(
            dir.path.join(".gleaner/staging/theirs").join(folder),
            beside.join(folder),
        )
        .unwrap();
    }
    dir.write(".gleaner/staging/theirs/beside/note", b"6d6f756e74");
    dir.write(".gleaner/staging/theirs/beside/gone", b"676f6e65");
    let store = dir.open();
    let taken = take_over(&store, "theirs").unwrap();
    assert_eq!(taken.partial.files, 1);
    assert_eq!(left(&taken), [("gone", "No such file or directory (os error 2)")]);
    assert!(!beside.exists());
    let own = dir.path.join("mount/.gleaner/staging/ours/partial");
    assert_eq!(fs::read_dir(own).unwrap().count(), 1);
    // The note of the missing one is how the next call finds it.
    assert!(dir.path.join(".gleaner/staging/theirs/beside/gone").exists());
}

#[test]
fn an_area_that_cannot_be_written_is_left_and_the_others_are_not() {
    let dir = TestStore::new();
    let content = content(3 * RANGE, 7);
    leave_partial(&dir, "theirs", &content);
    let beside = dir.path.join("mount/.gleaner/staging/theirs");
    fs::create_dir_all(&beside).unwrap();
    fs::rename(
        dir.path.join(".gleaner/staging/theirs/partial"),
        beside.join("partial"),
    )
    .unwrap();
    // The first has no folders of the other collector: a crash came between their removal and the note's.
    fs::create_dir_all(dir.path.join("done/.gleaner/staging")).unwrap();
    let notes = dir.path.join(".gleaner/staging/theirs/beside");
    let note = |folder: &[u8]| digest(folder).to_hex();
    dir.write(
        &format!(".gleaner/staging/theirs/beside/{}", note(b"mount")),
        b"6d6f756e74",
    );
    dir.write(
        &format!(".gleaner/staging/theirs/beside/{}", note(b"done")),
        b"646f6e65",
    );
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.refuse(|call| {
        (call.operation == "create_file" && call.name.contains(&b'.')).then_some(Errno::NOSPC)
    });
    let taken = take_over(&store, "theirs").unwrap();
    disk.refuse_nothing();
    assert_eq!(left(&taken), [("mount", "No space left on device (os error 28)")]);
    assert!(notes.join(note(b"mount")).exists());
    assert!(!notes.join(note(b"done")).exists());
    assert_eq!(take_over(&store, "theirs").unwrap().partial.files, 1);
    assert!(!notes.exists());
}
