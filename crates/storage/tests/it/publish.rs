//! Sealed files get their names.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::Arc;

use engine::ports::{Obstacle, Placement, Publication, PublishFault, Reproof, Store as _, StoreError};
use rustix::io::Errno;
use storage::{DirectoryStore, Disk, StoreFolder, SystemDisk};

use crate::context::{
    TestStore, block_on, foreseen, inline_settings, publication, published, reproved, sealed, settings,
};
use crate::watched::WatchedDisk;

#[test]
fn a_published_file_is_whole_under_its_name_and_keeps_its_time() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        assert_eq!(
            published(&store, "d1/2026/a.jpg", b"bees").await,
            Ok(Placement::New)
        );
        assert_eq!(published(&store, "top", b"").await, Ok(Placement::New));
        assert_eq!(reproved(&store, "d1/2026/a.jpg", b"bees").await, Reproof::Same);
    });
    assert_eq!(dir.read("d1/2026/a.jpg").unwrap(), b"bees");
    assert_eq!(dir.read("top").unwrap(), b"");
    let metadata = fs::metadata(dir.path.join("d1/2026/a.jpg")).unwrap();
    assert_eq!(
        (metadata.mtime(), metadata.mtime_nsec()),
        (1_500_000_000, 123_456_789)
    );
    assert_eq!(metadata.nlink(), 1);
    dir.assert_staging_is_empty();
}

#[test]
fn a_name_with_equal_content_counts_as_stored() {
    let dir = TestStore::new();
    dir.write("d1/a", b"from rsync");
    let store = dir.open();
    block_on(async {
        assert_eq!(
            published(&store, "d1/a", b"from rsync").await,
            Ok(Placement::Same)
        );
        assert_eq!(
            published(&store, "d1/a", b"from rsync").await,
            Ok(Placement::Same)
        );
    });
    assert_eq!(dir.visible().len(), 1);
}

