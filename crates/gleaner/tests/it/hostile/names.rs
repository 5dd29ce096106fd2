//! Names that lead elsewhere, by SFTP and by the shell.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sftp::codec::{Attributes, FileTimes, Name, Response};
use sim::hostile::{Answer, SftpOverride};

use super::fleet::{HostileFleet, PLANTED, Route};
use super::lying_device::{ExpectedEnd, case};
use super::profile::{DeviceProfile, on_request};

/// Names that no file of a folder can have, or that must not lead anywhere.
const NAMES: [&[u8]; 14] = [
    b"",
    b"..",
    b".",
    b"/",
    PLANTED.as_bytes(),
    b"../planted",
    b"../../planted",
    b"../../../../../../../../../../tmp/gleaner-planted",
    b"day/../../planted",
    b"day//planted",
    b"planted/",
    b"nul\0planted",
    b".gleaner/store.toml",
    b"\x1b[2J\x1b]0;owned\x07",
];

fn file(name: &[u8]) -> Name {
    let attributes = Attributes {
        size: Some(5),
        permissions: Some(0o100_644),
        times: Some(FileTimes {
            accessed: 1_700_000_000,
            modified: 1_700_000_000,
        }),
        ..Attributes::default()
    };
    Name {
        name: Bytes::copy_from_slice(name),
        long_name: Bytes::new(),
        attributes,
    }
}

/// Adds names to the first reply about a folder.
fn adding(names: Vec<Name>) -> SftpOverride {
    let is_added = AtomicBool::new(false);
    on_request("readdir", move |response| {
        Answer::Response(match response {
            Response::Name(honest) if !is_added.swap(true, Ordering::Relaxed) => {
                Response::Name([&honest[..], &names[..]].concat())
            }
            other => other,
        })
    })
}

fn folder(name: &[u8]) -> Name {
    let mut folder = file(name);
    folder.attributes.permissions = Some(0o040_755);
    folder
}

#[test]
fn no_name_leads_out_of_the_source_or_the_store_or_to_a_terminal() {
    const FIND: &str = r#"
        case "$*" in *-mindepth*)
            for name in .. /gleaner-planted ../planted ../../planted day/../../planted day//planted planted/ .; do
                printf 'f f 2049 7 5 1700000000.0 1700000000.0 0 %s\0' "$name"
            done
            printf 'f f 2049 7 5 1700000000.0 1700000000.0 0 \0'
            printf 'f f 2049 7 5 1700000000.0 1700000000.0 0 %b\0' '\033[2J'
            printf 'u ../../planted\0' ;;
        esac
        exec /usr/bin/find "$@""#;
    let long = vec![b'n'; 200_000];
    let by_sftp = |names: Vec<Name>| DeviceProfile::sftp_only(adding(names));
    let cases = vec![
        case(
            "names of files",
            by_sftp(NAMES.map(file).into()),
            ExpectedEnd::Partly,
        ),
        case(
            "names of folders",
            by_sftp(NAMES.map(folder).into()),
            ExpectedEnd::Partly,
        ),
        case(
            "a name of 200,000 bytes",
            by_sftp(vec![file(&long)]),
            ExpectedEnd::Partly,
        ),
        case(
            "names of find",
            DeviceProfile::with_tools(&[("find", FIND)]),
            ExpectedEnd::Partly,
        ),
    ];
    HostileFleet::of(cases, Route::ThroughJump)
        .sweeps_safely(1)
        .does_not_say("\u{1b}");
}
