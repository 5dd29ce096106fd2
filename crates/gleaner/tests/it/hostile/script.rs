//! False replies of a shell and of the tools that it runs.

use std::time::Duration;

use bytes::Bytes;
use sim::hostile::{FalseOutput, ScriptPoint};

use super::fleet::{HostileFleet, Route};
use super::lying_device::{Case, ExpectedEnd, TimeLimit, case};
use super::profile::{self, DeviceProfile};

const PROTOCOL: ExpectedEnd = ExpectedEnd::Fails("protocol");
/// The end of the reply might still come, so the pass ends as stalled.
const STALLS: ExpectedEnd = ExpectedEnd::Stalls(TimeLimit::Silence);

/// The script replies to this request with these bytes, once or endlessly.
fn once(verb: &'static str, bytes: &'static [u8]) -> DeviceProfile {
    DeviceProfile::in_script(ScriptPoint::Verb(verb), profile::once(bytes))
}

fn endless(verb: &'static str, bytes: &'static [u8]) -> DeviceProfile {
    DeviceProfile::in_script(ScriptPoint::Verb(verb), profile::endless(bytes))
}

#[test]
fn an_invalid_reply_of_the_shell_is_reported_as_breaking_the_protocol() {
    let cases: Vec<Case> = vec![
        case(
            "a listing of garbage",
            once("survey", b"total 42\ndrwxr-xr-x  2 pi pi 4096 .\n\0"),
            PROTOCOL,
        ),
        case(
            "a listing of numbers that are none",
            once("survey", b"f f 1 2 x 4 5 6 a\0"),
            PROTOCOL,
        ),
        case(
            "a record without end",
            endless("survey", b"f f 1 2 3 4.0 5.0 6 name"),
            PROTOCOL,
        ),
        case(
            "open files without end",
            endless("inspect", b"o 2049 7 81a4\0"),
            PROTOCOL,
        ),
        case(
            "mappings without end",
            endless("inspect", b"m 7f-80 rw-s 0 08:01 7 /a\n\0"),
            PROTOCOL,
        ),
        case("leases without end", endless("inspect", b"k c\0"), PROTOCOL),
        case(
            "a file system that is none",
            once("survey", b"l /dev/sda1\0"),
            PROTOCOL,
        ),
        case("file systems without end", endless("survey", b"l 7\0"), PROTOCOL),
        case("complete scans without end", endless("survey", b"w\0"), PROTOCOL),
        case(
            "troubles without end",
            endless("survey", b"i find: './a': Input/output error\0"),
            PROTOCOL,
        ),
        case(
            "a look at another file",
            once("inspect", b"s 2049 7 5 1.0 1.0 0 81a4 /etc/passwd\0E{tag}\0"),
            PROTOCOL,
        ),
        case("a listing for a look", once("inspect", b"u day\0"), PROTOCOL),
        case(
            "the end of the shell",
            DeviceProfile::in_script(ScriptPoint::Verb("inspect"), FalseOutput::Last(Bytes::new())),
            PROTOCOL,
        ),
    ];
    let outcome = HostileFleet::of(cases, Route::Direct).sweeps_safely(1);
    assert!(
        outcome.stderr.len() < 100_000,
        "{} bytes of log",
        outcome.stderr.len()
    );
}

#[test]
fn invalid_small_files_or_digests_are_reported_as_breaking_the_protocol() {
    let cases: Vec<Case> = vec![
        case("renames without end", endless("rename", b"1"), PROTOCOL),
        case(
            "more renames than asked for",
            once("rename", &[b'1'; 5_000]),
            STALLS,
        ),
        case("files of garbage", once("stream", &[b'g'; 1024]), PROTOCOL),
        case("a length below zero", once("stream", b"-0000001"), PROTOCOL),
        case(
            "empty files without end",
            endless("stream", b"00000000"),
            PROTOCOL,
        ),
        case(
            "files passed over without end",
            endless("stream", b"--------"),
            PROTOCOL,
        ),
        case("digests without end", endless("digest", b"no digest\n"), PROTOCOL),
        case(
            "a digest without end",
            endless("digest", b"0123456789abcdef"),
            PROTOCOL,
        ),
    ];
    HostileFleet::of(cases, Route::Direct).sweeps_safely(1);
}

