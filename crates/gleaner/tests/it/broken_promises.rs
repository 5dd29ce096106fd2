//! Proves the checkers of the soak: each promise is broken by hand, and the checker must detect it.

use std::fs;
use std::path::{Path, PathBuf};

use testbed::processes;

use crate::context::Fleet;
use crate::device::Device;
use crate::promises::{Promise, PromiseChecker, Violation};
use crate::recording::{self, content};

/// A fleet after a good sweep, and a checker that has seen it.
fn gathered() -> (Fleet, PromiseChecker) {
    let fleet = Fleet::new(2);
    fleet
        .device(1)
        .record("day/img.jpg", content("img", 5_000))
        .record("empty", "");
    fleet.device(2).record("day/img.jpg", content("other", 5_000));
    fleet.sweep().exits(0);
    // The same name again: the second file gets a part of its digest into its name.
    fleet.device(1).record("day/img.jpg", content("again", 5_000));
    fleet.device(2).record("empty", "");
    fleet.sweep_until_emptied();
    let mut checker = PromiseChecker::default();
    assert_eq!(checker.check(&fleet), [], "all is well to begin with");
    assert_eq!(fleet.unfinished(), [""; 0]);
    (fleet, checker)
}

/// The promises that are found broken, each once.
fn broken(found: &[Violation]) -> Vec<Promise> {
    let mut promises: Vec<Promise> = found.iter().map(|violation| violation.promise).collect();
    promises.dedup();
    promises
}

/// Returns the violations found after a change of the store's files. The change is then undone.
fn found_after(fleet: &Fleet, checker: &PromiseChecker, change: impl FnOnce(&Path)) -> Vec<Violation> {
    let aside = fleet.path("aside");
    for name in ["device1", "device2"] {
        copy(&fleet.store().join(name), &aside.join(name));
    }
    change(&fleet.store());
    let found = checker.clone().check(fleet);
    for name in ["device1", "device2"] {
        fs::remove_dir_all(fleet.store().join(name)).expect("removing");
        fs::rename(aside.join(name), fleet.store().join(name)).expect("bringing back");
    }
    assert_eq!(checker.clone().check(fleet), [], "as it was");
    found
}

