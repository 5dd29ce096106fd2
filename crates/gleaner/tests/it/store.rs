//! gleaner writes only to a proved store. A missing, foreign, full or broken store costs only time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use testbed::{Session, Tap};

use crate::context::Fleet;
use crate::mounts::{self, Mount};
use crate::outcome::{Call, Outcome};
use crate::recording::{self, content};

/// Sweeps, and asserts that the store is refused and that neither the devices nor the store are touched.
#[track_caller]
fn refused(fleet: &Fleet) -> Outcome {
    let on_devices: Vec<Vec<PathBuf>> = fleet.devices().iter().map(crate::device::Device::paths).collect();
    let in_store = recording::files_below(&fleet.store());
    let outcome = fleet.sweep().exits(3);
    assert_eq!(
        fleet
            .devices()
            .iter()
            .map(crate::device::Device::paths)
            .collect::<Vec<_>>(),
        on_devices
    );
    assert_eq!(
        recording::files_below(&fleet.store()),
        in_store,
        "the store was touched"
    );
    fleet.assert_nothing_lost();
    outcome
}

#[test]
fn a_store_that_is_not_mounted_is_never_written_to() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let Some(mut mount) = Mount::tmpfs(&fleet.store(), 64) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    fleet.device(1).record("img.jpg", "picture");
    mount.unmount();
    refused(&fleet).says("not mounted");
    assert_eq!(fs::read_dir(fleet.store()).expect("the mount point").count(), 0);
}

#[test]
fn an_empty_folder_in_place_of_the_store_is_never_written_to() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("img.jpg", "picture");
    fs::rename(fleet.store(), fleet.path("aside")).expect("moving the store away");
    fs::create_dir(fleet.store()).expect("making a folder");
    refused(&fleet).says("gleaner store init");
    fs::remove_dir(fleet.store()).expect("the folder must still be empty");
    fleet.gleaner(["run"]).exits(3);
    assert!(!fleet.store().exists(), "the store's folder was made");
    fs::rename(fleet.path("aside"), fleet.store()).expect("bringing the store back");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn the_marker_of_another_store_is_refused() {
    let (fleet, other) = (Fleet::new(1), Fleet::new(1));
    fleet.device(1).record("before.jpg", "before");
    fleet.sweep_until_emptied();
    fleet.device(1).record("img.jpg", "picture");
    fs::rename(fleet.store(), fleet.path("aside")).expect("moving the store away");
    fs::rename(other.store(), fleet.store()).expect("bringing the other");
    let outcome = fleet.sweep().exits(3);
    assert!(fleet.store_files().is_empty(), "{}", outcome.transcript());
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
}

#[test]
fn another_store_replaces_the_known_one_only_if_the_known_one_is_named() {
    let fleet = Fleet::new(1);
    let marker = fs::read_to_string(fleet.store().join(".gleaner/store.toml")).expect("the marker");
    let id = marker
        .lines()
        .find_map(|line| line.split_once("id = "))
        .expect("an id")
        .1
        .trim()
        .trim_matches('"')
        .to_owned();
    let fresh = fleet.path("fresh");
    fs::create_dir(&fresh).expect("making a folder");
    fleet.set("store.path", fresh.to_str().expect("a plain path"));
    let outcome = fleet.gleaner(["store", "init", "--local"]);
    assert_ne!(outcome.code(), Some(0), "{}", outcome.transcript());
    assert!(!fresh.join(".gleaner/store.toml").exists());
    outcome.says(&id);
    fleet
        .gleaner(["store", "init", "--local", "--replace", &id])
        .exits(0);
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    assert!(fresh.join("device1/img.jpg").exists());
}

#[test]
fn a_store_on_the_root_file_system_needs_an_option() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let system = |path: &Path| fs::metadata(path).expect("a folder").dev();
    if system(&fleet.store()) != system(Path::new("/")) {
        return mounts::skip("temporary files are not on the root file system").unwrap_or_default();
    }
    let outcome = fleet.gleaner(["store", "init"]).says("--local");
    assert_ne!(outcome.code(), Some(0));
    assert!(!fleet.store().join(".gleaner").exists());
    fleet.gleaner(["store", "init", "--local"]).exits(0);
}

