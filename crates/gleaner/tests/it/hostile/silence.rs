//! Devices that fall silent, or give one byte at a time, at every stage there is.

use sftp::codec::Request;

use super::door::{ClearPacket, Door, Manner};
use super::lie::{Answer, Character, FilesLie, Greeting, Shell, Speech, Stage};
use super::siege::{Case, Fate, Siege, Watch, Way, case};
use crate::recording::content;

const TIMED_OUT: Fate = Fate::Fails("timed-out");
const STALLED: Fate = Fate::Stalls(Watch::Silence);
const PROTOCOL: Fate = Fate::Fails("protocol");

/// Every way to keep somebody waiting at the door.
fn doors() -> Vec<Case> {
    use ClearPacket::{KeyExchange, NewKeys, Proposal, Version};
    let after = |packet, manner| Character::door(Door::After(packet, manner));
    let greeting = |greeting| Character::files(FilesLie::greeting(greeting));
    vec![
        case("silent after TCP accept", Character::door(Door::Mute), TIMED_OUT),
        case(
            "the version in crumbs",
            Character::door(Door::VersionInCrumbs),
            TIMED_OUT,
        ),
        case(
            "silent after the version",
            after(Version, Manner::Silent),
            TIMED_OUT,
        ),
        case(
            "silent after its proposal",
            after(Proposal, Manner::Silent),
            TIMED_OUT,
        ),
        case(
            "silent amid the key exchange",
            Character::door(Door::AmidKeyExchange),
            TIMED_OUT,
        ),
        case(
            "silent after the key exchange",
            after(KeyExchange, Manner::Silent),
            TIMED_OUT,
        ),
        case(
            "silent after the new keys",
            after(NewKeys, Manner::Silent),
            TIMED_OUT,
        ),
        case(
            "crumbs after its proposal",
            after(Proposal, Manner::InCrumbs),
            TIMED_OUT,
        ),
        case(
            "crumbs after the new keys",
            after(NewKeys, Manner::InCrumbs),
            TIMED_OUT,
        ),
        case(
            "silent in authentication",
            Character::door(Door::MuteInAuthentication),
            TIMED_OUT,
        ),
        case(
            "a long banner, then silent",
            Character::door(Door::LongBanner),
            TIMED_OUT,
        ),
        case(
            "silent when a session is opened",
            Character::door(Door::MuteAtSession),
            TIMED_OUT,
        ),
        case("no word of SFTP", greeting(Greeting::Silence), TIMED_OUT),
        case(
            "SFTP's first word in crumbs",
            greeting(Greeting::Crumbs),
            TIMED_OUT,
        ),
    ]
}

#[test]
fn whoever_is_silent_or_slow_at_the_door_is_told_as_timed_out() {
    Siege::of(doors(), Way::Direct).holds(5);
}

#[test]
fn whoever_is_silent_or_slow_at_the_door_behind_a_jump_host_is_told_as_timed_out() {
    Siege::of(doors(), Way::ThroughJump).holds(5);
}

#[test]
fn whoever_says_something_else_than_ssh_at_the_door_is_told_as_breaking_the_protocol() {
    let endless = Greeting::Endless(b"Welcome, welcome, welcome!\n");
    let greeting = |greeting| Character::files(FilesLie::greeting(greeting));
    let cases = vec![
        case("lines without end", Character::door(Door::EndlessLines), PROTOCOL),
        case("a line without end", Character::door(Door::EndlessLine), PROTOCOL),
        case("another protocol", Character::door(Door::Garbage), PROTOCOL),
        case("a packet of 4 GiB", Character::door(Door::HugePacket), PROTOCOL),
        case("a greeting without end", greeting(endless), PROTOCOL),
        case(
            "a version of 4 GiB",
            greeting(Greeting::Raw(&[0xff; 64])),
            PROTOCOL,
        ),
        case(
            "SFTP version 2",
            greeting(Greeting::Raw(b"\0\0\0\x05\x02\0\0\0\x02")),
            PROTOCOL,
        ),
        case(
            "a banner with words of ssh",
            Character::door(Door::LyingBanner),
            Fate::Empties,
        ),
    ];
    Siege::of(cases, Way::Direct).holds(1).does_not_say("\u{1b}");
}

