//! Names are bytes that the device chooses: all of them arrive, and none of them leads elsewhere.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::context::Fleet;
use crate::recording::{self, content, digest, path};

/// Names that have broken shells, terminals, parsers and file systems.
pub(crate) fn awkward_names() -> Vec<PathBuf> {
    let mut names: Vec<Vec<u8>> = [
        "two\nlines.jpg",
        "\nnewline first",
        "carriage\rreturn",
        "tab\there",
        " blank first",
        "blank last ",
        "single'quote",
        "double\"quote",
        "back\\slash",
        "`touch pwned`",
        "$(touch pwned)",
        "; touch pwned",
        "-rf",
        "--help",
        "*",
        "?[a-z]{x,y}",
        "#hash",
        "~tilde",
        "%s%n",
        "\u{1b}]0;title\u{7}\u{1b}[31mred",
        "e\u{301}combining",
        "right\u{202e}to left",
        "...",
        "a.jpg~0123abcd",
        "name=1 2 3 /dev/null",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"not \xff\xfe UTF-8 \x80.jpg".to_vec());
    names.push([vec![b'l'; 251], b".jpg".to_vec()].concat());
    names.push([b"\xc3".repeat(255)].concat());
    names.into_iter().map(path).collect()
}

/// Asserts that the output has no byte that controls the reader's terminal.
fn assert_harmless(output: &[u8]) {
    let bad = output
        .iter()
        .find(|&&byte| byte == 0x1b || byte == 0x07 || byte == b'\r');
    assert_eq!(bad, None, "a control byte in {}", output.escape_ascii());
}

#[test]
fn names_of_any_bytes_arrive_as_they_are() {
    let fleet = Fleet::new(1);
    let names = awkward_names();
    for name in &names {
        fleet.device(1).record(name, name.as_os_str().as_bytes());
        fleet
            .device(1)
            .record(Path::new("day").join(name), content("in a folder", 100));
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    let stored = fleet.store_files();
    for name in &names {
        let stored_digest = stored.get(&Path::new("device1").join(name));
        assert_eq!(
            stored_digest,
            Some(&digest(name.as_os_str().as_bytes())),
            "{}",
            recording::shown(name)
        );
        assert!(
            stored.contains_key(&Path::new("device1/day").join(name)),
            "{}",
            recording::shown(name)
        );
    }
    let pwned = |folder: &Path| {
        recording::regular_files(folder)
            .iter()
            .any(|file| file.ends_with("pwned"))
    };
    assert!(!pwned(fleet.root()), "a name was executed");
}

#[test]
fn names_are_escaped_wherever_they_are_shown() {
    let fleet = Fleet::new(1);
    let names = awkward_names();
    for name in &names {
        fleet.device(1).record(name, name.as_os_str().as_bytes());
    }
    // Links stay, and are listed among the remaining files.
    for name in ["\u{1b}]0;title\u{7}", "two\nlines", "$(link)"] {
        symlink("/nowhere", fleet.device(1).folder.join(name)).expect("making a link");
    }
    let outcome = fleet.sweep();
    assert_harmless(&outcome.stdout);
    assert_harmless(&outcome.stderr);
    for arguments in [
        &["status", "device1"][..],
        &["status", "--json"],
        &["files"],
        &["files", "--json"],
    ] {
        let outcome = fleet.gleaner(arguments).exits(0);
        assert_harmless(&outcome.stdout);
        assert_harmless(&outcome.stderr);
    }
    let lines = fleet.gleaner(["files", "--json"]).json_lines();
    assert_eq!(lines.len(), names.len(), "one line for each file");
    fleet.assert_nothing_lost();
}

#[test]
fn a_path_of_sixty_levels_arrives() {
    let fleet = Fleet::new(1);
    let mut deep = PathBuf::new();
    for level in 0..60 {
        deep.push(format!("level number {level:02} of a deep tree"));
    }
    fleet.device(1).record(deep.join("img.jpg"), "deep");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[(Path::new("device1").join(&deep).join("img.jpg"), "deep")]);
}

#[test]
fn one_name_of_three_devices_is_kept_three_times() {
    let fleet = Fleet::new(3);
    for device in fleet.devices() {
        device.record("day/img.jpg", format!("of {}", device.name));
    }
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[
        ("device1/day/img.jpg", "of device1"),
        ("device2/day/img.jpg", "of device2"),
        ("device3/day/img.jpg", "of device3"),
    ]);
}

