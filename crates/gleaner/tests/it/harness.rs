//! Proves the harness itself with plain ssh and sftp. All other tests depend on it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use testbed::{Session, Tap, processes, wait_until};

use crate::context::Fleet;
use crate::device::key;
use crate::mounts::Mount;
use crate::outcome::Call;
use crate::recording::{content, digest, original};

fn ssh(fleet: &Fleet, device: &str, command: &str) -> Output {
    let config = fleet.path("ssh_config");
    // Under nohup(1) the jump's ssh would ignore the hangup, outlive the ssh that gave up, and hold its
    // output open.
    Command::new("env")
        .args(["--default-signal=HUP", "ssh"])
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-F"])
        .arg(config)
        .args([device, command])
        .stdin(Stdio::null())
        .output()
        .expect("running ssh")
}

fn sftp(fleet: &Fleet, device: &str, batch: &str) -> Output {
    let mut child = Command::new("sftp")
        .args(["-q", "-b", "-", "-F"])
        .arg(fleet.path("ssh_config"))
        .arg(device)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("running sftp");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(batch.as_bytes())
        .expect("writing the batch");
    child.wait_with_output().expect("waiting for sftp")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Fetches one file by sftp, and returns its bytes.
fn fetched(fleet: &Fleet, number: usize, name: &str) -> Vec<u8> {
    let device = fleet.device(number);
    let copy = fleet.path("copy");
    let batch = format!("get {}/{name} {}\n", device.source, copy.display());
    let output = sftp(fleet, &device.name, &batch);
    assert!(output.status.success(), "{}", text(&output));
    fs::read(copy).expect("the copy")
}

#[test]
fn every_kind_of_device_is_reached_through_the_jump_host_and_serves_sftp() {
    let mut kinds = vec![
        Session::Gnu,
        Session::Noisy,
        Session::Unprivileged,
        Session::Busybox,
        Session::SftpOnly,
    ];
    if rustix::process::getuid().is_root() {
        kinds.push(Session::Chroot);
    }
    let fleet = Fleet::without_store(&kinds);
    for (number, _) in (1..).zip(&kinds) {
        fleet.device(number).record("a.jpg", content("a", 1000));
        assert_eq!(fetched(&fleet, number, "a.jpg"), content("a", 1000));
    }
    assert!(fleet.jump.log().contains("Accepted publickey"));
    assert!(fleet.device(1).server.log().contains("Accepted publickey"));
}

#[test]
fn a_busybox_device_has_no_gnu_tools_and_no_openssl() {
    let fleet = Fleet::without_store(&[Session::Gnu, Session::Busybox]);
    let probe = "command -v openssl; find --help 2>&1; stat --help 2>&1";
    assert!(text(&ssh(&fleet, "device1", "stat --version")).contains("GNU"));
    let said = text(&ssh(&fleet, "device2", probe));
    assert!(
        said.contains("BusyBox") && !said.contains("GNU") && !said.contains("openssl"),
        "{said}"
    );
}

#[test]
fn a_device_for_sftp_only_runs_no_command() {
    let fleet = Fleet::without_store(&[Session::SftpOnly]);
    assert!(!text(&ssh(&fleet, "device1", "echo executed")).contains("executed"));
}

#[test]
fn an_unprivileged_device_logs_in_as_a_user_other_than_root() {
    let fleet = Fleet::without_store(&[Session::Unprivileged]);
    let said = text(&ssh(&fleet, "device1", "id -u"));
    assert!(said.trim().parse::<u32>().is_ok_and(|user| user != 0), "{said}");
    let folder = fleet.device(1).source.clone();
    assert!(
        ssh(&fleet, "device1", &format!("touch {folder}/a"))
            .status
            .success()
    );
}

#[test]
fn a_noisy_device_prints_text_before_every_command() {
    let fleet = Fleet::without_store(&[Session::Noisy]);
    assert!(
        text(&ssh(&fleet, "device1", "echo executed")).contains("Welcome to raspberry!\nno newlineexecuted")
    );
}

#[test]
fn a_stopped_device_refuses_a_paused_one_is_silent_and_both_come_back() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let server = &fleet.device(1).server;
    server.stop();
    assert!(text(&ssh(&fleet, "device1", "true")).contains("Connection refused"));
    server.start_again();
    assert!(ssh(&fleet, "device1", "true").status.success());
    server.pause();
    let said = text(&ssh(&fleet, "device1", "true"));
    assert!(said.contains("timed out"), "{said}");
    server.resume();
    assert!(ssh(&fleet, "device1", "true").status.success());
}

#[test]
fn a_changed_host_key_and_a_forgotten_key_are_noticed_by_ssh() {
    let fleet = Fleet::without_store(&[Session::Gnu, Session::Gnu]);
    fleet.device(1).server.change_host_key(&key("another"));
    assert!(text(&ssh(&fleet, "device1", "true")).contains("IDENTIFICATION HAS CHANGED"));
    fleet.device(2).server.forget_keys();
    assert!(text(&ssh(&fleet, "device2", "true")).contains("Permission denied"));
}

