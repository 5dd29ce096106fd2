//! The names that files can get.

use engine::ports::{Placement, PublishFault, Reproof};

use crate::context::{TestStore, block_on, published, reproved};

#[test]
fn no_file_is_published_into_the_control_folder() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        for name in [
            ".gleaner/x",
            ".gleaner/new/x",
            ".GLEANER/x",
            ".gleaner. /x",
            ".gleaner/store.toml",
            ".gleaner",
            "a/.gleaner/x",
        ] {
            let answer = published(&store, name, b"bees").await;
            assert!(
                matches!(answer, Err(PublishFault::Unacceptable(_))),
                "{name}: {answer:?}"
            );
        }
        assert!(!dir.path.join(".gleaner/new").exists() && !dir.path.join(".GLEANER").exists());
        assert_eq!(
            published(&store, ".gleaner~/x", b"bees").await,
            Ok(Placement::New)
        );
    });
}

#[test]
fn a_name_that_the_file_system_refuses_has_its_own_fault() {
    let dir = TestStore::new();
    let store = dir.open();
    block_on(async {
        for name in ["a".repeat(256), format!("{}/x", "b".repeat(256))] {
            let answer = published(&store, &name, b"bees").await;
            assert!(matches!(answer, Err(PublishFault::Unacceptable(_))), "{answer:?}");
        }
        assert_eq!(
            published(&store, &"c".repeat(255), b"bees").await,
            Ok(Placement::New)
        );
    });
    assert_eq!(dir.visible().len(), 1);
}

#[test]
fn unusual_names_are_published_unchanged() {
    let dir = TestStore::new();
    let store = dir.open();
    let names = [
        "a\nb",
        "-rf",
        "$(reboot)",
        "\u{1b}[2J",
        "...",
        "..a/b..",
        "'\"\\",
        " ",
    ];
    block_on(async {
        for name in names {
            assert_eq!(
                published(&store, name, b"bees").await,
                Ok(Placement::New),
                "{name:?}"
            );
        }
    });
    assert_eq!(dir.visible().len(), names.len());
}

#[test]
fn paths_of_sixty_levels_and_maximum_length_are_made() {
    let dir = TestStore::new();
    let store = dir.open();
    let deep = vec!["d"; 60].join("/");
    let longest = [vec!["y".repeat(250); 16].join("/").as_str(), "/", &"z".repeat(79)].concat();
    assert_eq!(longest.len(), 4095);
    block_on(async {
        for name in [&deep, &longest] {
            assert_eq!(published(&store, name, b"bees").await, Ok(Placement::New));
            assert_eq!(published(&store, name, b"bees").await, Ok(Placement::Same));
            assert_eq!(reproved(&store, name, b"bees").await, Reproof::Same);
        }
    });
    assert_eq!(dir.read(&deep).unwrap(), b"bees");
}
