//! A copy of a ledger: made beside a sweep, and restored on another machine.

use std::fs;

use testbed::Tap;

use super::{assert_gathered_once, fleet, in_mid_fetch, sweep_until_emptied};

#[test]
fn a_backup_beside_a_sweep_is_refused_elsewhere_until_adopted() {
    let fleet = fleet();
    let Some(second) = fleet.machine("second") else {
        return;
    };
    fleet.device(1).record_many("before", 30, 2_000);
    fleet.sweep_until_emptied();
    fleet.device(1).record_many("day", 150, 20_000);
    let first = in_mid_fetch(&fleet, 1_500_000, 800_000);
    let copy = fleet.path("ledger-copy.db");
    let file = copy.to_str().expect("a plain path");
    fleet
        .gleaner(["ledger", "backup", file])
        .exits(0)
        .says("30 files recorded");
    fleet
        .gleaner(["ledger", "backup", file])
        .exits(2)
        .says("already exists");
    fleet.gleaner(["ledger", "backup", "/nowhere/x.db"]).exits(1);
    let other = format!("{file}.other");
    second
        .gleaner(["ledger", "backup", &other])
        .exits(3)
        .says("no ledger at");

    fs::copy(&copy, second.ledger()).expect("restoring the copy");
    second
        .gleaner(["run"])
        .exits(4)
        .says("another gleaner holds this ledger");
    assert_eq!(
        fs::read_dir(fleet.store().join(".gleaner/staging"))
            .expect("staging")
            .count(),
        1
    );
    first.kill();
    fleet.device(1).link(Tap::heal);
    second
        .gleaner(["ledger", "adopt", "ohio"])
        .exits(0)
        .says("its records are kept");
    sweep_until_emptied(&fleet, &second);
    assert_gathered_once(&fleet);
    second.gleaner(["files"]).exits(0).says("before/img_00000.jpg");
    fleet.gleaner(["run"]).exits(4);
}
