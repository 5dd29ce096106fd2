//! Devices that are reached and do not serve gleaner: the message has the true cause, with a remedy that
//! helps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testbed::Session;

use crate::context::Fleet;
use crate::device::a_minute_ago;
use crate::failures::{fails_as, fleet_of, recovers};
use crate::outcome::{Call, PATH};

/// The login of `fleet_with_account`. It is not root, to whom nologin never applies.
const ACCOUNT: &str = "pi:x:65534:65534::/:/bin/sh";
const SHADOW: &str = "pi:*:20000:0:99999:7:::";

/// A device with PAM as `use_pam` says, an account of its own, and an /etc of its own that the shell lines in
/// `preparation` change. `None` without root.
fn fleet_with_account(use_pam: &str, preparation: &str) -> Option<Fleet> {
    if !rustix::process::getuid().is_root() {
        return crate::mounts::skip("needs root to give a device an /etc of its own");
    }
    let fleet = fleet_of(Session::Gnu);
    fleet.set("device1.user", "pi");
    let device = fleet.path("device1");
    let etc = device.join("etc");
    let script = format!(
        "set -e
        cp -a /etc {etc}
        mount --bind {etc} /etc
        echo '{ACCOUNT}' >>/etc/passwd
        echo '{SHADOW}' >>/etc/shadow
        rm -f /etc/nologin
        printf '%s\\n' 'account required pam_nologin.so' 'account required pam_unix.so' 'session required pam_permit.so' >/etc/pam.d/sshd
        {preparation}
        exec \"$@\"",
        etc = etc.display()
    );
    fs::write(device.join("in_etc"), script).expect("writing a script");
    hand_over(&device.join("card"));
    let server = &fleet.device(1).server;
    server.reconfigure(&format!("UsePAM {use_pam}"));
    let script = device.join("in_etc");
    server.run_by([
        Path::new("unshare"),
        Path::new("--mount"),
        Path::new("sh"),
        &script,
    ]);
    Some(fleet)
}

/// Gives a folder with all its content to the account.
fn hand_over(folder: &Path) {
    let below = fs::read_dir(folder).expect("a folder");
    for entry in below.map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() {
            hand_over(&entry.path());
        } else {
            std::os::unix::fs::chown(entry.path(), Some(65_534), Some(65_534)).expect("giving a file");
        }
    }
    std::os::unix::fs::chown(folder, Some(65_534), Some(65_534)).expect("giving a folder");
}

#[test]
fn a_device_that_is_starting_up_counts_as_unreachable_until_it_is_up() {
    let words =
        "System is booting up. Unprivileged users are not permitted to log in yet. Please come back later.";
    let Some(fleet) = fleet_with_account("yes", &format!("echo '{words}' >/etc/nologin")) else {
        return;
    };
    fails_as(&fleet, "starting-up", 5).says("System is booting up");
    fs::remove_file(fleet.path("device1/etc/nologin")).expect("the end of the start");
    recovers(&fleet);
}

#[test]
fn a_device_without_pam_that_refuses_logins_is_reported_as_starting_up() {
    let Some(fleet) = fleet_with_account("no", "echo maintenance >/etc/nologin") else {
        return;
    };
    fails_as(&fleet, "starting-up", 5).says("/etc/nologin");
}

#[test]
fn an_expired_account_is_reported_in_the_devices_words() {
    let Some(fleet) = fleet_with_account("yes", "sed -i 's/^pi:.*/pi:*:20000:0:99999:7::1:/' /etc/shadow")
    else {
        return;
    };
    fails_as(&fleet, "authentication-refused", 1)
        .says("Your account has expired")
        .says("chage -E")
        .does_not_say("authorized_keys");
    let status = fleet.status_of("device1");
    let remedy = status["last_outcome"]["remedy"].as_str().unwrap_or_default();
    assert!(remedy.contains("chage -E"), "{status:#}");
}

#[test]
fn a_password_that_must_be_changed_is_reported_in_the_devices_words() {
    let Some(fleet) = fleet_with_account("yes", "sed -i 's/^pi:.*/pi:*:0:0:99999:7:::/' /etc/shadow") else {
        return;
    };
    fails_as(&fleet, "authentication-refused", 1)
        .says("change your password")
        .says("passwd")
        .does_not_say("authorized_keys");
}

#[test]
fn an_account_without_a_shell_is_reported_as_such() {
    let Some(fleet) = fleet_with_account("yes", "sed -i '/^pi:/s#/bin/sh#/usr/sbin/nologin#' /etc/passwd")
    else {
        return;
    };
    fails_as(&fleet, "authentication-refused", 1)
        .says("currently not available")
        .says("usermod -s");
}