#[test]
fn in_a_shared_folder_one_name_of_three_devices_is_kept_three_times() {
    let fleet = Fleet::new(3);
    fleet.set("store.layout", "{path}");
    for device in fleet.devices() {
        device.record("day/img.jpg", format!("of {}", device.name));
    }
    fleet.gleaner(["config", "check"]).says("{device}");
    fleet.sweep_until_emptied().says("name taken by other content");
    fleet.assert_all_gathered();
    let stored = fleet.store_files();
    assert_eq!(stored.len(), 3, "{stored:?}");
    assert!(stored.contains_key(Path::new("day/img.jpg")), "{stored:?}");
    for (name, digest) in &stored {
        let tagged = PathBuf::from(format!("day/img~{}.jpg", &digest[..8]));
        assert!(name == Path::new("day/img.jpg") || *name == tagged, "{stored:?}");
    }
}

#[test]
fn a_name_of_255_bytes_that_is_taken_is_trimmed_to_fit() {
    let fleet = Fleet::new(2);
    fleet.set("store.layout", "{path}");
    let name = format!("{}.jpg", "l".repeat(251));
    for device in fleet.devices() {
        device.record(&name, format!("of {}", device.name));
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    let stored = fleet.store_files();
    assert_eq!(stored.len(), 2);
    for (stored_name, digest) in stored {
        let tag = format!("~{}.jpg", &digest[..8]);
        let text = stored_name.to_str().expect("plain");
        assert!(
            text == name || (text.ends_with(&tag) && text.len() == 255),
            "{text}"
        );
    }
}

#[test]
fn a_device_folder_named_like_the_control_folder_does_not_reach_it() {
    let fleet = Fleet::new(1);
    fleet.set("store.layout", "{path}");
    let marker = fleet.store().join(".gleaner/store.toml");
    let before = fs::read(&marker).expect("the marker");
    for folder in [
        ".gleaner",
        ".Gleaner",
        ".GLEANER",
        ".gleaner.",
        ".gleaner ",
        "day/.gleaner",
    ] {
        fleet
            .device(1)
            .record(Path::new(folder).join("store.toml"), format!("in {folder}"));
        fleet
            .device(1)
            .record(Path::new(folder).join("staging/x"), format!("x in {folder}"));
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fs::read(&marker).expect("the marker"), before);
    assert!(
        fleet
            .store_files()
            .contains_key(Path::new(".gleaner~/store.toml")),
        "{:?}",
        fleet.store_files()
    );
}

#[test]
fn a_file_that_is_named_like_the_control_folder_is_gathered() {
    let fleet = Fleet::new(1);
    fleet.set("store.layout", "{path}");
    fleet.device(1).record(".gleaner", "a file");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[(".gleaner~", "a file")]);
}

#[test]
fn names_that_differ_only_in_case_are_both_kept() {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("img.jpg", "small")
        .record("IMG.JPG", "large")
        .record("Day/a", "1")
        .record("day/a", "2");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[
        ("device1/img.jpg", "small"),
        ("device1/IMG.JPG", "large"),
        ("device1/Day/a", "1"),
        ("device1/day/a", "2"),
    ]);
}

#[test]
fn links_are_neither_followed_nor_removed() {
    let fleet = Fleet::new(1);
    let source = &fleet.device(1).folder;
    let outside = fleet.path("outside");
    fs::create_dir(&outside).expect("making a folder");
    fs::write(outside.join("private"), "not to be touched").expect("writing");
    symlink(outside.join("private"), source.join("to a file")).expect("linking");
    symlink(&outside, source.join("to a folder")).expect("linking");
    symlink("nowhere", source.join("to nothing")).expect("linking");
    symlink(".", source.join("to itself")).expect("linking");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[("device1/img.jpg", "picture")]);
    assert_eq!(
        fs::read_to_string(outside.join("private")).expect("the file"),
        "not to be touched"
    );
    for name in ["to a file", "to a folder", "to nothing", "to itself"] {
        assert!(source.join(name).is_symlink(), "{name} is gone");
    }
    fleet.assert_left("device1", "to a folder", "link");
    fleet.assert_left("device1", "to nothing", "link");
}

#[test]
fn a_pipe_and_a_socket_are_left_alone_and_nothing_hangs() {
    let fleet = Fleet::new(1);
    let source = &fleet.device(1).folder;
    mknodat(
        CWD,
        source.join("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .expect("making a pipe");
    let _socket = UnixListener::bind(source.join("socket")).expect("making a socket");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[("device1/img.jpg", "picture")]);
    let kind = |name: &str| {
        fs::symlink_metadata(source.join(name))
            .expect("still there")
            .file_type()
    };
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    fleet.assert_left("device1", "pipe", "special");
    fleet.assert_left("device1", "socket", "special");
}