#[test]
fn a_name_with_other_content_is_never_replaced() {
    let dir = TestStore::new();
    dir.write("same-size", b"bees");
    dir.write("other-size", b"many bees");
    fs::create_dir(dir.path.join("folder")).unwrap();
    symlink("/etc/passwd", dir.path.join("link")).unwrap();
    symlink("same-size", dir.path.join("link-within")).unwrap();
    symlink("nowhere", dir.path.join("dangling")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let before = dir.visible_but_pipes();
    let store = dir.open();
    block_on(async {
        for name in [
            "same-size",
            "other-size",
            "folder",
            "link",
            "link-within",
            "dangling",
            "pipe",
        ] {
            let answer = published(&store, name, b"wasp").await;
            assert_eq!(answer, Err(PublishFault::Taken), "{name}");
        }
        // The content behind a link is the same, but the name is a link.
        let answer = published(&store, "link-within", b"bees").await;
        assert_eq!(answer, Err(PublishFault::Taken));
    });
    assert_eq!(dir.visible_but_pipes(), before);
    assert_eq!(
        fs::read_link(dir.path.join("link")).unwrap().to_str(),
        Some("/etc/passwd")
    );
    assert!(!fs::exists(dir.path.join("nowhere")).unwrap());
}

fn assert_links_are_not_followed<D: Disk>(disk: &Arc<D>) {
    let dir = TestStore::new();
    let outside = tempfile::TempDir::new().unwrap();
    dir.write("a/file", b"x");
    dir.write("elsewhere/x", b"x");
    dir.write("elsewhere/deep/x", b"x");
    fs::create_dir(outside.path().join("deep")).unwrap();
    symlink(outside.path(), dir.path.join("out")).unwrap();
    symlink("../elsewhere", dir.path.join("a/within")).unwrap();
    symlink("nowhere", dir.path.join("a/dangling")).unwrap();
    let store = dir.open_on(disk);
    block_on(async {
        for (name, depth, by) in [
            ("out/b", 0, Obstacle::Link),
            ("out/deep/b", 0, Obstacle::Link),
            ("a/file/b/c", 1, Obstacle::File),
            ("a/within/b", 1, Obstacle::Link),
            ("a/within/deep/b", 1, Obstacle::Link),
            ("a/dangling/b/c", 1, Obstacle::Link),
        ] {
            let answer = published(&store, name, b"bees").await;
            assert_eq!(answer, Err(PublishFault::Obstructed { depth, by }), "{name}");
            assert_eq!(
                foreseen(&store, name).await,
                Err(PublishFault::Obstructed { depth, by }),
                "{name}"
            );
            assert_ne!(reproved(&store, name, b"bees").await, Reproof::Same, "{name}");
        }
        fs::write(outside.path().join("b"), b"bees").unwrap();
        assert_ne!(reproved(&store, "a/within/deep/x", b"x").await, Reproof::Same);
        assert_ne!(reproved(&store, "out/b", b"bees").await, Reproof::Same);
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
    assert_eq!(fs::read_dir(outside.path().join("deep")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path.join("elsewhere/deep")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path.join("elsewhere")).unwrap().count(), 2);
}

#[test]
fn a_symbolic_link_or_file_in_the_path_is_never_followed() {
    assert_links_are_not_followed(&Arc::new(SystemDisk::default()));
}

#[test]
fn without_openat2_no_link_is_followed_either() {
    assert_links_are_not_followed(&Arc::new(SystemDisk::without_openat2()));
}

#[test]
fn results_are_in_the_order_of_the_publications() {
    let dir = TestStore::new();
    dir.write("b/taken", b"x");
    dir.write("c/same", b"bees");
    dir.write("d", b"x");
    let store = dir.open();
    let answers = block_on(async {
        let mut publications = Vec::new();
        for path in ["z/new", "b/taken", "c/same", "d/below", "b/new", "z/new", "top"] {
            publications.push(publication(&sealed(&store, b"bees").await.unwrap(), path));
        }
        store.publish(publications).await.unwrap()
    });
    let expected = [
        Ok(Placement::New),
        Err(PublishFault::Taken),
        Ok(Placement::Same),
        Err(PublishFault::Obstructed {
            depth: 0,
            by: Obstacle::File,
        }),
        Ok(Placement::New),
        Ok(Placement::Same),
        Ok(Placement::New),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn three_thousand_files_are_published_in_one_batch() {
    let dir = TestStore::new();
    let store = Arc::new(dir.open());
    block_on(async {
        let mut sealing = tokio::task::JoinSet::new();
        for number in 0..3000_u32 {
            let store = Arc::clone(&store);
            sealing.spawn(async move { sealed(&store, &number.to_le_bytes()).await.unwrap() });
        }
        let files = sealing.join_all().await;
        let place = |(number, file)| {
            publication(
                file,
                &format!("device{}/set{}/{number}", number % 7, number % 100),
            )
        };
        let publications: Vec<Publication> = files.iter().enumerate().map(place).collect();
        let answers = store.publish(publications).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Ok(Placement::New)));
        store.retire(files).await.unwrap();
    });
    assert_eq!(dir.visible().len(), 3000);
    dir.assert_staging_is_empty();
}

#[test]
fn a_sealed_file_may_be_tried_under_several_names_in_turn() {
    let dir = TestStore::new();
    dir.write("a", b"other");
    let store = dir.open();
    block_on(async {
        let sealed = sealed(&store, b"bees").await.unwrap();
        let taken = store.publish(vec![publication(&sealed, "a")]).await.unwrap();
        assert_eq!(taken, [Err(PublishFault::Taken)]);
        for _ in 0..2 {
            // The second time stands for a link that was made although its reply was lost.
            let placed = store.publish(vec![publication(&sealed, "a~1")]).await.unwrap();
            assert_eq!(placed, [Ok(Placement::New)]);
        }
    });
}

fn without_links(call: &crate::watched::Call) -> Option<Errno> {
    (call.operation == "link").then_some(Errno::PERM)
}

#[test]
fn without_links_files_are_renamed_and_nothing_is_replaced() {
    let dir = TestStore::new();
    dir.write("taken", b"x");
    dir.write("same", b"bees");
    let disk = WatchedDisk::new();
    disk.refuse(without_links);
    let store = dir.open_on(&disk);
    block_on(async {
        assert_eq!(published(&store, "a/new", b"bees").await, Ok(Placement::New));
        assert_eq!(
            published(&store, "taken", b"bees").await,
            Err(PublishFault::Taken)
        );
        assert_eq!(published(&store, "same", b"bees").await, Ok(Placement::Same));
    });
    assert_eq!(dir.read("taken").unwrap(), b"x");
    dir.assert_staging_is_empty();
}

#[test]
fn a_folder_where_links_fail_uses_renames() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_on(&disk);
    disk.refuse(|call| (call.operation == "link").then_some(Errno::MLINK));
    block_on(async {
        assert_eq!(published(&store, "a/new", b"bees").await, Ok(Placement::New));
    });
    dir.assert_staging_is_empty();
}

#[test]
fn a_store_that_can_neither_link_nor_rename_safely_is_refused() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    disk.refuse(|call| match call.operation {
        "link" => Some(Errno::OPNOTSUPP),
        "rename_without_replacing" => Some(Errno::INVAL),
        _ => None,
    });
    let opened = DirectoryStore::open(dir.folder(&disk), settings("ours"));
    assert!(
        matches!(opened, Err(StoreError::CannotPublish { .. })),
        "{opened:?}"
    );
    dir.assert_staging_is_empty();
    let store = StoreFolder::open(disk, &dir.path, None);
    assert!(store.is_ok());
}

#[test]
fn a_folder_removed_between_two_files_is_made_again() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        assert_eq!(published(&store, "a/b/1", b"bees").await, Ok(Placement::New));
        fs::remove_dir_all(dir.path.join("a")).unwrap();
        assert_eq!(reproved(&store, "a/b/1", b"bees").await, Reproof::Missing);
        assert_eq!(published(&store, "a/b/2", b"bees").await, Ok(Placement::New));
    });
    assert_eq!(dir.visible().len(), 1);
}

