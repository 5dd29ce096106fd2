//! The condition of the store is checked before anything is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ports::{Placement, Store as _, StoreError, StoreStatus as _};
use model::StoreId;
use rustix::io::Errno;
use storage::{DirectoryStore, StoreFolder, StoreSettings, SystemDisk, UntouchedStore};
use tempfile::TempDir;

use crate::context::{TestStore, block_on, content, published, sealed, settings};
use crate::mounts::Mount;
use crate::watched::WatchedDisk;

#[test]
fn a_usable_store_reports_its_id_and_room() {
    let dir = TestStore::new();
    let store = dir.open();
    let condition = block_on(store.condition()).unwrap();
    assert_eq!(condition.id, *store.id());
    assert!(condition.room > Some(0));
    dir.assert_staging_is_empty();
}

#[test]
fn below_min_free_the_store_is_full() {
    let dir = TestStore::new();
    let settings = StoreSettings {
        min_free: u64::MAX,
        ..settings("ours")
    };
    let store = dir.open_with(&Arc::new(SystemDisk::default()), settings);
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("`min_free`"), "{error}");
}

#[test]
fn bytes_that_must_stay_free_are_not_room() {
    let dir = TestStore::new();
    let room_above = |min_free| {
        let settings = StoreSettings {
            min_free,
            ..settings("ours")
        };
        let store = dir.open_with(&Arc::new(SystemDisk::default()), settings);
        block_on(store.condition()).unwrap().room.unwrap()
    };
    // Other processes write to the disk at the same time.
    let all = room_above(0);
    assert!(room_above(all / 2) < all / 4 * 3);
}

#[test]
fn an_empty_or_missing_folder_is_not_a_store() {
    let dir = TestStore::new();
    let disk = Arc::new(SystemDisk::default());
    let store = dir.open_on(&disk);
    let moved = dir.path.join("../moved-away");
    let aside = TempDir::new_in(dir.path.parent().unwrap()).unwrap();
    drop(moved);
    fs::rename(&dir.path, aside.path().join("store")).unwrap();
    let check = || {
        let error = block_on(store.condition()).unwrap_err();
        assert!(matches!(error, StoreError::NoMarker { .. }), "{error}");
        let opened = StoreFolder::open(Arc::clone(&disk), &dir.path, None);
        assert!(matches!(opened, Err(StoreError::NoMarker { .. })), "{opened:?}");
    };
    check();
    fs::create_dir(&dir.path).unwrap();
    check();
    assert_eq!(fs::read_dir(&dir.path).unwrap().count(), 0);
}

#[test]
fn a_store_replaced_by_another_is_refused() {
    let dir = TestStore::new();
    let disk = Arc::new(SystemDisk::default());
    let store = dir.open_on(&disk);
    let other = TestStore::new();
    fs::rename(
        other.path.join(".gleaner/store.toml"),
        dir.path.join(".gleaner/store.toml"),
    )
    .unwrap();
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::OtherStore { .. }), "{error}");
    let expected = StoreId::new("0").unwrap();
    let opened = StoreFolder::open(disk, &dir.path, Some(&expected));
    assert!(matches!(opened, Err(StoreError::OtherStore { .. })), "{opened:?}");
}

#[test]
fn the_same_store_on_a_new_mount_is_used() {
    let dir = TestStore::new();
    let store = dir.open();
    let aside = TempDir::new().unwrap();
    // Stands for a new mount: another folder with the same marker.
    fs::rename(&dir.path, aside.path().join("old")).unwrap();
    fs::create_dir_all(dir.path.join(".gleaner")).unwrap();
    fs::copy(
        aside.path().join("old/.gleaner/store.toml"),
        dir.path.join(".gleaner/store.toml"),
    )
    .unwrap();
    block_on(async {
        store.condition().await.unwrap();
        assert_eq!(published(&store, "a", b"bees").await, Ok(Placement::New));
    });
    assert_eq!(dir.read("a").unwrap(), b"bees");
    assert!(!aside.path().join("old/a").exists());
}

#[test]
fn a_removed_staging_folder_is_made_again() {
    let dir = TestStore::new();
    let store = dir.open();
    fs::remove_dir_all(dir.path.join(".gleaner/staging")).unwrap();
    block_on(async {
        store.condition().await.unwrap();
        assert_eq!(published(&store, "a", b"bees").await, Ok(Placement::New));
    });
}