#[test]
fn a_store_without_links_and_safe_renames_is_refused_for_that_reason() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let behind = fleet.path("behind");
    fs::create_dir(&behind).expect("making a folder");
    let Some(_mount) = Mount::sshfs(&fleet.store(), &behind) else {
        return;
    };
    let outcome = fleet.gleaner(["store", "init"]).exits(3);
    outcome.says("can neither link nor rename without replacing");
    assert_eq!(
        recording::regular_files(&behind),
        Vec::<PathBuf>::new(),
        "left behind"
    );
}

#[test]
fn a_store_that_is_initialised_again_keeps_its_id() {
    let fleet = Fleet::new(1);
    let marker = fleet.store().join(".gleaner/store.toml");
    let before = fs::read(&marker).expect("the marker");
    fleet.gleaner(["store", "init", "--local"]);
    assert_eq!(fs::read(&marker).expect("the marker"), before);
}

#[test]
fn a_store_that_is_read_only_is_refused() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let Some(mount) = Mount::ext4(&fleet.store(), 32) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    fleet.device(1).record("img.jpg", "picture");
    mount.remount("ro");
    refused(&fleet).says_one_of(&["read-only", "read only", "writable", "cannot be written"]);
    mount.remount("rw");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_store_with_too_little_room_is_not_used() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("img.jpg", "picture");
    fleet.set("store.min_free", "1000 TiB");
    refused(&fleet).says_one_of(&["min_free", "free"]);
    fleet.set("store.min_free", "1 MiB");
    fleet.sweep_until_emptied();
}

/// Fills the store in mid-sweep, then makes it larger.
#[track_caller]
fn full_and_enlarged(fleet: &Fleet, mount: &Mount) {
    fleet.set("store.min_free", "64 KiB");
    fleet.gleaner(["store", "init"]).exits(0);
    fleet.device(1).record_many("small", 10, 200_000);
    fleet.device(1).record("big", content("big", 12 << 20));
    fleet.sweep().exits(1).says_one_of(&["full", "no space", "free"]);
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    // A second sweep into the full store does no harm either, whatever the first has tried.
    let outcome = fleet.sweep();
    assert!(matches!(outcome.code(), Some(1 | 3)), "{}", outcome.transcript());
    fleet.assert_nothing_lost();
    mount.remount("size=64m");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    let staged = recording::regular_files(&fleet.store().join(".gleaner/staging"));
    assert!(staged.is_empty(), "left in staging: {staged:?}");
}

#[test]
fn a_store_that_fills_up_in_mid_file_continues_without_loss_once_enlarged() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let Some(mount) = Mount::tmpfs(&fleet.store(), 8) else {
        return;
    };
    full_and_enlarged(&fleet, &mount);
}

#[test]
fn a_store_that_fills_up_among_many_small_files_loses_nothing() {
    let fleet = Fleet::without_store(&[Session::Gnu, Session::Gnu]);
    let Some(mount) = Mount::tmpfs(&fleet.store(), 6) else {
        return;
    };
    fleet.set("store.min_free", "64 KiB");
    fleet.gleaner(["store", "init"]).exits(0);
    for device in fleet.devices() {
        device.record_many("day", 100, 50_000);
    }
    fleet.sweep().exits(1);
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    mount.remount("size=64m");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_store_on_a_small_disk_that_fills_up_loses_nothing() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let Some(_mount) = Mount::ext4(&fleet.store(), 16) else {
        return;
    };
    fleet.set("store.min_free", "64 KiB");
    fleet.gleaner(["store", "init"]).exits(0);
    fleet.device(1).record_many("day", 60, 500_000);
    fleet.sweep().exits(1);
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    assert!(!fleet.store_files().is_empty(), "there was room for some");
}

