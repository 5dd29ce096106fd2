//! The checkers of the soak, proved: each promise is broken by hand, and the break is seen.

use std::fs;
use std::path::PathBuf;

use crate::context::Fleet;
use crate::device::Device;
use crate::processes;
use crate::promises::{Breach, Promise, Witness};
use crate::recording::content;

const ALL_OF_THE_STORE: [Promise; 4] = [
    Promise::NothingLost,
    Promise::StoreTrue,
    Promise::StoreUnchanged,
    Promise::RecordAgrees,
];

/// A fleet after a good sweep, and a witness that has seen it.
fn gathered() -> (Fleet, Witness) {
    let fleet = Fleet::new(2);
    fleet
        .device(1)
        .record("day/img.jpg", content("img", 5_000))
        .record("empty", "");
    fleet.device(2).record("day/img.jpg", content("other", 5_000));
    // The same name again: the second gets a part of its digest into its name.
    fleet.sweep().exits(0);
    fleet.device(1).record("day/img.jpg", content("again", 5_000));
    fleet.sweep_until_emptied();
    let mut witness = Witness::default();
    assert_eq!(witness.examine(&fleet), [], "all is well to begin with");
    assert_eq!(fleet.unfinished(), [""; 0]);
    (fleet, witness)
}

/// The promises that are found broken, each once.
fn broken(found: &[Breach]) -> Vec<Promise> {
    let mut promises: Vec<Promise> = found.iter().map(|breach| breach.promise).collect();
    promises.dedup();
    promises
}

#[test]
fn a_stored_file_that_is_removed_is_seen_as_lost() {
    let (fleet, mut witness) = gathered();
    fs::remove_file(fleet.store().join("device1/day/img.jpg")).expect("removing");
    let found = witness.examine(&fleet);
    let wanted = [
        Promise::NothingLost,
        Promise::StoreUnchanged,
        Promise::RecordAgrees,
    ];
    assert_eq!(broken(&found), wanted, "{found:?}");
    assert!(found[0].what.contains("device1: day/img.jpg"), "{found:?}");
}

#[test]
fn an_empty_file_that_is_removed_is_missed_although_its_content_is_nothing() {
    let (fleet, mut witness) = gathered();
    fleet.device(2).record("elsewhere/empty", "");
    fs::remove_file(fleet.store().join("device1/empty")).expect("removing");
    assert_eq!(broken(&witness.examine(&fleet))[0], Promise::NothingLost);
}

#[test]
fn a_flipped_byte_in_the_store_is_seen() {
    let (fleet, mut witness) = gathered();
    let stored = fleet.store().join("device2/day/img.jpg");
    let mut bytes = fs::read(&stored).expect("stored");
    bytes[4_321] ^= 1;
    fs::write(&stored, bytes).expect("flipping");
    assert_eq!(broken(&witness.examine(&fleet)), ALL_OF_THE_STORE);
}

#[test]
fn a_stored_file_that_is_cut_short_is_seen() {
    let (fleet, mut witness) = gathered();
    let stored = fs::File::options()
        .write(true)
        .open(fleet.store().join("device2/day/img.jpg"));
    stored.and_then(|file| file.set_len(4_999)).expect("cutting");
    assert_eq!(broken(&witness.examine(&fleet)), ALL_OF_THE_STORE);
}

#[test]
fn a_recording_under_the_name_of_another_is_seen() {
    let (fleet, mut witness) = gathered();
    let (one, two) = (
        fleet.store().join("device1/day/img.jpg"),
        fleet.store().join("device2/day/img.jpg"),
    );
    let aside = fleet.path("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        fs::rename(from, to).expect("exchanging");
    }
    assert_eq!(broken(&witness.examine(&fleet)), ALL_OF_THE_STORE);
    let (fleet, mut witness) = gathered();
    // Also as a copy, where nothing else is wrong.
    let copy = fleet.store().join("device1/day/img~01234567.jpg");
    fs::copy(fleet.store().join("device1/day/img.jpg"), copy).expect("copying");
    assert_eq!(broken(&witness.examine(&fleet)), [Promise::StoreTrue]);
}

