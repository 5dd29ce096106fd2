//! The demonstration: the first command of a newcomer, which proves its own result.

use std::fs;
use std::time::Duration;

use crate::context::Fleet;

/// It should end within a minute; a loaded machine gets more time.
const TIMEOUT: Duration = Duration::from_secs(150);

#[test]
fn the_demonstration_accounts_for_every_file_and_leaves_nothing_behind() {
    let fleet = Fleet::without_store(&[]);
    let before = fs::read_dir(fleet.path("tmp")).expect("readable").count();
    let outcome = fleet.call(["demo"]).within(TIMEOUT).run().exits(0);
    let outcome = outcome
        .says("tunnel-down")
        .says("timed-out")
        .says("resuming after")
        .says("still settling");
    outcome.says("322 files recorded; 242 whole in the store, 80 still on their devices, 0 lost");
    assert_eq!(fs::read_dir(fleet.path("tmp")).expect("readable").count(), before);
    fleet.assert_no_ssh_left();
}

#[test]
fn a_kept_demonstration_can_be_inspected() {
    let fleet = Fleet::without_store(&[]);
    let kept = fleet.path("kept");
    fleet
        .call(["demo".as_ref(), "--keep".as_ref(), kept.as_os_str()])
        .within(TIMEOUT)
        .run()
        .exits(0);
    let configuration = kept.join("gleaner.toml");
    let files = fleet
        .gleaner([
            "-c".as_ref(),
            configuration.as_os_str(),
            "files".as_ref(),
            "--json".as_ref(),
        ])
        .exits(0);
    let released = files
        .out()
        .lines()
        .filter(|line| line.contains("\"state\":\"released\""))
        .count();
    assert_eq!(released, 242);
    fleet
        .call(["demo".as_ref(), "--keep".as_ref(), kept.as_os_str()])
        .run()
        .exits(2)
        .says("exists");
}
