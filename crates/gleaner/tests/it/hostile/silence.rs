//! Devices that fall silent, or send one byte at a time, at every stage.

use bytes::Bytes;
use sftp::codec::{Request, Response};
use sim::Service;
use sim::hostile::{
    Answer, FalseOutput, HandshakePoint, HostileBehaviour, LoginStep, ScriptPoint, SftpOverride,
};

use super::fleet::{HostileFleet, Route};
use super::lying_device::{Case, ExpectedEnd, TimeLimit, case};
use super::profile::{DeviceProfile, endless, on_request, once};
use crate::context::SETTLE;
use crate::recording::content;

const TIMED_OUT: ExpectedEnd = ExpectedEnd::Fails("timed-out");
/// The device was reached and accepted the login, so the operator must act.
const SILENT_AFTER_LOGIN: ExpectedEnd = ExpectedEnd::Fails("stalled");
const STALLED: ExpectedEnd = ExpectedEnd::Stalls(TimeLimit::Silence);
const PROTOCOL: ExpectedEnd = ExpectedEnd::Fails("protocol");

/// Every way to delay a login.
fn slow_logins() -> Vec<Case> {
    use FalseOutput::{Silence, Trickle};
    use HandshakePoint::{Accepted, AmidKeyExchange, KeyExchange, NewKeys, Proposal, Version};
    let in_handshake = [
        ("silent after TCP accept", Accepted, Silence),
        ("the version in crumbs", Accepted, Trickle),
        ("silent after the version", Version, Silence),
        ("silent after its proposal", Proposal, Silence),
        ("silent amid the key exchange", AmidKeyExchange, Silence),
        ("silent after the key exchange", KeyExchange, Silence),
        ("silent after the new keys", NewKeys, Silence),
        ("crumbs after its proposal", Proposal, Trickle),
        ("crumbs after the new keys", NewKeys, Trickle),
    ];
    let in_handshake =
        in_handshake.map(|(label, from, output)| (label, DeviceProfile::in_handshake(from, output)));
    let long_banner = DeviceProfile::with_shell(HostileBehaviour {
        mute_at: Some(LoginStep::Authentication),
        banner: Some("All work and no play makes a dull banner.\r\n".repeat(5_000)),
        ..HostileBehaviour::default()
    });
    let in_authentication = [
        ("silent in authentication", mute_at(LoginStep::Authentication)),
        ("a long banner, then silent", long_banner),
    ];
    let all = in_handshake.into_iter().chain(in_authentication);
    all.map(|(label, profile)| case(label, profile, TIMED_OUT))
        .collect()
}

fn mute_at(step: LoginStep) -> DeviceProfile {
    DeviceProfile::with_shell(HostileBehaviour {
        mute_at: Some(step),
        ..HostileBehaviour::default()
    })
}

#[test]
fn a_device_that_is_silent_or_slow_after_the_login_is_stalled() {
    let cases = [
        ("silent when a session is opened", mute_at(LoginStep::Session)),
        ("no word of SFTP", DeviceProfile::greeting(FalseOutput::Silence)),
        (
            "SFTP's first word in crumbs",
            DeviceProfile::greeting(FalseOutput::Trickle),
        ),
    ];
    let cases = cases.map(|(label, profile)| case(label, profile, SILENT_AFTER_LOGIN));
    HostileFleet::of(cases.into(), Route::ThroughJump)
        .set("ssh.connect_timeout", "3s")
        .sweeps_safely(1);
}

#[test]
fn a_server_that_hangs_up_over_a_command_is_served_by_sftp_alone() {
    let hanging_up = DeviceProfile::with_shell(HostileBehaviour {
        hangs_up_on_commands: true,
        ..HostileBehaviour::default()
    });
    let hostile = HostileFleet::of(
        vec![case("hangs up over a command", hanging_up, ExpectedEnd::Waits)],
        Route::Direct,
    );
    hostile.sweeps_safely(0);
    let shortcomings = hostile.fleet.status_of("device2")["shortcomings"].to_string();
    assert!(
        shortcomings.contains("hangs up when a command is requested"),
        "{shortcomings}"
    );
    std::thread::sleep(SETTLE);
    hostile
        .fleet
        .gleaner(["-vv", "run"])
        .exits(0)
        .says("device2: released 4 files")
        .does_not_say("hangs up over a command");
}

