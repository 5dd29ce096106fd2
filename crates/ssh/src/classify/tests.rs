//! Most texts were printed by OpenSSH 9.2p1 connected to real servers. Seven are taken from its sources,
//! because they could not be provoked here: temporary failure in name resolution, no route to host,
//! connection timed out (from the kernel), too many authentication failures, timeout of the server, bad owner
//! of a configuration, and a key that cannot be loaded.

use super::*;
use FailureClass::{
    AliasUnknown, AuthenticationRefused, HostKeyChanged, HostKeyUnknown, JumpRefused, JumpUnreachable,
    NoSftpServer, Protocol, Stalled, StartingUp, TimedOut, TunnelDown,
};

const JUMP: bool = true;
const DIRECT: bool = false;

/// What the outer process adds when the inner one has ended.
const LOST: &str = "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n";
const AUTHENTICATED: &str = "Authenticated to 127.0.0.1 ([127.0.0.1]:7701) using \"publickey\".\n";
const CHANGED: &str = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:HC1qgFYx+p7mFyJbuYRPacBI0DgC434LR8jJs/ZhiDE.
Please contact your system administrator.
Add correct host key in /home/awi/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/awi/.ssh/known_hosts:2
  remove with:
  ssh-keygen -f \"/home/awi/.ssh/known_hosts\" -R \"[localhost]:7702\"
Host key for [localhost]:7702 has changed and you have requested strict checking.
Host key verification failed.
";

#[track_caller]
fn check(through_jump: bool, stderr: &str, class: FailureClass, quote: &str) {
    let diagnosis = diagnose(stderr, through_jump, None);
    assert_eq!(diagnosis.failure.class, class, "{stderr}");
    assert!(
        diagnosis.failure.message.contains(quote),
        "{}",
        diagnosis.failure.message
    );
}

#[test]
fn an_unknown_alias_differs_from_a_dead_name_server() {
    let unknown = "ssh: Could not resolve hostname nosuchalias: Name or service not known\n";
    check(DIRECT, unknown, AliasUnknown, "hostname nosuchalias");
    let temporary = "ssh: Could not resolve hostname hive7: Temporary failure in name resolution\n";
    check(DIRECT, temporary, TimedOut, "Temporary failure");
    check(
        JUMP,
        &format!("{temporary}{LOST}"),
        JumpUnreachable,
        "Temporary failure",
    );
    check(
        JUMP,
        &format!("{unknown}{LOST}"),
        JumpUnreachable,
        "jump host: ssh: Could not resolve",
    );
    let on_jump =
        "channel 0: open failed: connect failed: Name or service not known\nstdio forwarding failed\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{on_jump}{LOST}"),
        AliasUnknown,
        "Name or service not known",
    );
}

#[test]
fn a_configuration_that_ssh_refuses_is_quoted() {
    let stderr = "/home/awi/.ssh/config: line 1: Bad configuration option: foobar\n/home/awi/.ssh/config: terminating, 1 bad configuration options\n";
    check(
        DIRECT,
        stderr,
        AliasUnknown,
        "line 1: Bad configuration option: foobar",
    );
    check(
        DIRECT,
        "Bad owner or permissions on /home/awi/.ssh/config\n",
        AliasUnknown,
        "Bad owner",
    );
}

#[test]
fn a_tunnel_that_is_down_differs_from_a_jump_host_that_is_down() {
    let tunnel = "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{tunnel}{LOST}"),
        TunnelDown,
        "open failed: connect failed: Connection refused",
    );
    let jump = "ssh: connect to host 127.0.0.1 port 7799: Connection refused\n";
    check(
        JUMP,
        &format!("{jump}{LOST}"),
        JumpRefused,
        "jump host: ssh: connect to host",
    );
    let device = "ssh: connect to host localhost port 7798: Connection refused\n";
    check(DIRECT, device, TunnelDown, "port 7798");
    let half_open = format!("{AUTHENTICATED}{LOST}");
    check(JUMP, &half_open, TunnelDown, "kex_exchange_identification");
    assert!(!diagnose(&half_open, JUMP, None).hung_up_at_once);
}

