//! Reading the visible store.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use engine::ports::{CopyCheck, ListedFile, StoreError, StoreInspection, Unlisted};
use storage::{Disk, SystemDisk, UntouchedStore};
use tokio::sync::mpsc;

use crate::context::{TestStore, block_on, digest, name, settings};

fn untouched<D: Disk>(dir: &TestStore, disk: &Arc<D>) -> UntouchedStore<D> {
    UntouchedStore::new(dir.folder(disk), settings("ours"))
}

fn listing(store: &impl StoreInspection) -> (Vec<ListedFile>, Vec<Unlisted>) {
    let (sender, mut receiver) = mpsc::channel(2);
    let receive = async {
        let (mut files, mut unlisted) = (Vec::new(), Vec::new());
        while let Some(entry) = receiver.recv().await {
            match entry {
                Ok(file) => files.push(file),
                Err(error) => unlisted.push(error),
            }
        }
        files.sort_by_key(|file: &ListedFile| file.name.to_string());
        (files, unlisted)
    };
    block_on(async { tokio::join!(store.list(sender), receive) }).1
}

#[test]
fn a_listing_has_all_visible_files_and_no_control_folder() {
    let dir = TestStore::new();
    dir.write("a/b/c", b"bees");
    dir.write("top", b"");
    dir.write("a/.gleaner/x", b"no control folder");
    fs::create_dir(dir.path.join("empty")).unwrap();
    symlink("/etc", dir.path.join("a/link")).unwrap();
    let expected = [("a/.gleaner/x", 17), ("a/b/c", 4), ("top", 0)];
    let expected = expected.map(|(path, size)| ListedFile {
        name: name(path),
        size,
    });
    let disk = Arc::new(SystemDisk::default());
    let found = listing(&untouched(&dir, &disk));
    assert_eq!(found, (expected.to_vec(), Vec::new()));
    assert!(!dir.path.join(".gleaner/staging").exists());
    assert_eq!(listing(&dir.open()), found);
}

#[test]
fn a_listing_continues_after_a_folder_that_cannot_be_opened() {
    let dir = TestStore::new();
    dir.write("a/x", b"1");
    dir.write("b/x", b"1");
    dir.write("c", b"1");
    let disk = crate::watched::WatchedDisk::new();
    let store = untouched(&dir, &disk);
    disk.refuse(|call| {
        let is_it = call.operation == "open_folder" && call.name == b"a";
        is_it.then_some(rustix::io::Errno::ACCESS)
    });
    let (files, unlisted) = listing(&store);
    assert_eq!(files.len(), 2);
    let expected = Unlisted {
        name: "a".to_owned(),
        reason: std::io::Error::from(rustix::io::Errno::ACCESS).to_string(),
    };
    assert_eq!(unlisted, [expected]);
    drop(store);
    assert_eq!(disk.open_handles(), 0);
}

#[test]
fn a_copy_is_compared_by_its_bytes() {
    let dir = TestStore::new();
    dir.write("a/b", b"bees");
    symlink("b", dir.path.join("a/link")).unwrap();
    let store = untouched(&dir, &Arc::new(SystemDisk::default()));
    let check = |path: &str, content: &[u8]| {
        let size = u64::try_from(content.len()).unwrap();
        block_on(store.check(&name(path), size, &digest(content)))
    };
    assert_eq!(check("a/b", b"bees"), CopyCheck::Same);
    assert!(
        matches!(check("a/b", b"wasp"), CopyCheck::Different(reason) if reason.starts_with("its digest is"))
    );
    assert_eq!(
        check("a/b", b"many"[..3].into()),
        CopyCheck::Different("it has 4 bytes instead of 3".into())
    );
    assert_eq!(check("a/c", b"bees"), CopyCheck::Missing);
    assert_eq!(check("a/b/c", b"bees"), CopyCheck::Missing);
    assert!(matches!(check("a", b"bees"), CopyCheck::Different(_)));
    assert!(matches!(check("a/link", b"bees"), CopyCheck::Different(_)));
}

#[test]
fn a_store_opened_for_reading_sets_nothing_aside() {
    let dir = TestStore::new();
    dir.write("a", b"bees");
    let store = untouched(&dir, &Arc::new(SystemDisk::default()));
    let refused = block_on(store.quarantine(&name("a")));
    assert!(matches!(refused, Err(StoreError::NotWritable { .. })));
    assert_eq!(dir.read("a").unwrap(), b"bees");
}

#[test]
fn quarantine_moves_a_file_under_its_own_name_and_replaces_nothing() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        for content in [b"first", b"other"] {
            dir.write("a/b/bad.jpg", content);
            store.quarantine(&name("a/b/bad.jpg")).await.unwrap();
        }
        dir.write("top", b"top");
        store.quarantine(&name("top")).await.unwrap();
        store.quarantine(&name("absent")).await.unwrap_err();
        store.quarantine(&name("a")).await.unwrap_err();
    });
    assert_eq!(dir.visible(), []);
    assert_eq!(dir.read(".gleaner/quarantine/1/a/b/bad.jpg").unwrap(), b"first");
    assert_eq!(dir.read(".gleaner/quarantine/2/a/b/bad.jpg").unwrap(), b"other");
    assert_eq!(dir.read(".gleaner/quarantine/3/top").unwrap(), b"top");
    for (path, location) in [
        ("a/b/bad.jpg", Some(".gleaner/quarantine/2/a/b/bad.jpg")),
        ("top", Some(".gleaner/quarantine/3/top")),
        ("absent", None),
    ] {
        let found = block_on(store.quarantined(&name(path)));
        assert_eq!(found.as_deref(), location);
    }
}