#[test]
fn a_slow_link_is_no_silence() {
    let siege = Siege::of(Vec::new(), Way::Direct)
        .set("device1.stall_timeout", "3s")
        .set("ssh.connect_timeout", "20s");
    let fleet = &siege.fleet;
    fleet.tap(1).device(1).record("film", content("film", 300_000));
    // One answer takes more than twice `stall_timeout`, and others stand in line behind it.
    fleet.device(1).link(|tap| tap.slow_to(40_000));
    fleet.sweep().exits(0);
    fleet.assert_all_gathered();
}

/// Each kind of request that a device without a shell is asked.
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

fn requests(answer: fn(sftp::codec::Response) -> Answer) -> Vec<Case> {
    let at = |kind| case(kind, Character::files_only(FilesLie::at(kind, answer)), STALLED);
    REQUESTS.map(at).into()
}

#[test]
fn silence_after_any_sftp_request_is_told_as_stalled() {
    let mut cases = requests(|_| Answer::Silence);
    // Nothing waits for it, but what is about to be opened.
    let limits = FilesLie::at("limits", |_| Answer::Silence);
    cases.push(case("limits", Character::files_only(limits), STALLED));
    Siege::of(cases, Way::Direct).set("fleet.parallel", 32).holds(1);
}

#[test]
fn silence_amid_an_answer_or_an_answer_left_out_is_told_as_stalled() {
    let mut cases = Vec::new();
    for kind in ["readdir", "read", "lstat"] {
        cases.push(case(
            "half of it",
            Character::files_only(FilesLie::at(kind, Answer::Half)),
            STALLED,
        ));
        let none = FilesLie::at(kind, |_| Answer::None);
        cases.push(case("left out", Character::files_only(none), STALLED));
    }
    Siege::of(cases, Way::Direct).set("fleet.parallel", 32).holds(1);
}

#[test]
fn whoever_answers_any_sftp_request_byte_by_byte_is_told_as_stalled() {
    let cases = requests(Answer::Crumbs);
    Siege::of(cases, Way::Direct).set("fleet.parallel", 32).holds(1);
}

/// Each kind of request that a device with a shell is asked by way of it.
const VERBS: [&str; 6] = ["survey", "inspect", "rename", "stream", "digest", "remove"];

fn verbs(speech: Speech) -> Vec<Case> {
    let at = |verb| case(verb, Character::shell(Stage::Verb(verb), speech), STALLED);
    VERBS.map(at).into()
}

#[test]
fn silence_at_any_stage_of_the_script_is_told_as_stalled() {
    let mut cases = verbs(Speech::Silence);
    for (verb, bytes) in [("survey", 40), ("inspect", 40), ("stream", 700), ("digest", 10)] {
        let amid = Character::shell(Stage::Amid(verb, bytes), Speech::Silence);
        cases.push(case("silent amid an answer", amid, STALLED));
    }
    Siege::of(cases, Way::Direct).holds(1);
}

#[test]
fn whoever_answers_any_request_of_the_script_byte_by_byte_is_told_as_stalled() {
    Siege::of(verbs(Speech::Crumbs), Way::Direct).holds(1);
}

#[test]
fn whoever_never_gets_to_the_scripts_first_word_is_served_without_a_shell() {
    let opening = |speech| Character::shell(Stage::Opening, speech);
    let deaf = Character {
        shell: Shell::None,
        ..Character::honest()
    };
    let cases = vec![
        case("silent", opening(Speech::Silence), Fate::Waits),
        case("in crumbs", opening(Speech::Crumbs), Fate::Waits),
        case(
            "noise without end",
            opening(Speech::Endless(b"low voltage\n")),
            Fate::Waits,
        ),
        case(
            "noise now and then",
            opening(Speech::NowAndThen(b"low voltage\n")),
            Fate::Waits,
        ),
        case(
            "errors without end",
            opening(Speech::EndlessErrors(b"low voltage\n")),
            Fate::Waits,
        ),
        case("hangs up", opening(Speech::HangUp), Fate::Waits),
        case("executes nothing", deaf, Fate::Empties),
    ];
    Siege::of(cases, Way::Direct).holds(0);
}

#[test]
fn a_file_over_which_a_device_falls_silent_keeps_no_other_from_coming_home() {
    let over_one = FilesLie::answers(|request, response| match request {
        Request::Open { path, .. } if path.ends_with(b"a.jpg") => Answer::None,
        _ => Answer::Response(response),
    });
    let cases = vec![case("silent over one", Character::files_only(over_one), STALLED)];
    let siege = Siege::of(cases, Way::Direct);
    siege.holds(1);
    siege.leaves_only("day/a.jpg", 5).says("it was to send day/a.jpg");
}
