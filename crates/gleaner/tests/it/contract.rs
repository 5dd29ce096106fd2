//! The contract of the command line: exit statuses, commands that change nothing, and the content of the
//! record.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::{Session, Tap};

use crate::context::Fleet;
use crate::outcome::Call;
use crate::recording::{content, digest, files_below, folders_below};

#[test]
fn a_sweep_with_nothing_to_do_succeeds() {
    let fleet = Fleet::new(2);
    fleet.gleaner(["run"]).exits(0);
    fleet.gleaner(["run"]).exits(0);
}

#[test]
fn unreachable_devices_alone_give_status_5_and_another_failure_gives_1() {
    let fleet = Fleet::new(3);
    fleet.device(2).server.stop();
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep().exits(5);
    fleet.assert_store_holds(&[("device1/img.jpg", "picture")]);
    fleet.device(3).server.forget_keys();
    fleet.sweep().exits(1);
}

#[test]
fn a_fleet_is_served_where_the_shell_allows_few_open_files_at_first() {
    let fleet = Fleet::new(3);
    for number in 1..=3 {
        for file in 0..20 {
            fleet.device(number).record(format!("{file}.jpg"), "picture");
        }
    }
    fleet.wait_until_settled();
    let arguments = ["--nofile=30:4096", env!("CARGO_BIN_EXE_gleaner"), "run"];
    Call::new(fleet.root(), Path::new("prlimit"))
        .env("GLEANER_CONFIG", fleet.path("gleaner.toml"))
        .arguments(arguments)
        .run()
        .exits(0);
    assert!(fleet.devices().iter().all(|device| device.paths().is_empty()));
}

#[test]
fn a_mistyped_option_is_reported_with_only_the_option_that_was_meant() {
    let fleet = Fleet::new(1);
    fleet
        .gleaner(["run", "--devise", "x"])
        .exits(2)
        .says("'--device'");
    let outcome = fleet.gleaner(["run", "--no-such-option"]);
    let errors = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(!errors.contains("tip:"), "{errors}");
}

#[test]
fn a_wrong_command_line_gives_status_2() {
    let fleet = Fleet::new(1);
    for arguments in [
        &["run", "--no-such-option"][..],
        &["no-such-command"],
        &["files", "--state", "nowhere"],
    ] {
        fleet.gleaner(arguments).exits(2);
    }
    fleet
        .gleaner(["run", "--device", "device9"])
        .exits(2)
        .says("device9");
}