fn copy(from: &Path, to: &Path) {
    for path in recording::regular_files(from) {
        let target = to.join(path.strip_prefix(from).expect("below"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("making folders");
        fs::copy(&path, target).expect("copying");
    }
}

#[test]
fn every_change_of_a_stored_file_is_detected() {
    use Promise::{NothingLost, RecordAgrees, StoreTrue, StoreUnchanged};
    const ALL: [Promise; 4] = [NothingLost, StoreTrue, StoreUnchanged, RecordAgrees];
    let (fleet, checker) = gathered();
    let found = |change: &dyn Fn(&Path)| found_after(&fleet, &checker, change);
    let remove = |path: &str| {
        let path = path.to_owned();
        found(&move |store| fs::remove_file(store.join(&path)).expect("removing"))
    };
    let removed = remove("device1/day/img.jpg");
    assert_eq!(
        broken(&removed),
        [NothingLost, StoreUnchanged, RecordAgrees],
        "{removed:?}"
    );
    assert!(removed[0].what.contains("device1: day/img.jpg"), "{removed:?}");
    // The same content, no bytes, is still elsewhere.
    assert_eq!(
        broken(&remove("device1/empty")),
        [NothingLost, StoreUnchanged, RecordAgrees]
    );
    let flipped = found(&|store| {
        let path = store.join("device2/day/img.jpg");
        let mut bytes = fs::read(&path).expect("stored");
        bytes[4_321] ^= 1;
        fs::write(&path, bytes).expect("flipping");
    });
    assert_eq!(broken(&flipped), ALL);
    let cut = found(&|store| {
        let file = fs::File::options()
            .write(true)
            .open(store.join("device2/day/img.jpg"));
        file.and_then(|file| file.set_len(4_999)).expect("cutting");
    });
    assert_eq!(broken(&cut), ALL);
    let exchanged = found(&|store| {
        let (one, two) = (
            store.join("device1/day/img.jpg"),
            store.join("device2/day/img.jpg"),
        );
        let between = store.join("device1/between");
        for (from, to) in [(&one, &between), (&two, &one), (&between, &two)] {
            fs::rename(from, to).expect("exchanging");
        }
    });
    assert_eq!(broken(&exchanged), ALL);
    let misnamed = found(&|store| {
        let copy = store.join("device1/day/img~01234567.jpg");
        fs::copy(store.join("device1/day/img.jpg"), copy).expect("copying");
    });
    assert_eq!(
        broken(&misnamed),
        [StoreTrue],
        "a conflict name is that of its content"
    );
}

#[test]
fn every_change_of_a_recording_on_its_device_is_detected() {
    let (fleet, mut checker) = gathered();
    let (device, other) = (fleet.device(1), fleet.device(2));
    device.record("new.jpg", "new").record("kept.jpg", "kept");
    assert_eq!(checker.check(&fleet), []);
    // A withdrawn file is not lost; a file on the wrong device is.
    let withdrawn = device.folder.join(".gleaner-withdrawn/ledger/pass");
    fs::create_dir_all(&withdrawn).expect("making folders");
    fs::rename(device.folder.join("kept.jpg"), withdrawn.join("kept.jpg")).expect("withdrawing");
    fs::rename(device.folder.join("new.jpg"), other.folder.join("new.jpg")).expect("moving");
    let found = checker.check(&fleet);
    assert_eq!(broken(&found), [Promise::NothingLost]);
    assert!(
        found.len() == 1 && found[0].what.contains("device1: new.jpg"),
        "{found:?}"
    );
    fs::rename(other.folder.join("new.jpg"), device.folder.join("new.jpg")).expect("moving back");
    other.write("day/img.jpg", &content("other", 5_000));
    let found = checker.check(&fleet);
    assert_eq!(broken(&found), [Promise::RecordAgrees]);
    assert!(found[0].what.contains("has it still"), "{found:?}");
}

#[test]
fn files_left_behind_at_the_end_are_detected() {
    let fleet = Fleet::new(1);
    let left = |path: PathBuf, words: &str| {
        fs::create_dir_all(path.parent().expect("a folder")).expect("making folders");
        fs::write(&path, "left").expect("writing");
        let found = fleet.unfinished();
        assert!(
            found.iter().any(|line| line.contains(words)),
            "{words}: {found:?}"
        );
        fs::remove_file(&path).expect("removing");
    };
    let source = &fleet.device(1).folder;
    left(source.join("left.jpg"), "left on device1: left.jpg");
    left(
        fleet.store().join(".gleaner/staging/ledger/left"),
        "left in staging",
    );
    left(
        source.join(".gleaner-withdrawn/a/b/left.jpg"),
        "left on device1: .gleaner",
    );
    let found = fleet.unfinished();
    assert!(found[0].contains("the withdrawn folder is left"), "{found:?}");
    fs::remove_dir_all(source.join(".gleaner-withdrawn")).expect("removing");
    assert_eq!(fleet.unfinished(), [""; 0]);
    fleet
        .manifest
        .add("device1", Path::new("never.jpg"), "0".repeat(64));
    assert_eq!(fleet.unfinished(), ["not in the store: device1: never.jpg"]);
}

#[test]
fn a_device_that_had_to_wait_for_another_is_detected() {
    let fleet = Fleet::new(2);
    fleet.devices().iter().for_each(|device| {
        device.record("ready.jpg", &device.name);
    });
    fleet.device(2).server.stop();
    fleet.sweep();
    let mut checker = PromiseChecker::default();
    assert_eq!(checker.check(&fleet), []);
    let ready = |number: usize| [(number, PathBuf::from("ready.jpg"))];
    assert_eq!(checker.unserved(&fleet, &ready(1)), []);
    assert_eq!(
        broken(&checker.unserved(&fleet, &ready(2))),
        [Promise::NotDelayed]
    );
}

#[test]
fn a_process_that_outlives_gleaner_is_detected() {
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