#[test]
fn a_store_that_forbids_writing_is_refused() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.refuse(|call| (call.operation == "create_file").then_some(Errno::ACCESS));
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    let opened = DirectoryStore::open(dir.folder(&disk), settings("ours"));
    assert!(
        matches!(opened, Err(StoreError::NotWritable { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_dry_run_changes_nothing_with_and_without_staging() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = UntouchedStore::new(dir.folder(&disk), settings("ours"));
    for has_staging in [false, true] {
        if has_staging {
            drop(dir.open());
        }
        let before = everything(&dir.path);
        let condition = block_on(store.condition()).unwrap();
        assert_eq!(&condition.id, dir.folder(&disk).id());
        assert!(condition.room > Some(0));
        assert_eq!(everything(&dir.path), before);
        assert_eq!(dir.path.join(".gleaner/staging").exists(), has_staging);
    }
}

#[test]
fn a_dry_run_refuses_a_store_that_a_sweep_would_refuse() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let looked_at = |settings| block_on(UntouchedStore::new(dir.folder(&disk), settings).condition());
    let full = StoreSettings {
        min_free: u64::MAX,
        ..settings("ours")
    };
    let error = looked_at(full).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");

    disk.refuse(|call| (call.operation == "create_file").then_some(Errno::ACCESS));
    let error = looked_at(settings("ours")).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    let names = ["link", "rename_without_replacing"];
    disk.refuse(move |call| names.contains(&call.operation).then_some(Errno::PERM));
    let error = looked_at(settings("ours")).unwrap_err();
    assert!(matches!(error, StoreError::CannotPublish { .. }), "{error}");
    disk.refuse_nothing();
    let staging = dir.path.join(".gleaner/staging");
    assert!(!staging.exists());
    fs::write(&staging, "no folder").unwrap();
    let error = looked_at(settings("ours")).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    fs::remove_file(&staging).unwrap();

    let store = UntouchedStore::new(dir.folder(&disk), settings("ours"));
    block_on(store.condition()).unwrap();
    let other = TestStore::new();
    let marker = ".gleaner/store.toml";
    fs::rename(other.path.join(marker), dir.path.join(marker)).unwrap();
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::OtherStore { .. }), "{error}");
    fs::remove_file(dir.path.join(marker)).unwrap();
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::NoMarker { .. }), "{error}");
}

/// The paths of all files and folders.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn an_unmounted_or_read_only_store_is_noticed() {
    let folder = TempDir::new().unwrap();
    let Some(mut mount) = Mount::tmpfs(&folder.path().join("mount"), 8) else {
        return;
    };
    let dir = TestStore::at(mount.path());
    let store = dir.open();
    block_on(store.condition()).unwrap();

    mount.remount("ro");
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    let opened = DirectoryStore::open(dir.folder(&Arc::new(SystemDisk::default())), settings("theirs"));
    assert!(
        matches!(opened, Err(StoreError::NotWritable { .. })),
        "{opened:?}"
    );
    mount.remount("rw");
    block_on(store.condition()).unwrap();

    mount.unmount();
    let error = block_on(store.condition()).unwrap_err();
    assert!(matches!(error, StoreError::NoMarker { .. }), "{error}");
    block_on(async {
        // The folders held open still lead to the store; no file can go to the folder under the mount point.
        drop(published(&store, "a/b", b"bees").await);
    });
    assert_eq!(fs::read_dir(&dir.path).unwrap().count(), 0);
}

#[test]
fn a_store_that_fills_up_reports_it_and_shows_no_partial_file() {
    let folder = TempDir::new().unwrap();
    let Some(mount) = Mount::tmpfs(&folder.path().join("mount"), 12) else {
        return;
    };
    let dir = TestStore::at(mount.path());
    let store = dir.open();
    block_on(async {
        let small = content(3 << 20, 1);
        assert_eq!(published(&store, "a/small", &small).await, Ok(Placement::New));
        for length in [9 << 20, 30 << 20] {
            let error = sealed(&store, &content(length, 2)).await.unwrap_err();
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        }
        // In chunks, as from a device, and too small to have room reserved.
        let mut filled = Vec::new();
        let error = loop {
            match sealed(&store, &content(1 << 20, u8::try_from(filled.len()).unwrap())).await {
                Ok(sealed) => filled.push(sealed),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(dir.visible(), [("a/small".to_owned(), small)]);
        assert!(block_on_full(&store).await);
        mount.remount("size=40m");
        store.condition().await.unwrap();
        store.retire(filled).await.unwrap();
        assert_eq!(
            published(&store, "a/more", &content(9 << 20, 3)).await,
            Ok(Placement::New)
        );
    });
    dir.assert_staging_is_empty();
}

/// A store with a few bytes left may pass by its count; one without must report that it is full.
async fn block_on_full(store: &DirectoryStore<SystemDisk>) -> bool {
    match store.condition().await {
        Ok(condition) => condition.room < Some(1 << 20),
        Err(error) => matches!(error, StoreError::Full { .. }),
    }
}
