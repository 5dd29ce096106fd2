//! Lies of a shell and of the tools that it runs.

use std::time::Duration;

use super::lie::{Character, Speech, Stage};
use super::siege::{Case, Fate, Siege, Watch, Way, case};

const PROTOCOL: Fate = Fate::Fails("protocol");
/// It might yet have said where its answer ends.
const STALLS: Fate = Fate::Stalls(Watch::Silence);

/// The script is asked this, and answers that, once or without end.
fn once(verb: &'static str, bytes: &'static [u8]) -> Character {
    Character::shell(Stage::Verb(verb), Speech::Once(bytes))
}

fn endless(verb: &'static str, bytes: &'static [u8]) -> Character {
    Character::shell(Stage::Verb(verb), Speech::Endless(bytes))
}

/// An entry of an archive that is no file, and has so many bytes.
const OTHER_OF_64_GIB: &[u8; 512] = &header(b"777777777777", b'x');
const OTHER_OF_NOTHING: &[u8; 512] = &header(b"000000000000", b'x');
const LONG_NAME_OF_64_GIB: &[u8; 512] = &header(b"777777777777", b'L');
const FILE_OF_ANOTHER_NAME: &[u8; 512] = &header(b"000000000001", b'0');

/// A header as GNU tar writes it: a name, and where its size, its checksum and its kind stand.
const fn header(size: &[u8; 12], kind: u8) -> [u8; 512] {
    let mut block = [0; 512];
    block[0] = b'n';
    let mut at = 0;
    while at < 12 {
        block[124 + at] = size[at];
        at += 1;
    }
    block[156] = kind;
    // The sum of all bytes, with blanks in place of the checksum, in octal digits.
    let mut sum = 8 * 32_u32;
    at = 0;
    while at < 512 {
        sum += block[at] as u32;
        at += 1;
    }
    at = 6;
    while at > 0 {
        at -= 1;
        block[148 + at] = b'0' + (sum % 8) as u8;
        sum /= 8;
    }
    block[155] = b' ';
    block
}

#[test]
fn an_answer_of_the_shell_that_is_none_is_told_as_breaking_the_protocol() {
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
            Character::shell(Stage::Verb("inspect"), Speech::HangUp),
            PROTOCOL,
        ),
    ];
    let outcome = Siege::of(cases, Way::Direct).holds(1);
    assert!(
        outcome.stderr.len() < 100_000,
        "{} bytes of log",
        outcome.stderr.len()
    );
}

#[test]
fn an_archive_or_a_digest_that_is_none_is_told_as_breaking_the_protocol() {
    let cases: Vec<Case> = vec![
        case("renames without end", endless("rename", b"1"), PROTOCOL),
        case(
            "more renames than asked for",
            once("rename", &[b'1'; 5_000]),
            STALLS,
        ),
        case("an archive of garbage", once("stream", &[b'g'; 1024]), PROTOCOL),
        case(
            "an archive of another file",
            once("stream", FILE_OF_ANOTHER_NAME),
            PROTOCOL,
        ),
        case("an entry of 64 GiB", endless("stream", OTHER_OF_64_GIB), PROTOCOL),
        case(
            "entries of nothing without end",
            endless("stream", OTHER_OF_NOTHING),
            PROTOCOL,
        ),
        case(
            "a name of 64 GiB",
            endless("stream", LONG_NAME_OF_64_GIB),
            PROTOCOL,
        ),
        case("digests without end", endless("digest", b"no digest\n"), PROTOCOL),
        case(
            "a digest without end",
            endless("digest", b"0123456789abcdef"),
            PROTOCOL,
        ),
    ];
    Siege::of(cases, Way::Direct).holds(1);
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
    case $1 in --version) exec /usr/bin/tar --version ;; esac
    /usr/bin/tar "$@" | head -c 2000
    kill -KILL $$"#;
/// Reads the first name, and sends zeros under it for as long as anybody listens.
const GROWN_WITHOUT_BOUND: &str = r#"
    case $1 in --version) exec /usr/bin/tar --version ;; esac
    name=$(tr '\0' '\n' | head -n 1)
    dir=$HOME/grown
    mkdir "$dir"
    truncate -s 7G "$dir/grown"
    /usr/bin/tar -c -P --format=gnu --transform "s|.*|$name|" -f - "$dir/grown""#;
const ONLY_SAYS_RENAMED: &str = r"case $1 in -e) tr -dc '\0' | tr '\0' '1' | head -c 3 ;; esac";

#[test]
fn a_tool_that_lies_releases_nothing_that_is_not_stored() {
    let partly = |lie, tools| case(lie, Character::tools(tools), Fate::Partly);
    let empties = |lie, tools| case(lie, Character::tools(tools), Fate::Empties);
    let ends = |lie, tools| case(lie, Character::tools(tools), Fate::Ends);
    let cases = vec![
        partly("another digest", &[("openssl", ANOTHER_DIGEST)]),
        partly("no digest", &[("openssl", NO_DIGEST)]),
        case(
            "other sizes",
            Character::tools(&[("stat", OTHER_SIZES)]),
            Fate::Waits,
        ),
        empties("a tar that is killed amid a file", &[("tar", KILLED_AMID_A_FILE)]),
        case(
            "a file that grows without bound",
            Character::tools(&[("tar", GROWN_WITHOUT_BOUND)]),
            Fate::Waits,
        ),
        ends("a rename that is only said", &[("perl", ONLY_SAYS_RENAMED)]),
        ends("a removal that is only said", &[("rm", "true")]),
        case(
            "a clock of the year 2286",
            Character::tools(&[("date", "echo 9999999999.0")]),
            Fate::Waits,
        ),
        case(
            "no clock",
            Character::tools(&[("date", "echo soon")]),
            Fate::Waits,
        ),
        empties(
            "a disk of nonsense",
            &[("df", "echo / -1 99999999999999999999 x 999% /")],
        ),
        empties("another user", &[("id", "echo 4294967295")]),
    ];
    Siege::of(cases, Way::ThroughJump)
        .with_stall_timeout(Duration::from_secs(10))
        .holds(1);
}