#[test]
fn a_recording_that_vanishes_from_its_device_is_seen_as_lost() {
    let (fleet, mut witness) = gathered();
    fleet
        .device(1)
        .record("new.jpg", "new")
        .record("kept.jpg", "kept");
    assert_eq!(witness.examine(&fleet), []);
    let device = fleet.device(1);
    // Withdrawn is not lost; on the wrong device is.
    let withdrawn = device.folder.join(".gleaner-withdrawn/ledger/pass");
    fs::create_dir_all(&withdrawn).expect("making folders");
    fs::rename(device.folder.join("kept.jpg"), withdrawn.join("kept.jpg")).expect("withdrawing");
    fs::rename(
        device.folder.join("new.jpg"),
        fleet.device(2).folder.join("new.jpg"),
    )
    .expect("moving");
    let found = witness.examine(&fleet);
    assert_eq!(broken(&found), [Promise::NothingLost]);
    assert!(
        found.len() == 1 && found[0].what.contains("device1: new.jpg"),
        "{found:?}"
    );
}

#[test]
fn a_ledger_that_calls_released_what_is_still_there_is_seen() {
    let (fleet, mut witness) = gathered();
    fleet.device(2).write("day/img.jpg", &content("other", 5_000));
    let found = witness.examine(&fleet);
    assert_eq!(broken(&found), [Promise::RecordAgrees]);
    assert!(found[0].what.contains("has it still"), "{found:?}");
}

#[test]
fn what_is_left_behind_in_the_end_is_seen() {
    let (fleet, _) = gathered();
    let left = |path: &dyn Fn(&Fleet) -> PathBuf, words: &str| {
        let path = path(&fleet);
        fs::create_dir_all(path.parent().expect("a folder")).expect("making folders");
        fs::write(&path, "left").expect("writing");
        let found = fleet.unfinished();
        assert!(
            found.iter().any(|told| told.contains(words)),
            "{words}: {found:?}"
        );
        fs::remove_file(&path).expect("removing");
    };
    let source = |fleet: &Fleet| fleet.device(1).folder.clone();
    left(
        &|fleet| source(fleet).join("left.jpg"),
        "left on device1: left.jpg",
    );
    left(
        &|fleet| fleet.store().join(".gleaner/staging/ledger/left"),
        "left in staging",
    );
    left(
        &|fleet| source(fleet).join(".gleaner-withdrawn/a/b/left.jpg"),
        "left on device1",
    );
    let found = fleet.unfinished();
    assert!(found[0].contains("the withdrawn folder is left"), "{found:?}");
    fs::remove_dir_all(source(&fleet).join(".gleaner-withdrawn")).expect("removing");
    assert_eq!(fleet.unfinished(), [""; 0]);
    fleet
        .manifest
        .add("device1", "never.jpg".as_ref(), "0".repeat(64));
    assert_eq!(fleet.unfinished(), ["not in the store: device1: never.jpg"]);
}

#[test]
fn a_device_that_had_to_wait_for_another_is_seen() {
    let fleet = Fleet::new(2);
    fleet.devices().iter().for_each(|device| {
        device.record("ready.jpg", &device.name);
    });
    fleet.device(2).server.stop();
    fleet.sweep();
    let mut witness = Witness::default();
    assert_eq!(witness.examine(&fleet), []);
    let ready = |number: usize| [(number, PathBuf::from("ready.jpg"))];
    assert_eq!(witness.not_served(&fleet, &ready(1)), []);
    assert_eq!(
        broken(&witness.not_served(&fleet, &ready(2))),
        [Promise::NotHeldUp]
    );
}

#[test]
fn a_process_that_outlives_gleaner_is_seen() {
    let fleet = Fleet::without_store(&[]);
    let mut left = std::process::Command::new("/bin/sleep")
        .arg("1000")
        .env("PATH", fleet.path("bin"))
        .spawn()
        .expect("starting");
    let seen = fleet.ssh_left();
    processes::signal(left.id(), rustix::process::Signal::KILL);
    left.wait().expect("waiting");
    assert!(seen.len() == 1 && seen[0].contains("sleep"), "{seen:?}");
    assert_eq!(fleet.ssh_left(), [""; 0]);
    assert!(fleet.devices().iter().all(Device::is_empty));
}
