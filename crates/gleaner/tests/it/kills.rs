//! gleaner is killed, interrupted, or loses its ssh at any moment: no file is lost, no process is left, and
//! the next run finishes the work.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use testbed::{Session, Tap, processes, wait_until};

use crate::context::Fleet;
use crate::outcome::Running;
use crate::recording::{self, content};
use crate::rng::Rng;

const SOON: Duration = Duration::from_secs(30);

/// Random delays. The seed is printed, so that a failure can be reproduced.
fn delays() -> Rng {
    let seed = Rng::random_seed();
    eprintln!("the seed of the delays is {seed}");
    Rng::from_seed(seed)
}

/// Kills gleaner, and asserts that its children are gone soon and that no file is lost.
#[track_caller]
fn kill(fleet: &Fleet, running: Running) {
    running.kill();
    fleet.assert_no_ssh_left();
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
}

/// Whether gleaner has started ssh.
fn ssh_runs(running: &Running) -> bool {
    let mut tree = processes::tree(running.id()).into_iter();
    tree.any(|process| process.program == "ssh")
}

#[test]
fn killed_at_random_moments_it_loses_nothing_and_the_next_run_finishes() {
    let fleet = Fleet::of(&[Session::Gnu, Session::Gnu, Session::SftpOnly]);
    fleet.set("store.layout", "{path}");
    let mut delays = delays();
    for round in 0..12 {
        for device in fleet.devices() {
            device.record_many(&format!("round{round:02}"), 25, 4_000);
            device.record(
                format!("big{round:02}"),
                content(&format!("{} {round}", device.name), 2 << 20),
            );
        }
        fleet.wait_until_settled();
        let running = fleet.start(["run"]);
        thread::sleep(delays.time(Duration::from_millis(1_500)));
        kill(&fleet, running);
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), fleet.manifest.len(), "nothing twice");
    let staged = recording::regular_files(&fleet.store().join(".gleaner/staging"));
    assert!(staged.is_empty(), "left in staging: {staged:?}");
}

#[test]
fn killed_while_it_releases_it_checks_the_store_before_the_next_release() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    let mut delays = delays();
    // Repeats until there are withdrawn files on the device whose content the store already shows.
    for round in 0..30 {
        device.record_many(&format!("round{round:02}"), 60, 2_000);
        fleet.wait_until_settled();
        let published = fleet.store_files().len();
        let mut running = fleet.start(["run"]);
        wait_until(SOON, || {
            running.has_ended() || fleet.store_files().len() > published
        });
        thread::sleep(delays.time(Duration::from_millis(30)));
        running.kill();
        let stored: Vec<_> = fleet.store_files().into_values().collect();
        let withdrawn = recording::files_below(&device.folder.join(recording::WITHDRAWN));
        if withdrawn.values().any(|digest| stored.contains(digest)) {
            break;
        }
    }
    // An operator moves the stored files away, and with them the only copies of the released ones.
    let on_device: Vec<_> = device.files().into_values().flatten().collect();
    let moved = fleet.path("moved");
    std::fs::rename(fleet.store().join("device1"), &moved).expect("moving the stored files away");
    fleet.sweep_until_emptied();
    fleet.assert_store_true();
    let stored: Vec<_> = fleet.store_files().into_values().collect();
    let missing = on_device.iter().filter(|digest| !stored.contains(digest)).count();
    assert_eq!(
        missing, 0,
        "released because of the ledger, with no copy in the store"
    );
}

#[test]
fn killed_between_removing_two_folders_it_removes_the_other_next_time() {
    let fleet = Fleet::new(1);
    // All files were released and the folder of the ledger was removed, but not yet the folder above it.
    let withdrawn = fleet.device(1).folder.join(recording::WITHDRAWN);
    std::fs::create_dir(&withdrawn).expect("making a folder");
    fleet.sweep().exits(0);
    assert!(!withdrawn.exists(), "the folder stays");
}

#[test]
fn killed_while_it_connects_to_a_black_hole_it_leaves_no_ssh() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record("img.jpg", "picture");
    fleet.device(1).link(|tap| tap.silent_after(0));
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || fleet.device(1).link(Tap::connections) > 0));
    assert!(ssh_runs(&running));
    kill(&fleet, running);
}

