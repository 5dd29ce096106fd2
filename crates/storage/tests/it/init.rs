//! A folder becomes a store.

use std::fs;
use std::sync::Arc;

use engine::ports::StoreError;
use model::StoreId;
use storage::{InitError, InitOptions, Initialised, StoreFolder, SystemDisk, init};
use tempfile::TempDir;

use crate::context::{TestStore, init_options};
use crate::mounts::Mount;

fn try_init(path: &std::path::Path, options: &InitOptions) -> Result<Initialised, InitError> {
    init(&Arc::new(SystemDisk::default()), path, options)
}

fn replacing(id: &StoreId) -> InitOptions {
    InitOptions {
        replace: Some(id.clone()),
        ..init_options()
    }
}

#[test]
fn a_folder_with_files_becomes_a_store_and_they_stay_unchanged() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), b"bees").unwrap();
    let Initialised::Made(id) = try_init(folder.path(), &init_options()).unwrap() else {
        panic!("not made");
    };
    let store = StoreFolder::open(Arc::new(SystemDisk::default()), folder.path(), Some(&id)).unwrap();
    assert_eq!(*store.id(), id);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"bees");
    let left: Vec<_> = fs::read_dir(folder.path().join(".gleaner")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_existing_store_keeps_its_id() {
    let folder = TempDir::new().unwrap();
    let Initialised::Made(id) = try_init(folder.path(), &init_options()).unwrap() else {
        panic!("not made");
    };
    let marker = fs::read(folder.path().join(".gleaner/store.toml")).unwrap();
    let again = try_init(folder.path(), &init_options()).unwrap();
    assert_eq!(again, Initialised::Already(id.clone()));
    let wrong = StoreId::new("0").unwrap();
    let refused = try_init(folder.path(), &replacing(&wrong)).unwrap_err();
    assert!(matches!(refused, InitError::OtherId { .. }), "{refused}");
    assert_eq!(
        fs::read(folder.path().join(".gleaner/store.toml")).unwrap(),
        marker
    );
    let Initialised::Replaced { old, new } = try_init(folder.path(), &replacing(&id)).unwrap() else {
        panic!("not replaced");
    };
    assert_eq!(old, id);
    assert_ne!(new, id);
}

#[test]
fn there_is_no_id_to_replace_where_there_is_no_store() {
    let folder = TempDir::new().unwrap();
    let refused = try_init(folder.path(), &replacing(&StoreId::new("0").unwrap())).unwrap_err();
    assert!(matches!(refused, InitError::NothingToReplace { .. }), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_on_the_root_file_system_requires_a_flag() {
    let folder = TempDir::new_in("/var/tmp").unwrap();
    let device = |path: &std::path::Path| std::os::unix::fs::MetadataExt::dev(&fs::metadata(path).unwrap());
    if device(folder.path()) != device("/".as_ref()) {
        eprintln!("SKIPPED: /var/tmp is not on the root file system");
        return;
    }
    let options = InitOptions {
        local: false,
        ..init_options()
    };
    let refused = try_init(folder.path(), &options).unwrap_err();
    assert!(matches!(refused, InitError::RootFileSystem { .. }), "{refused}");
    assert!(refused.to_string().contains("--local"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    if let Some(mount) = Mount::tmpfs(&folder.path().join("mount"), 4) {
        assert!(matches!(
            try_init(mount.path(), &options),
            Ok(Initialised::Made(_))
        ));
    }
}

#[test]
fn a_missing_folder_is_not_made() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("absent");
    let refused = try_init(&path, &init_options()).unwrap_err();
    assert!(matches!(refused, InitError::Missing { .. }), "{refused}");
    assert!(!path.exists());
}

#[test]
fn an_unreadable_marker_is_not_changed() {
    for text in ["", "version = 7", "version = \"x\"", "no toml \u{1b}[2J"] {
        let dir = TestStore::new();
        let marker = dir.path.join(".gleaner/store.toml");
        fs::write(&marker, text).unwrap();
        let opened = StoreFolder::open(Arc::new(SystemDisk::default()), &dir.path, None);
        let Err(StoreError::DamagedMarker { reason, .. }) = opened else {
            panic!("{opened:?}");
        };
        assert!(!reason.contains('\u{1b}'));
        try_init(&dir.path, &init_options()).unwrap_err();
        assert_eq!(fs::read_to_string(&marker).unwrap(), text);
    }
}