#[test]
fn the_silent_host_is_named() {
    let jump = "Connection timed out during banner exchange\nConnection to 10.255.255.1 port 22 timed out\n";
    check(JUMP, &format!("{jump}{LOST}"), JumpUnreachable, "timed out");
    let device = "Connection timed out during banner exchange\nConnection to UNKNOWN port 65535 timed out\n";
    check(JUMP, &format!("{AUTHENTICATED}{device}"), TimedOut, "timed out");
    check(JUMP, device, JumpUnreachable, "timed out");
    let direct =
        "Connection timed out during banner exchange\nConnection to 10.255.255.1 port 7702 timed out\n";
    check(DIRECT, direct, TimedOut, "timed out");
    let unanswered = "ssh: connect to host 192.0.2.1 port 22: Connection timed out\n";
    check(DIRECT, unanswered, TimedOut, "192.0.2.1");
    check(JUMP, &format!("{unanswered}{LOST}"), JumpUnreachable, "192.0.2.1");
    let no_route = "ssh: connect to host 192.0.2.1 port 22: No route to host\n";
    check(DIRECT, no_route, TimedOut, "No route to host");
    check(
        JUMP,
        &format!("{no_route}{LOST}"),
        JumpUnreachable,
        "No route to host",
    );
    let behind = "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{behind}{LOST}"),
        TimedOut,
        "No route to host",
    );
    check(
        DIRECT,
        "Timeout, server hive7 not responding.\n",
        Stalled,
        "not responding",
    );
}

#[test]
fn a_jump_host_that_refuses_forwarding_differs_from_one_refusing_login() {
    let forbidden =
        "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{forbidden}{LOST}"),
        JumpRefused,
        "administratively prohibited",
    );
    let refused = "root@127.0.0.1: Permission denied (publickey,keyboard-interactive).\n";
    check(
        JUMP,
        &format!("{refused}{LOST}"),
        JumpRefused,
        "jump host: root@127.0.0.1: Permission denied",
    );
}

#[test]
fn a_device_that_refuses_the_key_differs_from_a_jump_host_that_does() {
    let refused = "root@localhost: Permission denied (publickey,keyboard-interactive).\n";
    check(DIRECT, refused, AuthenticationRefused, "root@localhost");
    let killed = "Killed by signal 1.\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{refused}{killed}"),
        AuthenticationRefused,
        "root@localhost",
    );
    let hint = "Load key \"/home/awi/.ssh/id\": Permission denied\n";
    check(
        DIRECT,
        &format!("{hint}{refused}"),
        AuthenticationRefused,
        "root@localhost",
    );
    let many = "Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures\nDisconnected from 127.0.0.1 port 22\n";
    check(DIRECT, many, AuthenticationRefused, "Too many");
}

#[test]
fn a_changed_host_key_differs_from_an_unknown_one() {
    check(
        JUMP,
        &format!("{AUTHENTICATED}{CHANGED}Killed by signal 1.\n"),
        HostKeyChanged,
        "[localhost]:7702 has changed",
    );
    check(JUMP, &format!("{CHANGED}{LOST}"), HostKeyChanged, "has changed");
    let unknown = "No ED25519 host key is known for [localhost]:7702 and you have requested strict checking.\nHost key verification failed.\n";
    check(
        JUMP,
        &format!("{AUTHENTICATED}{unknown}Killed by signal 1.\n"),
        HostKeyUnknown,
        "known for [localhost]:7702",
    );
    check(JUMP, &format!("{unknown}{LOST}"), HostKeyUnknown, "known for");
    check(DIRECT, unknown, HostKeyUnknown, "known for");
}

#[test]
fn a_server_that_hangs_up_at_once_is_worth_another_try() {
    let direct = "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 127.0.0.1 port 7709\n";
    check(DIRECT, direct, Protocol, "reset by peer");
    assert!(diagnose(direct, DIRECT, None).hung_up_at_once);
    let jump = "kex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 7709\n";
    let jump = format!("{jump}{LOST}");
    check(JUMP, &jump, JumpRefused, "jump host: kex_exchange_identification");
    assert!(diagnose(&jump, JUMP, None).hung_up_at_once);
}