#[test]
fn killed_while_it_connects_to_a_silent_jump_host_it_leaves_no_ssh() {
    let fleet = Fleet::new(1);
    fleet.jump.pause();
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || ssh_runs(&running)));
    kill(&fleet, running);
}

#[test]
fn killed_while_it_authenticates_it_leaves_no_ssh() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record("img.jpg", "picture");
    // In the banner, in the key exchange, before and about the end of authentication.
    for bytes in [10, 600, 1_700, 2_200, 2_800] {
        let before = fleet.device(1).link(|tap| {
            tap.heal();
            tap.silent_after(bytes);
            tap.received()
        });
        let running = fleet.start(["run"]);
        let reached = wait_until(SOON, || fleet.device(1).link(Tap::received) >= before + bytes);
        assert!(reached, "the connection did not get to {bytes} bytes");
        kill(&fleet, running);
    }
}

#[test]
fn killed_while_it_waits_for_a_mute_device_it_leaves_no_ssh() {
    let fleet = Fleet::of(&[Session::Mute]);
    let running = fleet.start(["run"]);
    let server = &fleet.device(1).server;
    assert!(wait_until(SOON, || server.log().contains("Starting session")));
    kill(&fleet, running);
}

#[test]
fn killed_while_it_transfers_it_leaves_no_ssh() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record("big", content("big", 30 << 20));
    fleet.device(1).link(|tap| tap.slow_to(4_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || fleet.device(1).link(Tap::received) > 2 << 20));
    kill(&fleet, running);
    fleet.device(1).link(Tap::heal);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn interrupted_it_exits_with_130_leaves_no_ssh_and_loses_nothing() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record_many("day", 100, 50_000);
    fleet.device(1).link(|tap| tap.slow_to(1_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || fleet.device(1).link(Tap::received) > 500_000));
    running.interrupt().exits(130);
    fleet.assert_no_ssh_left();
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    fleet.device(1).link(Tap::heal);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn terminated_it_leaves_no_ssh_and_loses_nothing() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record_many("day", 100, 50_000);
    fleet.device(1).link(|tap| tap.slow_to(1_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || fleet.device(1).link(Tap::received) > 500_000));
    processes::signal(running.id(), Signal::TERM);
    let outcome = running.wait();
    assert_ne!(outcome.code(), Some(0), "{}", outcome.transcript());
    fleet.assert_no_ssh_left();
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
}

#[test]
fn a_kill_of_its_ssh_in_mid_file_is_reported_and_loses_nothing() {
    let fleet = Fleet::new(1);
    fleet.tap(1).device(1).record("big", content("big", 30 << 20));
    fleet.device(1).link(|tap| tap.slow_to(4_000_000));
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    assert!(wait_until(SOON, || fleet.device(1).link(Tap::received) > 2 << 20));
    for process in processes::tree(running.id()) {
        if process.program == "ssh" {
            process.signal(Signal::KILL);
        }
    }
    fleet.device(1).link(Tap::heal);
    let outcome = running.wait().says("device1");
    assert!(matches!(outcome.code(), Some(1 | 5)), "{}", outcome.transcript());
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_regular_end_leaves_no_guard_of_served_refused_or_silent_devices() {
    let fleet = Fleet::new(3);
    fleet.set("ssh.connect_timeout", "1s");
    fleet.device(1).record("img.jpg", "picture");
    fleet.device(2).server.stop();
    fleet.tap(3).device(3).link(|tap| tap.silent_after(0));
    let slept = fleet.path("slept");
    fleet.put_first_in_path(
        "sleep",
        &format!("touch {}; exec /bin/sleep \"$@\"", slept.display()),
    );
    fleet.wait_until_settled();
    fleet.gleaner(["run"]).exits(5);
    fleet.assert_no_guard_left();
    assert!(!slept.exists(), "a guard waited although its ssh had ended");
    fleet.assert_no_ssh_left();
    fleet.assert_store_holds(&[("device1/img.jpg", "picture")]);
    // A command that only reads leaves no guard either.
    fleet.gleaner(["disk"]).exits(5);
    fleet.assert_no_guard_left();
    assert!(!slept.exists(), "a guard waited although its ssh had ended");
}
