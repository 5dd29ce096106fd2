//! The effect of a failed call: on one name, on the store, or none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use engine::ports::{Placement, PublishFault, Reproof, Store as _, StoreError};
use rustix::io::Errno;
use storage::DirectoryStore;

use crate::context::{TestStore, block_on, digest, inline_settings, name, publication, published, sealed};
use crate::watched::WatchedDisk;

type PublishResults = Result<Vec<Result<Placement, PublishFault>>, StoreError>;

/// Publishes two files, of which the first cannot get its name.
fn published_beside(refusal: Errno) -> PublishResults {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    disk.refuse(move |call| (call.operation == "link" && call.name == b"odd").then_some(refusal));
    block_on(async {
        let (odd, even) = (sealed(&store, b"wasp").await?, sealed(&store, b"bees").await?);
        let publications = vec![publication(&odd, "a/odd"), publication(&even, "a/even")];
        store.publish(publications).await
    })
}

#[test]
fn a_fault_of_one_name_is_reported_for_it_and_delays_no_other() {
    for (refusal, is_unacceptable, expected_text) in [
        (Errno::NAMETOOLONG, true, "too long"),
        (Errno::ILSEQ, true, "characters"),
        (Errno::ACCESS, false, "failed to give a file its name"),
    ] {
        let answers = published_beside(refusal).unwrap();
        let (is_right, text) = match &answers[0] {
            Err(PublishFault::Unacceptable(text) | PublishFault::Forbidden(text)) => (is_unacceptable, text),
            Err(PublishFault::Failed(text)) => (!is_unacceptable, text),
            _ => panic!("{refusal}: {answers:?}"),
        };
        assert!(is_right && text.contains(expected_text), "{refusal}: {answers:?}");
        assert_eq!(answers[1], Ok(Placement::New), "{refusal}");
    }
}

#[test]
fn an_error_that_every_name_would_meet_ends_the_sweep() {
    for refusal in [Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::STALE, Errno::MFILE] {
        published_beside(refusal).unwrap_err();
    }
}

#[test]
fn a_folder_made_by_another_process_meanwhile_is_used() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    let path = dir.path.clone();
    disk.refuse(move |call| {
        if call.operation == "make_folder" {
            fs::create_dir(path.join("day")).unwrap();
        }
        None
    });
    assert_eq!(block_on(published(&store, "day/a", b"bees")), Ok(Placement::New));
}

#[test]
fn a_staging_folder_made_by_another_gleaner_meanwhile_is_used() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let path = dir.path.clone();
    disk.refuse(move |call| {
        if call.operation == "make_folder" && call.name == b"staging" {
            fs::create_dir(path.join(".gleaner/staging")).unwrap();
        }
        None
    });
    let store = dir.open_with(&disk, inline_settings());
    assert_eq!(block_on(published(&store, "a", b"bees")), Ok(Placement::New));
}

#[test]
fn a_staging_folder_that_cannot_be_made_reports_the_reason() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    disk.refuse(|call| (call.operation == "make_folder").then_some(Errno::ACCESS));
    let error = DirectoryStore::open(dir.folder(&disk), inline_settings())
        .map(drop)
        .unwrap_err();
    let StoreError::NotWritable { source, .. } = error else {
        panic!("{error}")
    };
    let cause = source.downcast_ref().and_then(Errno::from_io_error);
    assert_eq!(cause, Some(Errno::ACCESS));
}

#[test]
fn a_folder_that_cannot_be_opened_for_its_flush_ends_the_sweep() {
    let dir = TestStore::in_memory();
    dir.write("a/b/there", b"x");
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    block_on(async {
        let file = sealed(&store, b"bees").await.unwrap();
        disk.refuse(|call| (call.operation == "open_folder" && call.name == b"a").then_some(Errno::ACCESS));
        let publications = vec![publication(&file, "a/b/new")];
        let error = store.publish(publications).await.unwrap_err();
        assert!(error.to_string().contains("open a folder"), "{error}");
    });
}