#[test]
fn a_jump_host_whose_process_ended_early_is_classed_as_usual() {
    const GONE: &str = "banner exchange: Connection to UNKNOWN port 65535: Broken pipe\n";
    let refused = "ssh: connect to host 127.0.0.1 port 7799: Connection refused\n";
    check(
        JUMP,
        &format!("{refused}{GONE}"),
        JumpRefused,
        "jump host: ssh: connect to host",
    );
    let silent = "ssh: connect to host 127.0.0.1 port 7799: Connection timed out\n";
    check(JUMP, &format!("{silent}{GONE}"), JumpUnreachable, "jump host: ");
    let hung_up = "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 127.0.0.1 port 7709\n";
    let hung_up = format!("{hung_up}{GONE}");
    check(
        JUMP,
        &hung_up,
        JumpRefused,
        "jump host: kex_exchange_identification",
    );
    assert!(diagnose(&hung_up, JUMP, None).hung_up_at_once);
}

#[test]
fn the_side_without_a_common_algorithm_is_named() {
    let direct = "Unable to negotiate with 127.0.0.1 port 7702: no matching host key type found. Their offer: ssh-ed25519\n";
    check(DIRECT, direct, Protocol, "no matching host key type");
    check(JUMP, &format!("{direct}{LOST}"), JumpRefused, "no matching");
    let device = "Unable to negotiate with UNKNOWN port 65535: no matching key exchange method found. Their offer: x\n";
    check(JUMP, &format!("{AUTHENTICATED}{device}"), Protocol, "no matching");
}

#[test]
fn quoted_text_is_escaped_and_cut() {
    let stderr = format!("\x1b[2J{}\n", "x".repeat(1000));
    let message = diagnose(&stderr, DIRECT, None).failure.message;
    assert!(message.starts_with("\\x1b[2Jxxx") && message.len() < 320);
    check(DIRECT, "", Protocol, "ssh ended without a message");
}

const DEVICE_LET_IN: &str = "Authenticated to hive (via proxy) using \"publickey\".\n";
const BOOTING: &str = "System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8).\n\n";
const EXPIRED: &str = "Your account has expired; please contact your system administrator.\n";
const CHANGE: &str = "You are required to change your password immediately (administrator enforced).\n";
const CLOSED: &str = "Connection closed by 127.0.0.1 port 7702\n";
const CLOSED_THROUGH_JUMP: &str = "Connection closed by UNKNOWN port 65535\n";

#[track_caller]
fn check_exit(status: i32, stderr: &str, class: FailureClass, quote: &str) -> DeviceFailure {
    let failure = diagnose(stderr, DIRECT, Some(status)).failure;
    assert_eq!(failure.class, class, "{stderr}");
    assert!(failure.message.contains(quote), "{}", failure.message);
    failure
}

#[test]
fn a_host_that_is_starting_up_is_named() {
    check(DIRECT, &format!("{BOOTING}{CLOSED}"), StartingUp, "booting up");
    let device = format!("{AUTHENTICATED}{BOOTING}{CLOSED_THROUGH_JUMP}");
    check(JUMP, &device, StartingUp, "booting up");
    let over_shared_jump = format!("{BOOTING}{CLOSED_THROUGH_JUMP}");
    check(JUMP, &over_shared_jump, StartingUp, "booting up");
    let jump = format!("{BOOTING}{CLOSED}{LOST}");
    check(JUMP, &jump, JumpUnreachable, "jump host: ");
    check_exit(254, AUTHENTICATED, StartingUp, "/etc/nologin");
}

