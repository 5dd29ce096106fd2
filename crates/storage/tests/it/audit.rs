//! Reading the visible store.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use engine::ports::Store as _;
use storage::SystemDisk;
use storage::audit::CopyCheck;
use storage::disk::EntryKind;

use crate::context::{TestStore, block_on, digest, name};

#[test]
fn a_walk_returns_all_visible_files_and_no_control_folder() {
    let dir = TestStore::new();
    dir.write("a/b/c", b"bees");
    dir.write("top", b"");
    dir.write("a/.gleaner/x", b"no control folder");
    fs::create_dir(dir.path.join("empty")).unwrap();
    symlink("/etc", dir.path.join("a/link")).unwrap();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let mut found: Vec<_> = store
        .walk()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.name.to_string(), entry.kind, entry.size))
        .collect();
    found.sort_by(|one, two| one.0.cmp(&two.0));
    let expected = [
        ("a/.gleaner/x", EntryKind::File, 17),
        ("a/b/c", EntryKind::File, 4),
        ("a/link", EntryKind::Link, 4),
        ("top", EntryKind::File, 0),
    ];
    assert_eq!(
        found,
        expected.map(|(name, kind, size)| (name.to_owned(), kind, size))
    );
}

#[test]
fn a_walk_continues_after_a_folder_that_cannot_be_opened() {
    let dir = TestStore::new();
    dir.write("a/x", b"1");
    dir.write("b/x", b"1");
    dir.write("c", b"1");
    let disk = crate::watched::WatchedDisk::new();
    let store = dir.folder(&disk);
    disk.refuse(|call| {
        let is_it = call.operation == "open_folder" && call.name == b"a";
        is_it.then_some(rustix::io::Errno::ACCESS)
    });
    let (found, errors): (Vec<_>, Vec<_>) = store.walk().partition(Result::is_ok);
    assert_eq!((found.len(), errors.len()), (2, 1));
    assert_eq!(errors[0].as_ref().unwrap_err().name, "a");
    drop((found, errors, store));
    assert_eq!(disk.open_handles(), 0);
}

#[test]
fn a_copy_is_compared_by_its_bytes() {
    let dir = TestStore::new();
    dir.write("a/b", b"bees");
    symlink("b", dir.path.join("a/link")).unwrap();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let check = |path: &str, content: &[u8]| {
        store.check_copy(
            &name(path),
            u64::try_from(content.len()).unwrap(),
            &digest(content),
        )
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
}
