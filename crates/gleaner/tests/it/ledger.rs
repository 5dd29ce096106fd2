//! The ledger is a record, not an authority. A lost or old ledger costs only time; an unreadable or foreign
//! one is not touched.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use testbed::{Session, Tap, wait_until};

use crate::context::Fleet;

#[test]
fn a_lost_ledger_costs_only_time() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.release", "keep");
    fleet.device(1).record_many("day", 20, 2_000);
    fleet.sweep().exits(0);
    fleet.lose_ledger();
    fleet.set("defaults.release", "delete");
    fleet
        .device(1)
        .record("day/img_00003.jpg", "the name again")
        .record("new.jpg", "new");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 22, "nothing twice");
}

#[test]
fn a_ledger_lost_in_mid_sweep_loses_no_file() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record_many("day", 200, 20_000);
    fleet.device(1).link(|tap| tap.slow_to(2_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(Duration::from_secs(30), || !fleet
        .store_files()
        .is_empty()));
    running.kill();
    fleet.lose_ledger();
    fleet.device(1).link(Tap::heal);
    // gleaner recognises the files that the lost ledger had withdrawn, because the store remembers whose
    // ledger was at this path.
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_ledger_restored_from_an_old_backup_costs_only_time() {
    let fleet = Fleet::new(1);
    fleet.device(1).record_many("first", 10, 2_000);
    fleet.sweep_until_emptied();
    fleet.copy_ledger_to(&fleet.path("backup"));
    fleet.device(1).record_many("second", 10, 2_000);
    fleet.sweep_until_emptied();
    fleet.restore_ledger_from(&fleet.path("backup"));
    fleet
        .device(1)
        .record_many("second", 10, 2_000)
        .record("first/img_00000.jpg", "the name again");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 21, "nothing twice");
}

/// Runs gleaner with this ledger, and asserts that it refuses and touches nothing, not even the ledger.
#[track_caller]
fn refused(fleet: &Fleet) -> crate::outcome::Outcome {
    fleet.device(1).record("img.jpg", "picture");
    let ledger = fs::read(fleet.ledger()).expect("the ledger");
    let stored = fleet.store_files();
    let outcome = fleet.sweep().exits(3).says("ledger");
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
    assert_eq!(fleet.store_files(), stored);
    assert!(
        fs::read(fleet.ledger()).expect("the ledger") == ledger,
        "the ledger was changed"
    );
    outcome
}

#[test]
fn a_ledger_that_is_not_a_database_is_refused_and_not_touched() {
    let fleet = Fleet::new(1);
    fleet.lose_ledger();
    fs::write(
        fleet.ledger(),
        "this is not a database, but somebody's notes\n".repeat(100),
    )
    .expect("writing");
    refused(&fleet);
    fleet.gleaner(["status"]).exits(3);
    fleet.gleaner(["files"]).exits(3);
}

#[test]
fn a_damaged_ledger_is_refused_and_not_touched() {
    let fleet = Fleet::new(1);
    fleet.device(1).record_many("day", 50, 500);
    fleet.sweep_until_emptied();
    for entry in fs::read_dir(fleet.path("ledger")).expect("the folder").flatten() {
        let name = entry.file_name();
        if name != "ledger.db" {
            fs::remove_file(entry.path()).expect("removing what goes with it");
        }
    }
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(fleet.ledger())
        .expect("opening");
    let length = file.metadata().expect("metadata").len();
    file.seek(SeekFrom::Start(100)).expect("seeking");
    let mut noise = vec![0; usize::try_from(length - 100).expect("a size")];
    file.read_exact(&mut noise).expect("reading");
    for byte in &mut noise {
        *byte = byte.wrapping_add(101);
    }
    file.seek(SeekFrom::Start(100)).expect("seeking");
    file.write_all(&noise).expect("writing");
    drop(file);
    refused(&fleet);
}

#[test]
fn a_ledger_of_a_newer_gleaner_is_refused_and_not_touched() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("before.jpg", "before");
    fleet.sweep_until_emptied();
    // The schema's version, in the header of an SQLite file.
    let mut file = fs::File::options()
        .write(true)
        .open(fleet.ledger())
        .expect("opening");
    file.seek(SeekFrom::Start(60)).expect("seeking");
    file.write_all(&99_999_u32.to_be_bytes()).expect("writing");
    drop(file);
    refused(&fleet).says("newer");
}

#[test]
fn a_ledger_of_another_store_is_refused() {
    let (fleet, other) = (Fleet::new(1), Fleet::new(1));
    other.device(1).record("there.jpg", "there");
    other.sweep_until_emptied();
    fleet.restore_ledger_from(&other.path("ledger"));
    fleet.device(1).record("img.jpg", "picture");
    fleet.sweep().exits(3).says("store");
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
    assert!(fleet.store_files().is_empty());
}

#[test]
fn a_second_gleaner_on_the_same_ledger_is_refused() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record_many("day", 50, 50_000);
    fleet.device(1).link(|tap| tap.slow_to(1_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(Duration::from_secs(30), || fleet
        .device(1)
        .link(Tap::connections)
        > 0));
    fleet.gleaner(["run"]).exits(4).says("another gleaner");
    fleet.device(1).link(Tap::heal);
    running.wait().exits(0);
    fleet.assert_all_gathered();
}

#[test]
fn status_and_files_work_during_a_sweep() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("before.jpg", "before");
    fleet.sweep_until_emptied();
    fleet.tap(1).device(1).record_many("day", 60, 50_000);
    fleet.device(1).link(|tap| tap.slow_to(1_000_000));
    fleet.wait_until_settled();
    let mut running = fleet.start(["run"]);
    assert!(wait_until(Duration::from_secs(30), || fleet
        .device(1)
        .link(Tap::connections)
        > 0));
    for _ in 0..3 {
        fleet.gleaner(["status"]).exits(0).says("device1");
        fleet.gleaner(["files"]).exits(0).says("before.jpg");
        fleet.gleaner(["status", "--json"]).exits(0).json();
    }
    assert!(!running.has_ended(), "the sweep has ended already");
    fleet.device(1).link(Tap::heal);
    running.wait().exits(0);
    fleet.assert_all_gathered();
}

#[test]
fn two_gleaners_with_two_ledgers_share_one_store_without_harm() {
    let fleet = Fleet::of(&[Session::Gnu, Session::Gnu]);
    let second = fleet.second_collector();
    for device in fleet.devices() {
        device.record_many("day", 150, 5_000);
    }
    fleet.wait_until_settled();
    for _ in 0..3 {
        let one = fleet.start(["run"]);
        let two = fleet.call(["run"]).env("GLEANER_CONFIG", &second).start();
        let outcomes = [one.wait(), two.wait()];
        fleet.assert_nothing_lost();
        fleet.assert_store_true();
        for outcome in &outcomes {
            assert!(matches!(outcome.code(), Some(0 | 1)), "{}", outcome.transcript());
        }
    }
    // If two gleaners tidy at once, each may leave the empty folder for withdrawn files to the other.
    assert!(
        fleet.devices().iter().all(crate::device::Device::is_empty),
        "{}",
        fleet.left_files()
    );
    assert_eq!(fleet.store_files().len(), 300, "nothing twice");
}