#[test]
fn a_device_silent_or_slow_before_login_is_reported_as_timed_out() {
    HostileFleet::of(slow_logins(), Route::Direct)
        .set("ssh.connect_timeout", "3s")
        .sweeps_safely(5);
}

#[test]
fn behind_a_jump_a_device_silent_or_slow_before_login_has_timed_out() {
    HostileFleet::of(slow_logins(), Route::ThroughJump)
        .set("ssh.connect_timeout", "3s")
        .sweeps_safely(5);
}

#[test]
fn a_device_that_does_not_speak_ssh_is_reported_as_breaking_the_protocol() {
    let in_handshake = |output| DeviceProfile::in_handshake(HandshakePoint::Accepted, output);
    // ssh's output of this banner looks like messages of ssh itself.
    let banner = "Authenticated to jump ([127.0.0.1]:22).\r\n\u{1b}[2J\u{1b}]0;owned\u{7}@@@ WARNING: all is well @@@\r\n";
    let lying_banner = DeviceProfile::with_shell(HostileBehaviour {
        banner: Some(banner.to_owned()),
        ..HostileBehaviour::default()
    });
    let lines = endless(b"Welcome to a very talkative host!\r\n");
    let another_protocol = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let huge_packet = [&b"SSH-2.0-huge\r\n"[..], &[0xff; 64]].concat();
    let greeting = endless(b"Welcome, welcome, welcome!\n");
    let version_2 = once(b"\0\0\0\x05\x02\0\0\0\x02");
    let cases = vec![
        case("lines without end", in_handshake(lines), PROTOCOL),
        case(
            "a line without end",
            in_handshake(endless(&[b'x'; 4096])),
            PROTOCOL,
        ),
        case(
            "another protocol",
            in_handshake(FalseOutput::Last(another_protocol)),
            PROTOCOL,
        ),
        case(
            "a packet of 4 GiB",
            in_handshake(FalseOutput::Once(huge_packet.into())),
            PROTOCOL,
        ),
        case(
            "a greeting without end",
            DeviceProfile::greeting(greeting),
            PROTOCOL,
        ),
        case(
            "a version of 4 GiB",
            DeviceProfile::greeting(once(&[0xff; 64])),
            PROTOCOL,
        ),
        case("SFTP version 2", DeviceProfile::greeting(version_2), PROTOCOL),
        case("a banner with words of ssh", lying_banner, ExpectedEnd::Empties),
    ];
    HostileFleet::of(cases, Route::Direct)
        .sweeps_safely(1)
        .does_not_say("\u{1b}");
}

#[test]
fn a_slow_link_is_not_a_stall() {
    let hostile = HostileFleet::of(Vec::new(), Route::Direct)
        .set("device1.stall_timeout", "3s")
        .set("ssh.connect_timeout", "20s");
    let fleet = &hostile.fleet;
    fleet.tap(1).device(1).record("film", content("film", 300_000));
    // One reply takes more than twice `stall_timeout`, and others are queued behind it.
    fleet.device(1).link(|tap| tap.slow_to(40_000));
    fleet.sweep().exits(0);
    fleet.assert_all_gathered();
}

/// Each kind of request that a device without a shell receives.
const REQUESTS: [&str; 10] = [
    "statvfs",
    "opendir",
    "readdir",
    "lstat",
    "mkdir",
    "posix-rename",
    "open",
    "read",
    "close",
    "remove",
];

fn requests(answer: fn(Response) -> Answer) -> Vec<Case> {
    let false_reply = |kind| case(kind, DeviceProfile::sftp_only(on_request(kind, answer)), STALLED);
    REQUESTS.map(false_reply).into()
}

#[test]
fn silence_after_any_sftp_request_is_reported_as_stalled() {
    let mut cases = requests(|_| Answer::Silence);
    // Only files that are about to be opened wait for this reply.
    let limits = on_request("limits", |_| Answer::Silence);
    cases.push(case("limits", DeviceProfile::sftp_only(limits), STALLED));
    HostileFleet::of(cases, Route::Direct)
        .set("fleet.parallel", 32)
        .sweeps_safely(1);
}