const ANOTHER_DIGEST: &str = r#"
    case $# in 3) exec /usr/bin/openssl "$@" ;; esac
    shift 3
    for file; do
        printf '%064d *%s\n' 7 "$file"
    done"#;
const NO_DIGEST: &str = r#"case $# in 3) exec /usr/bin/openssl "$@" ;; esac"#;
const OTHER_SIZES: &str = r#"
    case "$*" in *%n*) /usr/bin/stat "$@" | sed -z 's/^\(s [0-9]* [0-9]*\) [0-9]*/\1 77/' ;;
    *) exec /usr/bin/stat "$@" ;; esac"#;
const KILLED_AMID_A_FILE: &str = r#"
    case $2 in *sysread*) ;; *) exec /usr/bin/perl "$@" ;; esac
    /usr/bin/perl "$@" | head -c 2000
    kill -KILL $$"#;
/// Announces 4 GiB, and sends zeros as long as gleaner reads.
const GROWN_WITHOUT_BOUND: &str = r#"
    case $2 in *sysread*) ;; *) exec /usr/bin/perl "$@" ;; esac
    printf ffffffff
    exec cat /dev/zero"#;
const ONLY_SAYS_RENAMED: &str = r#"
    case $2 in *STDIN*rename*) ;; *) exec /usr/bin/perl "$@" ;; esac
    tr -dc '\0' | tr '\0' '1' | head -c 3"#;

#[test]
fn a_tool_that_lies_releases_nothing_that_is_not_stored() {
    let partly = |label, tools| case(label, DeviceProfile::with_tools(tools), ExpectedEnd::Partly);
    let empties = |label, tools| case(label, DeviceProfile::with_tools(tools), ExpectedEnd::Empties);
    let ends = |label, tools| case(label, DeviceProfile::with_tools(tools), ExpectedEnd::Ends);
    let cases = vec![
        partly("another digest", &[("openssl", ANOTHER_DIGEST)]),
        partly("no digest", &[("openssl", NO_DIGEST)]),
        case(
            "other sizes",
            DeviceProfile::with_tools(&[("stat", OTHER_SIZES)]),
            ExpectedEnd::Waits,
        ),
        empties(
            "a perl that is killed amid a file",
            &[("perl", KILLED_AMID_A_FILE)],
        ),
        case(
            "a file that grows without bound",
            DeviceProfile::with_tools(&[("perl", GROWN_WITHOUT_BOUND)]),
            ExpectedEnd::Partly,
        ),
        ends("a rename that is only said", &[("perl", ONLY_SAYS_RENAMED)]),
        ends("a removal that is only said", &[("rm", "true")]),
        case(
            "a clock of the year 2286",
            DeviceProfile::with_tools(&[("date", "echo 9999999999.0")]),
            ExpectedEnd::Waits,
        ),
        case(
            "no clock",
            DeviceProfile::with_tools(&[("date", "echo soon")]),
            ExpectedEnd::Waits,
        ),
        empties(
            "a disk of nonsense",
            &[("df", "echo / -1 99999999999999999999 x 999% /")],
        ),
        empties("another user", &[("id", "echo 4294967295")]),
    ];
    HostileFleet::of(cases, Route::ThroughJump)
        .with_stall_timeout(Duration::from_secs(10))
        .sweeps_safely(1);
}

const SILENT_OVER_ONE: &str = r#"
    case $2 in *sysread*) ;; *) exec /usr/bin/perl "$@" ;; esac
    exec /usr/bin/perl -e "$(printf %s "$2" | sed 's/chomp [$]name;/chomp $name; sleep 1000 if $name =~ m{a.jpg};/')""#;

#[test]
fn a_file_that_stalls_the_small_file_stream_blocks_no_other_file() {
    let profile = DeviceProfile::with_tools(&[("perl", SILENT_OVER_ONE)]);
    let hostile = HostileFleet::of(vec![case("silent over one", profile, STALLS)], Route::ThroughJump)
        .with_stall_timeout(Duration::from_secs(3));
    hostile.sweeps_safely(1);
    // `c.jpg` was read before it and buffered, `day/b.jpg` comes after it: any of them might be the cause.
    hostile
        .leaves_only("day/a.jpg", 5)
        .says("while fetching day/a.jpg");
}
