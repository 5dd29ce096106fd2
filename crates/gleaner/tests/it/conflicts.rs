//! A taken name in the store: the same content is not stored again, other content is kept beside it, and the
//! existing file is never touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::context::Fleet;
use crate::recording::digest;

/// The name that a file gets beside a taken one.
fn beside(stem: &str, content: &str, extension: &str) -> PathBuf {
    PathBuf::from(format!("{stem}~{}{extension}", &digest(content.as_bytes())[..8]))
}

fn modified(fleet: &Fleet, path: &str) -> SystemTime {
    fs::metadata(fleet.store().join(path))
        .expect("a stored file")
        .modified()
        .expect("a time")
}

/// Gathers one version of a file, then another one of the same size whose mtime differs by this number of
/// seconds.
fn used_again(seconds: i64) {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    let time = crate::device::a_minute_ago();
    device.record("img.jpg", "first").set_modified("img.jpg", time);
    fleet.sweep_until_emptied();
    let shift = Duration::from_secs(seconds.unsigned_abs());
    let again = if seconds < 0 { time - shift } else { time + shift };
    device.record("img.jpg", "other").set_modified("img.jpg", again);
    fleet.sweep_until_emptied();
    let other = beside("device1/img", "other", ".jpg");
    fleet.assert_store_holds(&[(Path::new("device1/img.jpg"), "first"), (&other, "other")]);
    fleet.assert_all_gathered();
    assert_eq!(modified(&fleet, "device1/img.jpg"), time);
}

#[test]
fn a_name_used_again_with_the_same_size_and_time_keeps_both() {
    used_again(0);
}

#[test]
fn a_name_used_again_with_an_older_time_keeps_both() {
    used_again(-3600);
}

#[test]
fn a_name_used_again_with_a_newer_time_keeps_both() {
    used_again(5);
}

#[test]
fn the_same_content_again_is_released_and_not_stored_twice() {
    let fleet = Fleet::new(1);
    for _ in 0..3 {
        fleet.device(1).record("img.jpg", "picture");
        fleet.sweep_until_emptied();
    }
    fleet.assert_store_holds(&[("device1/img.jpg", "picture")]);
}

#[test]
fn repeated_contents_reuse_the_names_that_they_have() {
    let fleet = Fleet::new(1);
    for content in ["first", "second", "third", "second", "first", "third"] {
        fleet.device(1).record("img.jpg", content);
        fleet.sweep_until_emptied();
    }
    fleet.assert_store_holds(&[
        (Path::new("device1/img.jpg"), "first"),
        (&beside("device1/img", "second", ".jpg"), "second"),
        (&beside("device1/img", "third", ".jpg"), "third"),
    ]);
}

#[test]
fn if_the_name_beside_is_taken_too_a_longer_one_is_used() {
    let fleet = Fleet::new(1);
    let short = beside("device1/img", "picture", ".jpg");
    fleet
        .put_into_store("device1/img.jpg", b"somebody's")
        .put_into_store(&short, b"somebody else's");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    let longer = format!("device1/img~{}.jpg", &digest(b"picture")[..16]);
    fleet.assert_store_holds(&[
        (Path::new("device1/img.jpg"), "somebody's"),
        (&short, "somebody else's"),
        (Path::new(&longer), "picture"),
    ]);
}

#[test]
fn a_file_whose_name_is_a_folder_in_the_store_is_kept_beside_it() {
    let fleet = Fleet::new(1);
    fleet.put_into_store("device1/img/inside", b"inside");
    fleet.device(1).record("img", "picture");
    fleet.sweep_until_emptied();
    let other = beside("device1/img", "picture", "");
    fleet.assert_store_holds(&[(Path::new("device1/img/inside"), "inside"), (&other, "picture")]);
}

#[test]
fn a_file_whose_folder_is_a_file_in_the_store_is_still_stored() {
    let fleet = Fleet::new(1);
    fleet.put_into_store("device1/day", b"a file");
    fleet
        .device(1)
        .record("day/img.jpg", "picture")
        .record("night/img.jpg", "other");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 3);
}

#[test]
fn a_file_and_then_a_folder_of_the_same_name_are_both_kept() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    device.record("day", "a file");
    fleet.sweep_until_emptied();
    device.record("day/img.jpg", "picture");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 2);
}

#[test]
fn files_from_before_gleaner_are_recognised_and_never_stored_twice() {
    let fleet = Fleet::new(2);
    fleet.set("store.layout", "beephotos/{path}");
    for number in 0..30 {
        let (name, content) = (format!("day/{number:02}.jpg"), format!("picture {number}"));
        fleet.put_into_store(Path::new("beephotos").join(&name), content.as_bytes());
        fleet.device(1).record(&name, content);
    }
    fleet
        .device(2)
        .record("day/00.jpg", "of another device")
        .record("day/30.jpg", "new");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    let stored = fleet.store_files();
    assert_eq!(stored.len(), 32, "{stored:?}");
    assert!(stored.contains_key(&beside("beephotos/day/00", "of another device", ".jpg")));
    assert_eq!(fleet.gleaner(["files", "--json"]).exits(0).json_lines().len(), 32);
}

#[test]
fn a_symbolic_link_in_the_store_is_never_followed() {
    let fleet = Fleet::new(1);
    let outside = fleet.path("outside");
    fs::create_dir(&outside).expect("making a folder");
    std::os::unix::fs::symlink(&outside, fleet.store().join("device1")).expect("linking");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep();
    fleet.assert_nothing_lost();
    assert_eq!(
        fs::read_dir(&outside).expect("the folder").count(),
        0,
        "written outside of the store"
    );
    fs::remove_file(fleet.store().join("device1")).expect("removing the link");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn the_time_of_a_file_is_kept() {
    let fleet = Fleet::new(1);
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 0);
    fleet
        .device(1)
        .record("img.jpg", "picture")
        .set_modified("img.jpg", time);
    fleet.sweep_until_emptied();
    assert_eq!(modified(&fleet, "device1/img.jpg"), time);
}