#[test]
fn a_refused_account_is_quoted_in_the_servers_words() {
    check(
        DIRECT,
        &format!("{EXPIRED}{CLOSED}"),
        AuthenticationRefused,
        "account has expired",
    );
    let jump = format!("{EXPIRED}{CLOSED}{LOST}");
    check(JUMP, &jump, JumpRefused, "jump host: Your account has expired");
    let failure = check_exit(
        1,
        &format!("{CHANGE}{AUTHENTICATED}"),
        AuthenticationRefused,
        "change your password",
    );
    assert!(failure.remedy().contains("passwd"), "{failure:?}");
    let unnamed = format!("Welcome.\nclosed for the night\n{CLOSED}");
    check(DIRECT, &unnamed, Protocol, "closed for the night");
    let remedy = diagnose(&unnamed, DIRECT, Some(255)).failure.remedy;
    assert!(remedy.is_some_and(|remedy| remedy.contains("pam_access")));
}

#[test]
fn lines_before_a_login_are_no_reason_for_a_failure_after_it() {
    let banner =
        format!("{EXPIRED}{BOOTING}{CHANGE}channel 0: open failed: connect failed: No route to host\n");
    let end = "Connection to hive closed by remote host.\n";
    for login in [AUTHENTICATED, DEVICE_LET_IN] {
        let stderr = format!("{banner}{login}{end}");
        check(JUMP, &stderr, Protocol, "closed by remote host");
        check(DIRECT, &stderr, Protocol, "closed by remote host");
    }
    check_exit(
        3,
        &format!("{banner}{AUTHENTICATED}"),
        AuthenticationRefused,
        "change your",
    );
    check_exit(3, &format!("{EXPIRED}{AUTHENTICATED}"), Protocol, "exit status 3");
}

#[test]
fn a_banner_with_ssh_messages_within_its_lines_is_no_reason() {
    let banner = "Idle connections are timed out.\nssh (OpenSSH): connect to host is logged\nAsk for help: Permission denied (by policy) is final\nsee: kex_exchange_identification: \n";
    let refused = "root@hive: Permission denied (publickey).\r\n";
    check(
        DIRECT,
        &format!("{banner}{refused}"),
        AuthenticationRefused,
        "root@hive",
    );
    check(DIRECT, &format!("{banner}{CLOSED}"), Protocol, "see: kex");
    // Whole lines of ssh's, but not ended as ssh ends them.
    let lines = "channel 0: open failed: connect failed: Connection refused\nConnection to hive port 22 timed out\nAuthenticated to hive (via proxy)\n";
    check(
        JUMP,
        &format!("{lines}{refused}"),
        AuthenticationRefused,
        "root@hive",
    );
    assert!(!diagnose(&format!("{banner}{CLOSED}"), DIRECT, None).hung_up_at_once);
}

#[test]
fn a_device_that_cannot_serve_sftp_is_known_by_its_exit_status() {
    check_exit(127, AUTHENTICATED, NoSftpServer, "not there (exit status 127)");
    check_exit(
        126,
        AUTHENTICATED,
        NoSftpServer,
        "cannot be run (exit status 126)",
    );
    let dropbear = format!("{AUTHENTICATED}bash: line 1: /usr/lib/sftp-server: No such file or directory\n");
    check_exit(127, &dropbear, NoSftpServer, "No such file or directory");
    let subsystem = format!("{AUTHENTICATED}subsystem request failed on channel 0\n");
    check(DIRECT, &subsystem, NoSftpServer, "subsystem request failed");
    check_exit(
        1,
        AUTHENTICATED,
        Protocol,
        "the device ended SFTP with exit status 1",
    );
}

#[test]
fn only_an_unexplained_end_after_login_suggests_going_without_a_shell() {
    let hung_up = "Received disconnect from 127.0.0.1 port 7108:11: Application disconnected\nDisconnected from 127.0.0.1 port 7108\n";
    assert!(diagnose(&format!("{AUTHENTICATED}{hung_up}"), DIRECT, Some(255)).hung_up_after_login);
    assert!(!diagnose(hung_up, DIRECT, Some(255)).hung_up_after_login);
    let silent = "Timeout, server hive not responding.\n";
    assert!(!diagnose(&format!("{AUTHENTICATED}{silent}"), DIRECT, Some(255)).hung_up_after_login);
    assert!(!diagnose(AUTHENTICATED, DIRECT, Some(127)).hung_up_after_login);
}