#[test]
fn a_mute_device_accepts_the_login_and_sends_nothing() {
    let fleet = Fleet::without_store(&[Session::Mute]);
    let mut child = Command::new("ssh")
        .arg("-F")
        .arg(fleet.path("ssh_config"))
        .args(["device1", "echo", "executed"])
        .stdin(Stdio::null())
        .spawn()
        .expect("running ssh");
    let server = &fleet.device(1).server;
    assert!(wait_until(Duration::from_secs(10), || server
        .log()
        .contains("Starting session")));
    assert!(child.try_wait().expect("waiting").is_none());
    child.kill().expect("killing ssh");
    child.wait().expect("waiting");
}

#[test]
fn a_tap_counts_cuts_and_heals() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet.tap(1).device(1).record("big", content("big", 3_000_000));
    let device = fleet.device(1);
    device.link(|tap| tap.cut_after(1_000_000));
    let output = sftp(
        &fleet,
        "device1",
        &format!("get {}/big {}\n", device.source, fleet.path("cut").display()),
    );
    assert!(!output.status.success());
    assert!(fs::metadata(fleet.path("cut")).expect("a part").len() < 1_000_000);
    assert!(
        text(&ssh(&fleet, "device1", "true")).contains("refused"),
        "the link is down"
    );
    device.link(Tap::heal);
    assert!(wait_until(Duration::from_secs(5), || ssh(
        &fleet, "device1", "true"
    )
    .status
    .success()));
    let before = device.link(Tap::received);
    assert_eq!(before / 1_000_000, 1, "counted {before}");
    let seed = fetched(&fleet, 1, "big");
    assert_eq!(digest(&seed), digest(&content("big", 3_000_000)));
    assert!(device.link(Tap::received) > before + 3_000_000);
}

#[test]
fn a_tap_goes_silent_and_heals() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet.tap(1);
    let device = fleet.device(1);
    device.link(|tap| tap.silent_after(0));
    assert!(text(&ssh(&fleet, "device1", "true")).contains("timed out"));
    device.link(Tap::heal);
    assert!(ssh(&fleet, "device1", "true").status.success());
}

#[test]
fn the_checkers_detect_a_loss_an_untrue_file_and_a_leftover() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let fails = |check: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
    fleet.device(1).record("a", "first").record("b", "second");
    fleet.assert_nothing_lost();
    assert!(fails(&|| fleet.assert_emptied()));
    fs::remove_file(fleet.device(1).folder.join("a")).expect("removing");
    assert!(fails(&|| fleet.assert_nothing_lost()));
    fs::write(fleet.store().join("anywhere"), "first").expect("writing");
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    fs::write(fleet.store().join("anywhere"), "fir").expect("writing");
    assert!(fails(&|| fleet.assert_store_true()));
}

#[test]
fn a_withdrawn_path_is_traced_to_where_it_was() {
    let withdrawn = Path::new(".gleaner-withdrawn/ledger/pass/day/img.jpg");
    assert_eq!(original(withdrawn), Path::new("day/img.jpg"));
    assert_eq!(original(Path::new("day/img.jpg")), Path::new("day/img.jpg"));
}

#[test]
fn processes_that_a_killed_parent_leaves_behind_are_detected() {
    let fleet = Fleet::without_store(&[]);
    let call = Call::new(fleet.root(), Path::new("/bin/sh")).arguments(["-c", "sleep 1000 & wait"]);
    let running = call.start();
    let root = running.id();
    assert!(wait_until(Duration::from_secs(5), || processes::tree(root).len() == 2));
    running.kill();
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fleet.assert_no_ssh_left()));
    assert!(seen.is_err());
}

#[test]
fn a_fleet_leaves_no_process_behind() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let root = fleet.root().to_owned();
    let mut held = Command::new("ssh")
        .arg("-F")
        .arg(fleet.path("ssh_config"))
        .args(["device1", "echo here; sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("running ssh");
    let server = &fleet.device(1).server;
    let runs = |program: &str| {
        server
            .processes()
            .iter()
            .any(|process| process.program == program)
    };
    assert!(wait_until(Duration::from_secs(10), || runs("sleep")));
    drop(fleet);
    held.wait().expect("waiting for ssh");
    let left = || processes::mentioning(&root);
    assert!(
        wait_until(Duration::from_secs(5), || left().is_empty()),
        "{:?}",
        left()
    );
    assert!(!root.exists());
}

#[test]
fn a_small_file_system_can_be_full_enlarged_and_unmounted() {
    let fleet = Fleet::without_store(&[]);
    let Some(mut mount) = Mount::tmpfs(&fleet.store(), 1) else {
        return;
    };
    assert!(fs::write(fleet.store().join("a"), vec![1; 2 << 20]).is_err());
    mount.remount("size=8m");
    fs::write(fleet.store().join("a"), vec![1; 2 << 20]).expect("room enough");
    mount.unmount();
    assert_eq!(fs::read_dir(fleet.store()).expect("the folder").count(), 0);
    let Some(image) = Mount::ext4(&fleet.store(), 16) else {
        return;
    };
    image.remount("ro");
    assert!(fs::write(fleet.store().join("a"), "a").is_err());
}

#[test]
fn settled_means_that_a_second_has_passed() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet.device(1).record("a", "first");
    let touched = fleet.device(1).last_touched().expect("a file");
    let began = Instant::now();
    fleet.wait_until_settled();
    assert!(SystemTime::now() > touched + Duration::from_secs(1));
    assert!(began.elapsed() < Duration::from_secs(3));
}
