//! Paths in the store: a folder that is on another disk, is obstructed, or cannot be used; names, sizes and
//! times that the store's file system does not accept. Lasting obstacles are found before a file is moved,
//! and each has a reason of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use testbed::Session;

use crate::context::Fleet;
use crate::mounts::Mount;
use crate::outcome::{Call, PATH};
use crate::recording::{self, path};

/// Sweeps once, and asserts that nothing is left on any device.
#[track_caller]
fn emptied_at_once(fleet: &Fleet) {
    let outcome = fleet.sweep().exits(0);
    assert_eq!(fleet.left_files(), "", "{}", outcome.transcript());
    fleet.assert_all_gathered();
}

/// Records in the source itself and in folders below it, twice, and asserts that each sweep gathers all
/// files.
#[track_caller]
fn is_served_twice(fleet: &Fleet) {
    for round in ["first", "second"] {
        let device = fleet.device(1);
        device.record(format!("{round}.jpg"), round);
        device.record_many("day", 30, 1_000);
        device.record_many(&format!("{round}/hour"), 5, 300_000);
        emptied_at_once(fleet);
    }
    let staged = recording::regular_files(&fleet.store())
        .into_iter()
        .filter(|file| {
            file.components()
                .any(|part| part.as_os_str() == "sealed" || part.as_os_str() == "partial")
        });
    assert_eq!(
        staged.collect::<Vec<_>>(),
        Vec::<PathBuf>::new(),
        "left in staging"
    );
    fleet.gleaner(["audit"]).exits(0);
}

#[test]
fn a_device_folder_that_is_a_mount_of_its_own_gets_its_files() {
    let fleet = Fleet::new(1);
    let Some(_mount) = Mount::tmpfs(&fleet.store().join("device1"), 64) else {
        return;
    };
    is_served_twice(&fleet);
}

#[test]
fn a_bind_mount_of_the_same_disk_gets_its_files() {
    let fleet = Fleet::new(1);
    let elsewhere = fleet.path("elsewhere");
    fs::create_dir(&elsewhere).expect("making a folder");
    let Some(_mount) = Mount::bind(&fleet.store().join("device1"), &elsewhere) else {
        return;
    };
    is_served_twice(&fleet);
    assert!(
        elsewhere.join("day").exists(),
        "the files are on the bound folder"
    );
}

#[test]
fn a_device_folder_on_another_branch_of_a_union_gets_its_files() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let (one, other) = (fleet.path("one"), fleet.path("other"));
    fs::create_dir_all(one.join(".gleaner")).expect("making folders");
    fs::create_dir_all(other.join("device1")).expect("making folders");
    let Some(_mount) = Mount::union(&fleet.store(), &[&one, &other]) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    is_served_twice(&fleet);
    assert!(
        other.join("device1/day").exists(),
        "the files are on the other branch"
    );
}

#[test]
fn only_the_files_for_a_mount_without_room_wait_for_room() {
    let fleet = Fleet::new(2);
    let Some(_mount) = Mount::tmpfs(&fleet.store().join("device1"), 2) else {
        return;
    };
    fleet
        .device(1)
        .record("large.jpg", recording::content("large", 5 << 20));
    fleet.device(1).record("small.jpg", "small");
    fleet
        .device(2)
        .record("large.jpg", recording::content("other", 5 << 20));
    fleet.set("store.min_free", "64 KiB");
    fleet.sweep().exits(1);
    fleet.assert_waits("device1", "large.jpg", "no-room");
    assert_eq!(
        fleet.device(1).paths(),
        [Path::new("large.jpg")],
        "it was touched"
    );
    assert!(fleet.device(2).is_empty());
    fleet.assert_nothing_lost();
}

#[test]
fn files_for_a_read_only_mount_stay_and_delay_no_others() {
    let fleet = Fleet::new(2);
    let Some(mount) = Mount::tmpfs(&fleet.store().join("device1"), 8) else {
        return;
    };
    mount.remount("ro");
    for device in fleet.devices() {
        device.record("day/img.jpg", format!("of {}", device.name));
    }
    fleet.sweep().exits(1).says("device1: Read-only file system");
    fleet.assert_left("device1", "day/img.jpg", "store-folder");
    assert_eq!(
        fleet.device(1).paths(),
        [Path::new("day/img.jpg")],
        "it was touched"
    );
    assert!(fleet.device(2).is_empty());
    mount.remount("rw");
    emptied_at_once(&fleet);
}

/// Records thirty files in one folder, while the store has something else at its path, and asserts that the
/// files stay together.
#[track_caller]
fn has_one_folder_in_its_place(fleet: &Fleet, obstacle: &str) {
    fleet.device(1).record_many("day", 30, 1_000);
    let outcome = fleet.sweep().exits(0);
    assert!(fleet.device(1).is_empty(), "{}", outcome.transcript());
    let message = format!("device1/day in the store is {obstacle}, so files go to device1/day~");
    assert_eq!(
        outcome.transcript().matches(&message).count(),
        1,
        "{}",
        outcome.transcript()
    );
    // The next day's files go to the same folder.
    fleet.device(1).record("day/later.jpg", "later");
    fleet.sweep().exits(0);
    let folders: std::collections::BTreeSet<PathBuf> = fleet
        .store_files()
        .into_keys()
        .filter_map(|file| Some(file.parent()?.to_owned()))
        .filter(|folder| folder.to_string_lossy().contains('~'))
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
}