#[test]
fn half_a_reply_or_a_missing_reply_is_reported_as_stalled() {
    let mut cases = Vec::new();
    for kind in ["readdir", "read", "lstat"] {
        cases.push(case(
            "half of it",
            DeviceProfile::sftp_only(on_request(kind, Answer::Half)),
            STALLED,
        ));
        let none = on_request(kind, |_| Answer::None);
        cases.push(case("left out", DeviceProfile::sftp_only(none), STALLED));
    }
    HostileFleet::of(cases, Route::Direct)
        .set("fleet.parallel", 32)
        .sweeps_safely(1);
}

#[test]
fn any_sftp_reply_that_comes_byte_by_byte_is_reported_as_stalled() {
    let cases = requests(Answer::Trickle);
    HostileFleet::of(cases, Route::Direct)
        .set("fleet.parallel", 32)
        .sweeps_safely(1);
}

/// Each kind of request that a device with a shell receives through it.
const VERBS: [&str; 6] = ["survey", "inspect", "rename", "stream", "digest", "remove"];

fn verbs(output: &FalseOutput) -> Vec<Case> {
    let false_reply = |verb| {
        case(
            verb,
            DeviceProfile::in_script(ScriptPoint::Verb(verb), output.clone()),
            STALLED,
        )
    };
    VERBS.map(false_reply).into()
}

#[test]
fn silence_at_any_stage_of_the_script_is_reported_as_stalled() {
    let mut cases = verbs(&FalseOutput::Silence);
    for (verb, bytes) in [("survey", 40), ("inspect", 40), ("stream", 700), ("digest", 10)] {
        let amid = DeviceProfile::in_script(ScriptPoint::Amid(verb, bytes), FalseOutput::Silence);
        cases.push(case("silent amid an answer", amid, STALLED));
    }
    HostileFleet::of(cases, Route::Direct).sweeps_safely(1);
}

#[test]
fn any_reply_of_the_script_that_comes_byte_by_byte_is_stalled() {
    HostileFleet::of(verbs(&FalseOutput::Trickle), Route::Direct).sweeps_safely(1);
}

#[test]
fn a_device_that_never_starts_the_script_is_served_without_a_shell() {
    let opening = |output| DeviceProfile::in_script(ScriptPoint::Opening, output);
    let without_commands = DeviceProfile {
        service: Service::SftpOnly,
        ..DeviceProfile::with_shell(HostileBehaviour::default())
    };
    let noise = Bytes::from_static(b"low voltage\n");
    let cases = vec![
        case("silent", opening(FalseOutput::Silence), ExpectedEnd::Waits),
        case("in crumbs", opening(FalseOutput::Trickle), ExpectedEnd::Waits),
        case(
            "noise without end",
            opening(FalseOutput::Endless(noise.clone())),
            ExpectedEnd::Waits,
        ),
        case(
            "noise now and then",
            opening(FalseOutput::Periodic(noise.clone())),
            ExpectedEnd::Waits,
        ),
        case(
            "errors without end",
            opening(FalseOutput::EndlessStderr(noise)),
            ExpectedEnd::Waits,
        ),
        case(
            "hangs up",
            opening(FalseOutput::Last(Bytes::new())),
            ExpectedEnd::Waits,
        ),
        case("executes nothing", without_commands, ExpectedEnd::Empties),
    ];
    HostileFleet::of(cases, Route::Direct)
        .set("ssh.connect_timeout", "3s")
        .sweeps_safely(0);
}

#[test]
fn a_file_that_stalls_the_device_blocks_no_other_file() {
    let over_one = SftpOverride::new(|request, honest| match &request {
        Request::Open { path, .. } if path.ends_with(b"a.jpg") => Answer::None,
        _ => Answer::Response(honest(request)),
    });
    let cases = vec![case(
        "silent over one",
        DeviceProfile::sftp_only(over_one),
        STALLED,
    )];
    let hostile = HostileFleet::of(cases, Route::Direct);
    hostile.sweeps_safely(1);
    hostile
        .leaves_only("day/a.jpg", 5)
        .says("while fetching day/a.jpg");
}
