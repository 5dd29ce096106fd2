//! A collector is replaced by another machine: after it died, while it still lives, and with a copy of its
//! ledger.

mod backup;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use testbed::{Session, Tap, processes, wait_until};

use crate::context::Fleet;
use crate::machines::Machine;
use crate::outcome::{Outcome, Running};
use crate::recording::{self, content};
use crate::rng::Rng;

const SOON: Duration = Duration::from_mins(1);
const MIB: usize = 1 << 20;

/// A fleet of one device behind a slow link, whose ledger has the id "ohio".
fn fleet() -> Fleet {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet.set("ledger.id", "ohio");
    fleet.init_store();
    fleet.tap(1);
    fleet
}

/// Starts a sweep over a slow link, and returns once this number of bytes has arrived.
fn in_mid_fetch(fleet: &Fleet, bytes_per_second: u64, bytes: u64) -> Running {
    fleet.device(1).link(|tap| tap.slow_to(bytes_per_second));
    fleet.wait_until_settled();
    let before = fleet.device(1).link(Tap::received);
    let mut running = fleet.start(["run"]);
    assert!(wait_until(SOON, || running.has_ended()
        || fleet.device(1).link(Tap::received) > before + bytes));
    assert!(!running.has_ended(), "the sweep has ended already");
    running
}

/// Sweeps from that machine until the device is empty. The last sweep must exit with status 0.
#[track_caller]
fn sweep_until_emptied(fleet: &Fleet, machine: &Machine<'_>) -> Outcome {
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        fleet.wait_until_settled();
        let outcome = machine.gleaner(["run"]);
        if fleet.device(1).is_empty() {
            return outcome.exits(0);
        }
        outcomes.push(outcome.transcript());
    }
    panic!("not emptied:\n{}\n{}", fleet.left_files(), outcomes.join("\n"));
}

#[track_caller]
fn assert_gathered_once(fleet: &Fleet) {
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), fleet.manifest.len(), "nothing twice");
}

fn staged(fleet: &Fleet) -> Vec<PathBuf> {
    recording::regular_files(&fleet.store().join(".gleaner/staging"))
}

#[test]
fn a_machine_with_configuration_and_store_replaces_a_dead_one() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    fleet.device(1).record_many("day", 300, 20_000);
    let running = in_mid_fetch(&fleet, 2_000_000, 1_500_000);
    running.kill();
    fleet.device(1).link(Tap::heal);
    fleet.assert_nothing_lost();
    let withdrawn = fleet.device(1).folder.join(recording::WITHDRAWN).join("ohio");
    assert!(
        withdrawn.exists(),
        "the batch is withdrawn under the id of the ledger"
    );
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(0)
        .says("now held by this collector")
        .says("gleaner run");
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(0)
        .says("already adopted");
    fleet.device(1).record("after.jpg", "after");
    sweep_until_emptied(&fleet, &second);
    assert_gathered_once(&fleet);
    second.gleaner(["audit"]).exits(0);
    assert_eq!(staged(&fleet), Vec::<PathBuf>::new(), "left in staging");
}

/// Kills a sweep in the middle of a large file, of which two ranges of 16 MiB are flushed.
#[track_caller]
fn die_with_two_ranges(fleet: &Fleet) {
    fleet.device(1).record("big", content("big", 50 * MIB));
    fleet.device(1).link(|tap| tap.slow_to(20_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    let two_ranges = || {
        let names = staged(fleet).into_iter();
        let mut names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        names.any(|name| name.contains(".2."))
    };
    assert!(wait_until(SOON, two_ranges), "{:?}", staged(fleet));
    running.kill();
}

#[test]
fn what_the_dead_collector_flushed_of_a_large_file_is_not_fetched_again() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    die_with_two_ranges(&fleet);
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(0)
        .says("1 file (33.5 MB) of unfinished files");
    fleet.device(1).link(Tap::heal);
    let before = fleet.device(1).link(Tap::received);
    sweep_until_emptied(&fleet, &second);
    assert_gathered_once(&fleet);
    let fetched = fleet.device(1).link(Tap::received) - before;
    assert!(fetched < 20 << 20, "fetched {fetched} bytes of 50 MiB again");
}

#[test]
fn an_adoption_killed_at_any_moment_is_completed_by_the_next() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    die_with_two_ranges(&fleet);
    rename_staging_as_an_earlier_release_had_it(&fleet);
    let seed = Rng::random_seed();
    eprintln!("the seed of the moments is {seed}");
    let mut moments = Rng::from_seed(seed);
    for _ in 0..15 {
        let running = second.start(["ledger", "adopt", "ohio"]);
        thread::sleep(moments.time(Duration::from_millis(120)));
        running.kill();
    }
    second.gleaner(["ledger", "adopt", "ohio"]).exits(0);
    fleet.gleaner(["run"]).exits(4);
    assert!(
        staged(&fleet)
            .iter()
            .any(|path| path.to_string_lossy().contains(".2."))
    );
    fleet.device(1).link(Tap::heal);
    let before = fleet.device(1).link(Tap::received);
    sweep_until_emptied(&fleet, &second);
    assert_gathered_once(&fleet);
    let fetched = fleet.device(1).link(Tap::received) - before;
    assert!(fetched < 20 << 20, "fetched {fetched} bytes of 50 MiB again");
    assert_eq!(staged(&fleet), Vec::<PathBuf>::new(), "left in staging");
}