#[test]
fn a_file_whose_folder_was_moved_does_not_count_as_stored() {
    let dir = TestStore::new();
    let disk = WatchedDisk::new();
    let store = dir.open_with(&disk, inline_settings());
    dir.write("a/b/there", b"x");
    let path = dir.path.clone();
    disk.refuse(move |call| {
        if call.operation == "link" {
            fs::rename(path.join("a"), path.join("moved")).unwrap();
            fs::create_dir_all(path.join("a/b")).unwrap();
        }
        None
    });
    block_on(async {
        let file = sealed(&store, b"bees").await.unwrap();
        let publications = vec![publication(&file, "a/b/new")];
        let answers = store.publish(publications).await.unwrap();
        assert!(matches!(answers[0], Err(PublishFault::Failed(_))), "{answers:?}");
    });
    assert_eq!(dir.read("a/b/new"), None);
}

#[test]
fn a_file_without_its_sealed_name_does_not_count_as_stored() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        let sealed = sealed(&store, b"bees").await.unwrap();
        let publications = vec![publication(&sealed, "a/b")];
        store.retire(vec![sealed]).await.unwrap();
        let answers = store.publish(publications).await.unwrap();
        assert!(matches!(answers[0], Err(PublishFault::Failed(_))), "{answers:?}");
    });
    assert_eq!(dir.visible(), []);
}

#[test]
fn a_copy_is_reproved_by_its_bytes() {
    let dir = TestStore::new();
    dir.write("a/b", b"bees");
    let store = dir.open();
    block_on(async {
        assert_eq!(reproved(&store, "a/b", b"bees").await, Reproof::Same);
        assert_eq!(reproved(&store, "a/b", b"wasp").await, Reproof::Other);
        assert_eq!(reproved(&store, "a/b", b"many bees").await, Reproof::Other);
        assert_eq!(reproved(&store, "a/c", b"bees").await, Reproof::Missing);
        assert_eq!(reproved(&store, "a/b/c", b"bees").await, Reproof::Missing);
        assert_eq!(reproved(&store, "x/y", b"bees").await, Reproof::Missing);
        assert_eq!(reproved(&store, "a", b"bees").await, Reproof::Other);
    });
}
