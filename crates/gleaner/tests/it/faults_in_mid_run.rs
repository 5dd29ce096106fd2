//! A part that a run depends on fails during the run: the disk of the store or of the ledger, the servers,
//! single processes. The sweep ends regularly and without loss, and the next one continues without help.
//! `store` has faults before a run, and stores that are too small; `kills` has gleaner itself.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use testbed::processes::{self, Process};
use testbed::{Session, Tap, wait_until};

use crate::context::Fleet;
use crate::disk::{Disk, Medium};
use crate::outcome::{Outcome, Running};
use crate::recording::{self, content};

const SOON: Duration = Duration::from_secs(20);

/// A device behind a link that makes the run last a few seconds.
fn fleet() -> Fleet {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet
        .set("ssh.connect_timeout", "3s")
        .set("defaults.stall_timeout", "3s");
    fleet.tap(1).device(1).link(|tap| tap.slow_to(3_000_000));
    fleet
}

/// Records, starts a run, and returns as soon as some bytes have come and most have not.
fn under_way(fleet: &Fleet) -> Running {
    let device = fleet.device(1);
    device
        .record_many("day", 60, 50_000)
        .record("big", content("big", 5 << 20));
    fleet.wait_until_settled();
    let mut running = fleet.start(["run"]);
    let some = 500_000;
    assert!(wait_until(SOON, || device.link(Tap::received) > some || running.has_ended()));
    assert!(!running.has_ended(), "ended too soon");
    running
}

/// Asserts that the run ends with this status and leaves no process.
#[track_caller]
fn ends_without_loss(fleet: &Fleet, running: Running, status: i32) -> Outcome {
    let outcome = running.wait().exits(status);
    fleet.assert_no_ssh_left();
    outcome
}

/// Asserts, once the fault is repaired, that nothing is lost and that the next sweep continues.
#[track_caller]
fn continues(fleet: &Fleet) {
    fleet.device(1).link(Tap::heal);
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    fleet.gleaner(["audit"]).exits(0);
    let staged = recording::regular_files(&fleet.store().join(".gleaner/staging"));
    assert!(staged.is_empty(), "left in staging: {staged:?}");
}

/// A fleet whose store is a disk of its own. `None` where mounting is not possible.
fn with_store_on(medium: Medium) -> Option<(Fleet, Disk)> {
    let fleet = fleet();
    let disk = Disk::at(&fleet.store(), medium, 64)?;
    fleet.init_store();
    Some((fleet, disk))
}

#[test]
fn an_ext4_store_that_another_writer_fills_ends_the_sweep_without_loss() {
    let Some((fleet, disk)) = with_store_on(Medium::Image) else {
        return;
    };
    let running = under_way(&fleet);
    disk.fill();
    ends_without_loss(&fleet, running, 1).says_one_of(&["full", "no space", "free"]);
    fleet
        .gleaner(["run"])
        .exits(3)
        .says_one_of(&["full", "no space", "free"]);
    disk.make_room();
    continues(&fleet);
}

fn remounted_read_only(medium: Medium) {
    let Some((fleet, disk)) = with_store_on(medium) else {
        return;
    };
    let running = under_way(&fleet);
    assert!(disk.make_read_only(SOON), "busy all the time");
    ends_without_loss(&fleet, running, 1).says("read-only");
    disk.make_writable();
    continues(&fleet);
}

#[test]
fn an_ext4_store_remounted_read_only_ends_the_sweep_without_loss() {
    remounted_read_only(Medium::Image);
}

#[test]
fn a_tmpfs_store_remounted_read_only_ends_the_sweep_without_loss() {
    remounted_read_only(Medium::Memory);
}

#[test]
fn a_store_whose_disk_fails_loses_nothing_that_was_released() {
    let Some((fleet, mut disk)) = with_store_on(Medium::Image) else {
        return;
    };
    let running = under_way(&fleet);
    if !disk.trigger_error() {
        return crate::mounts::skip("this kernel has no faults of ext4 to give").unwrap_or_default();
    }
    ends_without_loss(&fleet, running, 1);
    disk.repair();
    continues(&fleet);
}

#[test]
fn an_unmounted_ext4_store_loses_nothing_and_its_mount_point_stays_empty() {
    let Some((fleet, mut disk)) = with_store_on(Medium::Image) else {
        return;
    };
    let running = under_way(&fleet);
    disk.detach();
    fleet.device(1).link(Tap::heal);
    // gleaner may finish by its open handles, or notice that its store is gone: both are right.
    let outcome = running.wait();
    assert!(matches!(outcome.code(), Some(0 | 1)), "{}", outcome.transcript());
    let under = fs::read_dir(fleet.store()).expect("the mount point").count();
    assert_eq!(under, 0, "written under the mount point");
    fleet.gleaner(["run"]).exits(3).says("not mounted");
    disk.attach();
    continues(&fleet);
}