#[test]
fn a_take_over_that_fails_is_reported_and_made_up_for_by_the_next() {
    let fleet = fleet();
    let (Some(second), Some(other)) = (fleet.machine("second"), fleet.machine("other")) else {
        return;
    };
    die_with_two_ranges(&fleet);
    let partial = staged(&fleet)[0].parent().expect("a folder").to_owned();
    let aside = fleet.path("partial");
    fs::rename(&partial, &aside).expect("moving the partial files");
    fs::write(&partial, "no folder").expect("writing in their place");
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(1)
        .says("The ledger ohio is now held by this collector")
        .says("take over the staging folder of another collector")
        .says("then run `gleaner ledger adopt ohio` again");
    fleet.gleaner(["run"]).exits(4);
    fs::remove_file(&partial).expect("removing what was in the way");
    fs::rename(&aside, &partial).expect("moving the partial files back");
    // Whichever collector adopts next: the first one's folder is still to be taken over.
    other
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(0)
        .says("1 file (33.5 MB) of unfinished files");
    second.gleaner(["run"]).exits(4);
    fleet.device(1).link(Tap::heal);
    sweep_until_emptied(&fleet, &other);
    assert_gathered_once(&fleet);
}

/// Returns the path that the staging folder had.
#[track_caller]
fn rename_staging_as_an_earlier_release_had_it(fleet: &Fleet) -> PathBuf {
    let staging = fleet.store().join(".gleaner/staging");
    let mut folders = fs::read_dir(&staging).expect("staging").flatten();
    let own = folders.next().expect("a staging folder").path();
    fs::rename(&own, staging.join("ohio")).expect("renaming the staging folder");
    own
}

#[test]
fn a_staging_folder_of_an_earlier_release_is_continued() {
    let fleet = fleet();
    die_with_two_ranges(&fleet);
    let own = rename_staging_as_an_earlier_release_had_it(&fleet);
    let staging = fleet.store().join(".gleaner/staging");
    fleet.device(1).link(Tap::heal);
    fleet.wait_until_settled();
    fleet.gleaner(["run"]).exits(0).says("resuming after 33.5 MB");
    assert!(own.exists() && !staging.join("ohio").exists());
    assert_gathered_once(&fleet);
}

/// The first collector was only cut off: it is stopped in mid-fetch, and continues after the adoption, beside
/// a sweep of the second. Each round stops and continues it at other moments.
#[test]
fn a_collector_that_still_lives_and_its_successor_lose_nothing() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    let seed = Rng::random_seed();
    eprintln!("the seed of the moments is {seed}");
    let mut moments = Rng::from_seed(seed);
    for round in 0..4 {
        fleet.gleaner(["ledger", "adopt", "ohio"]).exits(0);
        // Small files, which both collectors fetch in one batch, and a large one, which both resume.
        fleet.device(1).record_many(&format!("day{round}"), 200, 20_000);
        let bytes_per_second = if round % 2 == 0 {
            let big = content(&format!("big {round}"), 36 * MIB);
            fleet.device(1).record(format!("big{round}"), big);
            16_000_000
        } else {
            2_000_000
        };
        let first = in_mid_fetch(&fleet, bytes_per_second, 400_000);
        thread::sleep(moments.time(Duration::from_millis(1_800)));
        processes::signal(first.id(), Signal::STOP);
        second.gleaner(["ledger", "adopt", "ohio"]).exits(0);
        let successor = second.start(["run"]);
        thread::sleep(moments.time(Duration::from_millis(2_500)));
        processes::signal(first.id(), Signal::CONT);
        fleet.assert_nothing_lost();
        let outcomes = [first.wait(), successor.wait()];
        fleet.assert_nothing_lost();
        fleet.assert_store_true();
        for outcome in &outcomes {
            assert!(matches!(outcome.code(), Some(0 | 1)), "{}", outcome.transcript());
        }
        fleet
            .gleaner(["run"])
            .exits(4)
            .says("another gleaner holds this ledger")
            .says(second.id())
            .says("gleaner ledger adopt ohio");
        fleet.gleaner(["run", "--dry-run"]).exits(4);
        // What the first staged after the adoption.
        second.gleaner(["ledger", "adopt", "ohio"]).exits(0);
        fleet
            .device(1)
            .record(format!("after{round}"), format!("after {round}"));
        sweep_until_emptied(&fleet, &second);
        assert_gathered_once(&fleet);
        assert_eq!(staged(&fleet), Vec::<PathBuf>::new(), "left in staging");
    }
    fleet.gleaner(["audit"]).exits(0);
    second.gleaner(["audit"]).exits(0);
}