#[test]
fn a_link_in_place_of_a_folder_gets_one_folder_beside_it() {
    let fleet = Fleet::new(1);
    let outside = fleet.path("outside");
    fs::create_dir(&outside).expect("making a folder");
    fs::create_dir(fleet.store().join("device1")).expect("making a folder");
    symlink(&outside, fleet.store().join("device1/day")).expect("linking");
    has_one_folder_in_its_place(&fleet, "a symbolic link");
    assert_eq!(fs::read_dir(&outside).expect("the folder").count(), 0);
}

#[test]
fn a_file_in_place_of_a_folder_gets_one_folder_beside_it() {
    let fleet = Fleet::new(1);
    fleet.put_into_store("device1/day", b"a file");
    has_one_folder_in_its_place(&fleet, "not a folder");
    fleet.assert_all_gathered();
}

#[test]
fn a_name_that_the_store_forbids_is_left_with_a_remedy_that_helps() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let behind = fleet.path("behind");
    fs::create_dir(&behind).expect("making a folder");
    let Some(_mount) = Mount::latin1(&fleet.store(), &behind) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    let odd = path(b"odd \xff.jpg".to_vec());
    fleet.device(1).record(&odd, "odd").record("even.jpg", "even");
    fleet
        .device(1)
        .record(path(b"day \xff/img.jpg".to_vec()), "in a folder");
    for _ in 0..2 {
        let outcome = fleet.sweep().exits(1);
        outcome
            .says("names = \"portable\"")
            .does_not_say("rename it on the device");
        fleet.assert_left("device1", "odd \\xff.jpg", "store-name");
        fleet.assert_left("device1", "day \\xff/img.jpg", "store-name");
        assert!(
            fleet.device(1).paths().contains(&odd),
            "it was withdrawn: {}",
            fleet.left_files()
        );
    }
    fleet.set("store.names", "portable");
    emptied_at_once(&fleet);
}

#[test]
fn a_file_beyond_the_size_limit_is_left_and_all_others_are_gathered() {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("large.jpg", recording::content("large", 3 << 20));
    fleet.device(1).record_many("day", 5, 1_000);
    fleet.wait_until_settled();
    let limited = Call::new(fleet.root(), Path::new("/usr/bin/prlimit"))
        .env("GLEANER_CONFIG", fleet.path("gleaner.toml"))
        .env("PATH", format!("{}:{PATH}", fleet.path("bin").display()))
        .arguments(["--fsize=2097152", env!("CARGO_BIN_EXE_gleaner"), "run"]);
    limited.run().exits(1).says("LimitFSIZE");
    fleet.assert_left("device1", "large.jpg", "too-large");
    assert_eq!(
        fleet.device(1).paths(),
        [Path::new("large.jpg")],
        "it was touched"
    );
    emptied_at_once(&fleet);
}

#[test]
fn a_time_that_the_store_cannot_keep_is_reported_and_recorded() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    // Inodes of 128 bytes count seconds from 1901 to 2038.
    let Some(_mount) = Mount::ext4_with(&fleet.store(), 32, &["-I", "128"]) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    let late = SystemTime::UNIX_EPOCH + Duration::from_mins(70_000_000);
    fleet
        .device(1)
        .record("late.jpg", "late")
        .record("now.jpg", "now");
    fleet.device(1).set_modified("late.jpg", late);
    // The time is in the future, so the file is gathered once two surveys saw it unchanged.
    let mut said = String::new();
    for _ in 0..4 {
        said.push_str(&fleet.sweep().exits(0).transcript());
        std::thread::sleep(crate::context::SETTLE);
    }
    fleet.assert_all_gathered();
    assert_eq!(said.matches("which the store cannot keep").count(), 1, "{said}");
    assert!(
        said.contains("late.jpg: last modified 2103-02-04T02:40:00Z"),
        "{said}"
    );
    let rows = fleet.gleaner(["files", "--json"]).json_lines();
    let modified = rows.iter().filter_map(|row| row["modified"].as_str());
    assert!(
        modified.clone().any(|time| time == "2103-02-04T02:40:00Z"),
        "{rows:?}"
    );
}

#[test]
fn a_time_beyond_the_range_of_gleaner_is_reported() {
    let fleet = Fleet::new(1);
    let far = SystemTime::UNIX_EPOCH + Duration::from_hours(2_892_720);
    fleet
        .device(1)
        .record("far.jpg", "far")
        .set_modified("far.jpg", far);
    let mut said = String::new();
    for _ in 0..4 {
        said.push_str(&fleet.sweep().exits(0).transcript());
        std::thread::sleep(crate::context::SETTLE);
    }
    fleet.assert_all_gathered();
    assert!(
        said.contains("far.jpg: last modified after 2261, which the store cannot keep"),
        "{said}"
    );
}

#[test]
fn a_ledger_on_a_mount_without_shared_memory_causes_a_warning() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let behind = fleet.path("behind");
    fs::create_dir(&behind).expect("making a folder");
    let Some(_mount) = Mount::latin1(&fleet.path("ledger"), &behind) else {
        return;
    };
    let warning = "is on a FUSE mount (fuse";
    fleet.gleaner(["config", "check"]).exits(0).says(warning);
    fleet.gleaner(["store", "init", "--local"]).says(warning);
}