/// Publishes `a/b/new` into an existing folder. Runs `meddle` just before the first call on `operation` and
/// `name`.
fn published_while(
    operation: &'static str,
    name: &'static [u8],
    meddle: impl FnOnce(&Path) + Send + 'static,
) -> (TestStore, Result<Placement, PublishFault>) {
    let dir = TestStore::in_memory();
    dir.write("a/b/there", b"x");
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    let (path, meddle) = (dir.path.clone(), Mutex::new(Some(meddle)));
    disk.refuse(move |call| {
        if call.operation == operation && call.name == name {
            meddle
                .lock()
                .unwrap()
                .take()
                .into_iter()
                .for_each(|meddle| meddle(&path));
        }
        None
    });
    let answer = block_on(published(&store, "a/b/new", b"bees"));
    (dir, answer)
}

#[test]
fn a_file_whose_folders_were_removed_before_the_flush_is_not_stored() {
    for gone in ["a", "a/b"] {
        // The folder above is opened only to be flushed.
        let (_, answer) = published_while("open_folder", b"a", move |store| {
            fs::remove_dir_all(store.join(gone)).unwrap();
        });
        assert!(
            matches!(answer, Err(PublishFault::Failed(_))),
            "{gone}: {answer:?}"
        );
    }
}

#[test]
fn a_folder_removed_just_before_the_link_is_made_again() {
    let (dir, answer) = published_while("link", b"new", |store| {
        fs::remove_dir_all(store.join("a")).unwrap();
    });
    assert_eq!(answer, Ok(Placement::New));
    assert_eq!(dir.visible(), [("a/b/new".to_owned(), b"bees".to_vec())]);
}

#[test]
fn a_name_freed_during_its_comparison_is_free() {
    for operation in ["status_at", "open_file"] {
        let dir = TestStore::in_memory();
        dir.write("a/new", b"wasp");
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        let path = dir.path.join("a/new");
        disk.refuse(move |call| {
            if call.operation == operation && call.name == b"new" {
                fs::remove_file(&path).unwrap();
            }
            None
        });
        assert_eq!(block_on(published(&store, "a/new", b"bees")), Ok(Placement::New));
        assert_eq!(dir.read("a/new").unwrap(), b"bees");
    }
}

#[test]
fn a_name_that_cannot_be_inspected_is_neither_free_nor_equal() {
    for operation in ["status_at", "open_file"] {
        let dir = TestStore::in_memory();
        dir.write("a/new", b"bees");
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| {
            (call.operation == operation && call.name == b"new").then_some(Errno::ACCESS)
        });
        let answer = block_on(published(&store, "a/new", b"bees"));
        let expected_text = "failed to ";
        assert!(
            matches!(&answer, Err(PublishFault::Failed(text)) if text.starts_with(expected_text)),
            "{operation}: {answer:?}"
        );
    }
}

#[test]
fn a_name_that_becomes_a_link_during_its_comparison_is_taken() {
    let dir = TestStore::in_memory();
    dir.write("a/new", b"bees");
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    let path = dir.path.join("a/new");
    disk.refuse(move |call| {
        if call.operation == "open_file" {
            fs::remove_file(&path).unwrap();
            symlink("same", &path).unwrap();
        }
        None
    });
    assert_eq!(
        block_on(published(&store, "a/new", b"bees")),
        Err(PublishFault::Taken)
    );
}

#[test]
fn an_unreadable_copy_is_different_but_a_lost_store_ends_the_sweep() {
    for (refusal, expected) in [
        (Errno::IO, Some(Reproof::Other)),
        (Errno::ACCESS, Some(Reproof::Other)),
        (Errno::NOENT, Some(Reproof::Missing)),
        (Errno::STALE, None),
        (Errno::MFILE, None),
    ] {
        let dir = TestStore::in_memory();
        dir.write("a/b", b"bees");
        let disk = WatchedDisk::new();
        let store = dir.open_with(&disk, inline_settings());
        disk.refuse(move |call| (call.operation == "open_file").then_some(refusal));
        let reproof = block_on(store.reprove(&name("a/b"), 4, &digest(b"bees")));
        assert_eq!(reproof.ok(), expected, "{refusal}");
    }
}