#[test]
fn a_dry_run_lists_what_would_be_done_and_changes_nothing() {
    let fleet = Fleet::of(&[Session::Gnu, Session::SftpOnly]);
    fleet
        .device(1)
        .record("img.jpg", "picture")
        .record("day/other.jpg", "other");
    fleet.device(2).record("img.jpg", "picture");
    fleet.wait_until_settled();
    let everything = || {
        (
            files_below(&fleet.store()),
            fleet.device(1).paths(),
            fleet.device(2).paths(),
        )
    };
    let (before, touched) = (everything(), fleet.device(1).last_touched());
    let rows = fleet.files();
    let outcome = fleet.gleaner(["run", "--dry-run"]).exits(0);
    outcome.says("device1");
    assert_eq!(everything(), before);
    assert_eq!(fleet.device(1).last_touched(), touched);
    assert!(!fleet.device(1).folder.join(".gleaner-withdrawn").exists());
    assert_eq!(fleet.files(), rows);
    fleet.gleaner(["run", "--dry-run", "--json"]).exits(0);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

/// Every file and folder of the collector, with the digest of each file, except for the shared memory of
/// `SQLite`.
fn collector_files(fleet: &Fleet) -> (BTreeMap<PathBuf, String>, Vec<PathBuf>) {
    let (mut files, mut folders) = (BTreeMap::new(), Vec::new());
    for folder in ["store", "ledger", "home", "tmp", "run"].map(|name| fleet.path(name)) {
        folders.extend(folders_below(&folder));
        files.extend(files_below(&folder).into_iter().map(|(path, digest)| {
            let is_scratch = path.to_string_lossy().ends_with(".db-shm");
            (folder.join(path), if is_scratch { String::new() } else { digest })
        }));
    }
    (files, folders)
}

#[test]
fn a_first_dry_run_makes_neither_a_ledger_nor_a_staging_folder() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("img.jpg", "picture");
    fleet.wait_until_settled();
    // `store init` has made a ledger. Another configuration finds none, and not even a folder for it.
    for ledger in ["ledger/ledger.db", "ledger/new/ledger.db"] {
        fleet.set("ledger.path", fleet.path(ledger).to_str().expect("a plain path"));
        let before = collector_files(&fleet);
        fleet.gleaner(["run", "--dry-run"]).exits(0).says("img.jpg");
        assert_eq!(collector_files(&fleet), before);
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_dry_run_without_a_ledger_knows_what_the_lost_one_had_withdrawn() {
    let fleet = Fleet::new(1);
    let known = fs::read_dir(fleet.store().join(".gleaner/ledgers")).expect("the known ledgers");
    let known: Vec<_> = known.flatten().map(|entry| entry.path()).collect();
    let id = known[0].file_stem().and_then(|id| id.to_str()).expect("an id");
    fleet
        .device(1)
        .record(format!(".gleaner-withdrawn/{id}/1-1-1/img.jpg"), "picture");
    fs::remove_dir_all(fleet.path("ledger")).expect("removing the ledger");
    let before = collector_files(&fleet);
    let outcome = fleet.gleaner(["run", "--dry-run", "--json"]).exits(0);
    outcome.says("resume-withdrawn");
    assert_eq!(collector_files(&fleet), before);
}

#[test]
fn a_dry_run_into_an_unfit_store_is_refused() {
    let fleet = Fleet::new(1);
    fleet.set("store.min_free", "1000 TiB");
    fleet.gleaner(["run", "--dry-run"]).exits(3).says("min_free");
    fleet.set("store.min_free", "1 MiB");
    fs::rename(fleet.store(), fleet.path("aside")).expect("moving the store away");
    fs::create_dir(fleet.store()).expect("making a folder");
    fleet
        .gleaner(["run", "--dry-run"])
        .exits(3)
        .says("gleaner store init");
}

#[test]
fn only_the_named_devices_are_visited() {
    let fleet = Fleet::new(3);
    for device in fleet.devices() {
        device.record("img.jpg", format!("of {}", device.name));
    }
    fleet.wait_until_settled();
    fleet
        .gleaner(["run", "--device", "device1", "--device", "device3"])
        .exits(0);
    fleet.assert_store_holds(&[
        ("device1/img.jpg", "of device1"),
        ("device3/img.jpg", "of device3"),
    ]);
    assert!(!fleet.device(2).server.log().contains("Connection from"));
}

#[test]
fn several_sources_of_a_device_are_all_emptied() {
    let fleet = Fleet::new(1);
    let source = fleet.device(1).source.clone();
    fleet.set(
        "device1.source",
        vec![format!("{source}/photos"), format!("{source}/sound")],
    );
    fleet.set("store.layout", "{device}/{source}/{path}");
    fleet
        .device(1)
        .record("photos/a", "photo")
        .record("sound/a", "sound")
        .record("elsewhere/a", "not ours");
    fleet.sweep().exits(0);
    fleet.assert_store_holds(&[("device1/photos/a", "photo"), ("device1/sound/a", "sound")]);
    assert_eq!(fleet.device(1).paths(), [Path::new("elsewhere/a")]);
}

#[test]
fn a_run_prints_its_result_as_json() {
    let fleet = Fleet::new(2);
    fleet.device(1).record("img.jpg", "picture");
    fleet.device(2).server.stop();
    fleet.wait_until_settled();
    let outcome = fleet.gleaner(["run", "--json"]).exits(5);
    let values = match serde_json::from_slice::<Value>(&outcome.stdout) {
        Ok(document) => vec![document],
        Err(_) => outcome.json_lines(),
    };
    let text = serde_json::to_string(&values).expect("JSON");
    for words in ["device1", "device2", "tunnel-down"] {
        assert!(
            text.contains(words),
            "{words} is missing\n{}",
            outcome.transcript()
        );
    }
}

#[test]
fn the_record_has_the_path_and_the_state_of_each_file() {
    let fleet = Fleet::new(2);
    fleet.set("device2.release", "keep");
    fleet.device(1).record("day/img.jpg", "picture");
    fleet.device(2).record("img.jpg", "kept");
    fleet.sweep().exits(0);
    let rows = fleet.files();
    let of = |device: &str| {
        rows.iter()
            .find(|row| row.device == device)
            .expect("a row")
            .clone()
    };
    let (one, two) = (of("device1"), of("device2"));
    assert_eq!(
        (one.path.as_str(), one.store_name.as_str()),
        ("day/img.jpg", "device1/day/img.jpg")
    );
    assert_eq!((one.size, one.sha256), (7, digest(b"picture")));
    assert_eq!((one.state.as_str(), one.released), ("released", true));
    assert_eq!((two.state.as_str(), two.released), ("kept", false));
    let lines = |arguments: &[&str]| fleet.gleaner(arguments).exits(0).json_lines().len();
    assert_eq!(lines(&["files", "--json", "--device", "device2"]), 1);
    assert_eq!(lines(&["files", "--json", "--state", "released"]), 1);
    assert_eq!(lines(&["files", "--json", "--since", "1h"]), 2);
    assert_eq!(lines(&["files", "--json", "--since", "2100-01-01"]), 0);
}

#[test]
fn the_record_is_printed_as_csv_with_a_heading() {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("a,b \"c\".jpg", "picture")
        .record("two\nlines", "other");
    fleet.sweep_until_emptied();
    let outcome = fleet.gleaner(["files", "--csv"]).exits(0);
    let text = outcome.out();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{}", outcome.transcript());
    assert!(
        lines[0].contains("device") && lines[0].contains("sha256"),
        "{}",
        lines[0]
    );
    assert!(
        text.contains("\"a,b \"\"c\"\".jpg\"") || text.contains("\"a,b \\\"\"c\\\"\".jpg\""),
        "{text}"
    );
    outcome.says(&digest(b"picture"));
}

#[test]
fn status_shows_every_device_while_all_are_offline() {
    let fleet = Fleet::new(2);
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    fleet.device(1).server.stop();
    fleet.device(2).server.stop();
    fleet.sweep().exits(5);
    fleet.jump.stop();
    fleet.gleaner(["status"]).exits(0).says("device1").says("device2");
    fleet
        .gleaner(["status", "device1"])
        .exits(0)
        .says("device1")
        .does_not_say("device2");
    let status = fleet.status_of("device1");
    assert!(!status["last_seen"].is_null(), "{status:#}");
    assert_eq!(fleet.class_of("device2").as_deref(), Some("tunnel-down"));
    fleet.gleaner(["status", "device9"]).exits(2).says("device9");
}

#[test]
fn status_before_the_first_sweep_says_so() {
    let fleet = Fleet::new(1);
    fleet.gleaner(["status"]).exits(0).says("device1");
    fleet.gleaner(["files"]).exits(0);
}

#[test]
fn a_file_that_is_kept_by_rule_is_stored_once_and_stays() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.release", "keep");
    fleet.tap(1).device(1).record("big", content("big", 6 << 20));
    fleet.sweep().exits(0);
    let before = fleet.device(1).link(Tap::received);
    fleet.sweep().exits(0);
    fleet.sweep().exits(0);
    let again = fleet.device(1).link(Tap::received) - before;
    assert!(again < 6 << 20, "fetched again: {again} bytes");
    assert_eq!(
        fleet.device(1).paths(),
        [Path::new("big")],
        "in place, not withdrawn"
    );
    fleet.assert_store_holds(&[("device1/big", content("big", 6 << 20))]);
    fleet.device(1).record("big", content("changed", 6 << 20));
    fleet.sweep().exits(0);
    fleet.assert_nothing_lost();
    assert_eq!(fleet.store_files().len(), 2);
}

/// Three stored files, one of which is then changed on the disk and one removed.
fn damaged() -> Fleet {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("sound.jpg", "sound")
        .record("flipped.jpg", "flipped")
        .record("missing.jpg", "missing");
    fleet.sweep_until_emptied();
    fleet.gleaner(["audit"]).exits(0);
    fs::write(fleet.store().join("device1/flipped.jpg"), "flipqed").expect("flipping a bit");
    fs::remove_file(fleet.store().join("device1/missing.jpg")).expect("removing a file");
    fleet
}

#[test]
fn an_audit_finds_a_flipped_bit_and_a_missing_file_and_touches_nothing() {
    let fleet = damaged();
    let before = files_below(&fleet.store());
    let outcome = fleet
        .gleaner(["audit"])
        .exits(1)
        .says("flipped.jpg")
        .says("missing.jpg");
    outcome.does_not_say("sound.jpg");
    assert_eq!(files_below(&fleet.store()), before);
    let outcome = fleet.gleaner(["audit", "--json"]).exits(1);
    assert!(outcome.out().contains("flipped.jpg") && outcome.out().contains("missing.jpg"));
}

#[test]
fn an_audit_with_quarantine_moves_bad_files_into_the_control_folder() {
    let fleet = damaged();
    fleet
        .gleaner(["audit", "--quarantine"])
        .exits(1)
        .says("flipped.jpg");
    fleet.assert_store_holds(&[("device1/sound.jpg", "sound")]);
    let control = files_below(&fleet.store().join(".gleaner"));
    assert!(
        control.values().any(|found| *found == digest(b"flipqed")),
        "moved, not removed: {control:?}"
    );
}

#[test]
fn an_audit_accepts_files_that_others_put_into_the_store() {
    let fleet = Fleet::new(1);
    fleet.put_into_store("notes.txt", b"somebody's");
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep_until_emptied();
    fleet.gleaner(["audit"]).exits(0);
}

#[test]
fn disk_prints_the_size_of_each_source() {
    let fleet = Fleet::of(&[Session::Gnu, Session::SftpOnly, Session::Busybox]);
    fleet.device(1).record("img.jpg", content("img", 100_000));
    fleet
        .gleaner(["disk"])
        .exits(0)
        .says("device1")
        .says("device2")
        .says("device3");
    fleet.gleaner(["disk", "--json"]).exits(0);
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
}

#[test]
fn empty_folders_stay_unless_pruning_is_on() {
    let fleet = Fleet::new(1);
    fs::create_dir(fleet.device(1).folder.join("tomorrow")).expect("making a folder");
    fleet.device(1).record("today/img.jpg", "picture");
    fleet.sweep_until_emptied();
    assert!(fleet.device(1).folder.join("tomorrow").is_dir());
    assert!(fleet.device(1).folder.join("today").is_dir());
    fleet.set("defaults.prune_empty", true);
    fleet.sweep().exits(0);
    assert!(
        fleet.device(1).folder.join("tomorrow").is_dir(),
        "not older than a day"
    );
}