#[test]
fn a_ledger_that_cannot_grow_ends_the_sweep_without_loss() {
    let fleet = fleet();
    let Some(disk) = Disk::at(&fleet.path("ledger"), Medium::Memory, 16) else {
        return;
    };
    fleet.init_store();
    let running = under_way(&fleet);
    disk.fill();
    ends_without_loss(&fleet, running, 1).says("ledger");
    disk.make_room();
    continues(&fleet);
}

#[test]
fn a_device_whose_card_is_full_is_still_emptied() {
    let fleet = fleet();
    let card = fleet.device(1).folder.parent().expect("the card").to_owned();
    let Some(disk) = Disk::at(&card, Medium::Image, 32) else {
        return;
    };
    fleet.init_store();
    fleet.device(1).record_many("day", 50, 20_000);
    disk.fill();
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

/// Kills one wanted process of gleaner's tree, as soon as there is one.
fn kill_child(running: &Running, is_wanted: impl Fn(&Process) -> bool) {
    let found = wait_until(SOON, || {
        let mut tree = processes::tree(running.id()).into_iter();
        let victim = tree.find(|process| is_wanted(process));
        victim.inspect(|victim| victim.signal(Signal::KILL)).is_some()
    });
    assert!(found, "nothing of the kind runs");
}

fn has_argument(process: &Process, wanted: &str) -> bool {
    process.program == "ssh" && process.arguments().iter().any(|argument| argument == wanted)
}

/// Kills one process of gleaner's during a run: the device has failed, as when its connection is lost.
fn child_killed(is_wanted: impl Fn(&Process) -> bool) {
    let fleet = fleet();
    fleet.init_store();
    let running = under_way(&fleet);
    kill_child(&running, is_wanted);
    let outcome = running.wait().says("device1");
    assert!(matches!(outcome.code(), Some(1 | 5)), "{}", outcome.transcript());
    assert!(fleet.class_of("device1").is_some(), "{}", outcome.transcript());
    fleet.assert_no_ssh_left();
    continues(&fleet);
    assert_eq!(fleet.class_of("device1"), None);
}

#[test]
fn a_kill_of_the_ssh_child_of_the_connection_loses_nothing() {
    child_killed(|process| has_argument(process, "-s"));
}

#[test]
fn a_kill_of_the_ssh_child_that_hops_over_the_jump_loses_nothing() {
    child_killed(|process| has_argument(process, "-W"));
}

#[test]
fn a_kill_of_a_guard_loses_nothing_and_leaves_no_ssh() {
    let fleet = fleet();
    fleet.init_store();
    let running = under_way(&fleet);
    kill_child(&running, |process| {
        process.program == "sh" && process.shown().contains("read -r word")
    });
    fleet.device(1).link(Tap::heal);
    let outcome = running.wait();
    assert!(
        matches!(outcome.code(), Some(0 | 1 | 5)),
        "{}",
        outcome.transcript()
    );
    fleet.assert_no_ssh_left();
    continues(&fleet);
}

/// Kills a process of the jump's sshd, or of the device's, during a run.
fn server_killed(kill: impl FnOnce(&Fleet), heal: impl FnOnce(&Fleet)) {
    let fleet = fleet();
    fleet.init_store();
    let running = under_way(&fleet);
    kill(&fleet);
    let outcome = running.wait().says("device1");
    assert!(matches!(outcome.code(), Some(1 | 5)), "{}", outcome.transcript());
    assert!(fleet.class_of("device1").is_some(), "{}", outcome.transcript());
    fleet.assert_no_ssh_left();
    heal(&fleet);
    continues(&fleet);
    assert_eq!(fleet.class_of("device1"), None);
}

#[test]
fn a_kill_of_the_sshd_of_the_jump_with_all_sessions_loses_nothing() {
    server_killed(|fleet| fleet.jump.stop(), |fleet| fleet.jump.start_again());
}

#[test]
fn a_kill_of_the_sftp_server_of_the_device_loses_nothing() {
    let kill = |fleet: &Fleet| {
        let mut sessions = fleet.device(1).server.session_processes().into_iter();
        let sftp_server = sessions.find(|process| process.program == "sftp-server");
        sftp_server.expect("an sftp-server").signal(Signal::KILL);
    };
    server_killed(kill, |_| {});
}

#[test]
fn a_kill_of_the_listener_of_the_jump_leaves_the_sessions_working() {
    let fleet = fleet();
    fleet.init_store();
    let running = under_way(&fleet);
    fleet.jump.kill_listener();
    fleet.device(1).link(Tap::heal);
    ends_without_loss(&fleet, running, 0);
    fleet.device(1).record("later.jpg", content("later", 1_000));
    fleet.sweep().exits(1);
    assert_eq!(fleet.class_of("device1").as_deref(), Some("jump-refused"));
    fleet.jump.start_again();
    continues(&fleet);
}