#[test]
fn a_store_that_is_unmounted_in_mid_sweep_loses_nothing() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let Some(mut mount) = Mount::tmpfs(&fleet.store(), 64) else {
        return;
    };
    fleet.gleaner(["store", "init"]).exits(0);
    fleet.tap(1).device(1).record_many("day", 100, 50_000);
    fleet.device(1).link(|tap| tap.slow_to(2_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    let begun = testbed::wait_until(std::time::Duration::from_secs(20), || {
        !fleet.store_files().is_empty()
    });
    // Lazily, as when a cable is pulled: open handles still reach the old file system.
    let seen = fleet.store_files();
    mount.unmount();
    fleet.device(1).link(Tap::heal);
    let outcome = running.wait();
    assert!(begun, "{}", outcome.transcript());
    assert!(!seen.is_empty());
    assert_eq!(
        fs::read_dir(fleet.store()).expect("the mount point").count(),
        0,
        "written under the mount point"
    );
}

#[test]
fn a_good_sweep_leaves_only_the_files_and_the_marker() {
    let fleet = Fleet::new(1);
    fleet.device(1).record_many("day", 30, 1_000);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    let control = recording::regular_files(&fleet.store().join(".gleaner"));
    let others: Vec<_> = control
        .iter()
        .filter(|path| !path.ends_with("store.toml"))
        .collect();
    assert!(others.len() <= 1, "more than a marker and a lock: {others:?}");
}

#[test]
fn the_configured_permissions_are_given_to_files_and_folders() {
    let fleet = Fleet::new(1);
    fleet.set("store.file_mode", "0640").set("store.dir_mode", "2750");
    fleet.device(1).record("day/img.jpg", "picture");
    fleet.sweep_until_emptied();
    let mode = |path: &str| {
        fs::metadata(fleet.store().join(path))
            .expect("stored")
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(format!("{:o}", mode("device1/day/img.jpg")), "640");
    assert_eq!(format!("{:o}", mode("device1/day")), "2750");
}

#[test]
fn a_stored_file_that_was_moved_away_permits_no_release() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.release", "keep");
    fleet.device(1).record_many("day", 10, 2_000);
    fleet.sweep().exits(0);
    assert_eq!(fleet.store_files().len(), 10);
    // As after the restore of an old backup, or a clean-up by an operator: the ledger does not know that the
    // files are gone.
    fs::remove_dir_all(fleet.store().join("device1")).expect("emptying the store");
    fleet.set("defaults.release", "delete");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 10);
}

#[test]
fn a_stored_file_that_is_corrupt_permits_no_release() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.release", "keep");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep().exits(0);
    let stored = fleet.store().join("device1/img.jpg");
    let time = fs::metadata(&stored).expect("stored").modified().expect("a time");
    fs::write(&stored, "pixture").expect("flipping bits");
    fs::File::options()
        .write(true)
        .open(&stored)
        .expect("opening")
        .set_modified(time)
        .expect("the time");
    fleet.set("defaults.release", "delete");
    fleet.sweep_until_emptied();
    fleet.assert_nothing_lost();
    assert_eq!(
        fs::read_to_string(&stored).expect("stored"),
        "pixture",
        "what was there is not touched"
    );
}

/// Counts gleaner's flushes by the folder of their object: in the store the staging and the visible part, the
/// ledger, and others.
fn flushes(fleet: &Fleet) -> Option<BTreeMap<String, usize>> {
    let strace = Path::new("/usr/bin/strace");
    if !strace.exists() {
        return mounts::skip("strace is missing: apt-get install strace");
    }
    let trace = fleet.path("trace");
    let calls = "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync";
    let outcome = Call::new(fleet.root(), strace)
        .env("GLEANER_CONFIG", fleet.path("gleaner.toml"))
        .arguments(["-f", "-qq", "-y", "-e", calls, "-e", "signal=none", "-o"])
        .arguments([&trace])
        .arguments([env!("CARGO_BIN_EXE_gleaner"), "run"])
        .run();
    outcome.exits(0);
    let store = fleet.store().display().to_string();
    let mut counts = BTreeMap::new();
    // A call that another thread interrupts in the trace has a second line, without the object.
    for line in fs::read_to_string(trace)
        .expect("the trace")
        .lines()
        .filter(|line| !line.contains(" resumed>"))
    {
        let kind = match line {
            line if line.contains("/ledger/") => "ledger",
            line if line.contains(&store) && line.contains("/.gleaner/") => "staging",
            line if line.contains(&store) => "visible",
            _ => "other",
        };
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
    }
    Some(counts)
}

#[test]
fn flushes_are_one_per_file_one_per_folder_and_batch_and_a_fixed_few() {
    const FILES: usize = 300;
    let fleet = Fleet::new(1);
    fleet.device(1).record_many("day", FILES, 1_000);
    fleet.wait_until_settled();
    let Some(counts) = flushes(&fleet) else { return };
    fleet.assert_all_gathered();
    let all: usize = counts.values().sum();
    // Once or twice per batch: the ledger, the staging folders, and the final folder of the files.
    assert!(
        (FILES..FILES + 100).contains(&all),
        "{all} flushes for {FILES} files: {counts:?}"
    );
}