#[test]
fn a_missing_sftp_server_is_reported_with_how_to_install_one() {
    for session in [Session::WithoutSftpServer, Session::WithoutSubsystem] {
        let fleet = fleet_of(session);
        fails_as(&fleet, "no-sftp-server", 1)
            .says("apt install openssh-sftp-server")
            .says("opkg install openssh-sftp-server")
            .says("Subsystem sftp");
    }
}

#[test]
fn a_login_banner_is_never_the_reason_of_a_later_failure() {
    let banner = "Connections that are idle have timed out. Connection refused? Ask the office.\n\
                  channel 0: open failed: connect failed: Connection refused\n\
                  Connection to this host timed out\n";
    let fleet = fleet_of(Session::WithoutSftpServer);
    let file = fleet.path("device1/banner");
    fs::write(&file, banner).expect("writing a banner");
    let server = &fleet.device(1).server;
    server.reconfigure(&format!("Banner {}", file.display()));
    fails_as(&fleet, "no-sftp-server", 1).does_not_say("timed out");
    server.reconfigure("AllowUsers somebody-else");
    fails_as(&fleet, "authentication-refused", 1).does_not_say("timed out");
}

/// A device whose login has these start-up files.
fn fleet_that_starts_with(bashrc: &str) -> Fleet {
    let fleet = fleet_of(Session::Gnu);
    fs::write(fleet.path("device1/home/.bashrc"), bashrc).expect("writing .bashrc");
    fleet
}

#[test]
fn start_up_files_that_never_end_need_the_operator() {
    for bashrc in ["sleep 1000", "read -p 'Continue? ' answer"] {
        let fleet = fleet_that_starts_with(bashrc);
        fails_as(&fleet, "stalled", 1)
            .says("start-up files")
            .does_not_say("power");
        fs::remove_file(fleet.path("device1/home/.bashrc")).expect("removing .bashrc");
        recovers(&fleet);
    }
}

#[test]
fn start_up_files_that_start_another_program_are_reported_as_the_cause() {
    let fleet = fleet_that_starts_with("exec cat");
    fails_as(&fleet, "protocol", 1)
        .says("echoes the input of its SFTP server")
        .says("start-up files");
}

#[test]
fn a_device_that_permits_one_session_per_connection_gives_every_proof() {
    let fleet = Fleet::of(&[Session::Gnu]);
    fleet.device(1).server.reconfigure("MaxSessions 1");
    fleet
        .device(1)
        .record_many("day", 20, 3_000)
        .record("a/b", "deep");
    fleet.sweep().exits(0);
    // A device with a weaker proof is surveyed twice before any file leaves.
    fleet.assert_all_gathered();
    assert!(fleet.device(1).is_empty(), "{}", fleet.left_files());
    let status = fleet.status_of("device1");
    assert_eq!(
        status["shortcomings"].as_array().map(Vec::len),
        Some(0),
        "{status:#}"
    );
    fleet.assert_no_ssh_left();
}

#[test]
fn a_device_without_a_shell_is_not_reported_to_lack_tools() {
    let fleet = Fleet::of(&[Session::SftpOnly]);
    fleet.sweep().exits(0);
    let status = fleet.status_of("device1");
    let lacks = status["shortcomings"].to_string();
    assert!(lacks.contains("no shell: the login runs no commands"), "{lacks}");
    assert!(
        !lacks.contains("no GNU find") && !lacks.contains("no digest tool"),
        "{lacks}"
    );
}

#[test]
fn a_read_only_sftp_server_is_reported_as_the_reason_why_files_stay() {
    let fleet = fleet_of(Session::Gnu);
    let server = &fleet.device(1).server;
    server.reconfigure(&format!("ForceCommand {} -R", testbed::SFTP_SERVER));
    fleet.sweep().exits(0);
    std::thread::sleep(crate::context::SETTLE);
    fleet.sweep().exits(1).says("read-only").says("-R");
    fleet.assert_left("device1", "img.jpg", "server-read-only");
}

#[test]
fn a_collector_that_may_open_few_files_blames_no_device() {
    let fleet = Fleet::of(&[Session::Gnu; 4]);
    for device in fleet.devices() {
        device.record_many("day", 5, 2_000);
        device.set_modified("day/img_00000.jpg", a_minute_ago());
    }
    fleet.wait_until_settled();
    let program = fleet.path("limited");
    let script = format!(
        "#!/bin/sh\nulimit -n 100\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_gleaner")
    );
    fs::write(&program, script).expect("writing a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("making it a program");
    let outcome = Call::new(fleet.root(), &program)
        .env("GLEANER_CONFIG", fleet.path("gleaner.toml"))
        .env("PATH", format!("{}:{PATH}", fleet.path("bin").display()))
        .arguments(["run"])
        .run();
    outcome.exits(0).says("LimitNOFILE");
    fleet.assert_all_gathered();
}