#[test]
fn two_collectors_adopt_a_ledger_from_each_other_in_turn() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    for round in 0..3 {
        fleet.device(1).record_many(&format!("first{round}"), 20, 2_000);
        fleet.gleaner(["ledger", "adopt", "ohio"]).exits(0);
        fleet.sweep_until_emptied();
        second.gleaner(["run"]).exits(if round == 0 { 3 } else { 4 });
        fleet.device(1).record_many(&format!("second{round}"), 20, 2_000);
        second.gleaner(["ledger", "adopt", "ohio"]).exits(0);
        sweep_until_emptied(&fleet, &second);
        fleet.gleaner(["run"]).exits(4);
    }
    assert_gathered_once(&fleet);
    fleet.gleaner(["audit"]).exits(0);
    second.gleaner(["audit"]).exits(0);
}

#[test]
fn without_adoption_a_new_collector_with_the_same_id_is_refused() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    fleet.device(1).record("img.jpg", "picture");
    fleet.wait_until_settled();
    let before = recording::files_below(&fleet.store());
    for command in [&["run"][..], &["run", "--dry-run"], &["store", "init", "--local"]] {
        second
            .gleaner(command)
            .exits(3)
            .says("the ledger ohio is held by another collector (machine ")
            .says("gleaner ledger adopt ohio");
        assert_eq!(recording::files_below(&fleet.store()), before, "{command:?}");
        assert!(!second.ledger().exists(), "{command:?} made a ledger");
        assert_eq!(fleet.device(1).paths(), [PathBuf::from("img.jpg")]);
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn adopting_refuses_an_unknown_id_another_ledger_and_an_unfit_store() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    let before = recording::files_below(&fleet.store());
    let refused = |arguments: &[&str], status| {
        let outcome = second.gleaner(arguments).exits(status);
        assert_eq!(recording::files_below(&fleet.store()), before, "{arguments:?}");
        outcome
    };
    refused(&["ledger", "adopt", "utah"], 2).says("`ledger.id` in");
    refused(&["ledger", "adopt", "Ohio!"], 2).says("is not the id of a ledger");
    fleet.set("ledger.id", "utah");
    refused(&["ledger", "adopt", "utah"], 2)
        .says("knows no ledger utah")
        .says("ohio: machine ")
        .says("ledger.db, noted on 20");
    fleet.set("store.min_free", "900 TB");
    refused(&["ledger", "adopt", "utah"], 2);
    fleet.set("ledger.id", "ohio");
    refused(&["ledger", "adopt", "ohio"], 3).says("min_free");
    assert!(!second.ledger().exists(), "a ledger was made");
    fleet.set("store.min_free", "1 MiB").set("ledger.id", "utah");
    second.gleaner(["run"]).exits(0);
    fleet.set("ledger.id", "ohio");
    second
        .gleaner(["run"])
        .exits(3)
        .says("has the id utah, not ohio as configured");
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(3)
        .says("has the id utah, not ohio");
    fleet.gleaner(["run"]).exits(0);
}

#[test]
fn a_collector_keeps_its_staging_when_its_former_ledger_is_adopted() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    fleet.lose_ledger();
    fleet.set("ledger.id", "utah");
    fleet.device(1).record("big", content("big", 36 * MIB));
    let first = in_mid_fetch(&fleet, 16_000_000, 20_000_000);
    fleet.set("ledger.id", "ohio");
    second.gleaner(["ledger", "adopt", "ohio"]).exits(0);
    fleet.device(1).link(Tap::heal);
    first
        .wait()
        .exits(0)
        .says("files that it withdrew stay on the devices until a ledger has that id");
    assert_gathered_once(&fleet);
}
