//! Listings that have no end. Each is cut off after fifteen times `stall_timeout`. Until then it may cost
//! time, but no memory, and no other device anything.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sftp::codec::{Attributes, FileTimes, Name, Request, Response};
use sim::hostile::{Answer, FalseOutput, ScriptPoint, SftpOverride};

use super::fleet::{HostileFleet, Route};
use super::lying_device::{ExpectedEnd, TimeLimit, case};
use super::profile::{DeviceProfile, endless, on_request};

const CUT_OFF: ExpectedEnd = ExpectedEnd::Stalls(TimeLimit::Listing);

/// A NAME with this number of entries that were never listed before.
fn invented(count: &AtomicU64, names: usize, length: usize, mode: u32) -> Response {
    let name = |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        Name {
            name: Bytes::from(format!("{number:0length$}")),
            long_name: Bytes::new(),
            attributes: Attributes {
                size: Some(5),
                permissions: Some(mode),
                times: Some(FileTimes {
                    accessed: 1_700_000_000,
                    modified: 1_700_000_000,
                }),
                ..Attributes::default()
            },
        }
    };
    Response::Name((0..names).map(name).collect())
}

const FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_755;

/// A folder whose listing never ends.
fn folder_without_end(names: usize, length: usize, mode: u32) -> SftpOverride {
    let count = AtomicU64::new(0);
    on_request("readdir", move |_| {
        Answer::Response(invented(&count, names, length, mode))
    })
}

/// Each folder has the content of the source itself, and this number of folders in addition.
fn folders_that_contain_themselves(folders: usize) -> SftpOverride {
    let count = AtomicU64::new(0);
    SftpOverride::new(move |request, honest| {
        Answer::Response(match honest(in_the_source(request)) {
            Response::Name(mut names) => {
                count.store(0, Ordering::Relaxed);
                if let Response::Name(more) = invented(&count, folders, 1, FOLDER) {
                    names.extend(more);
                }
                Response::Name(names)
            }
            other => other,
        })
    })
}

/// A source with many folders, each of which has endless names, as many in each reply as possible.
fn many_folders_brimful_of_names() -> SftpOverride {
    let (count, source) = (AtomicU64::new(0), Mutex::new(None));
    SftpOverride::new(move |request, honest| {
        let asked_of = match &request {
            Request::Readdir { handle } => Some(handle.clone()),
            _ => None,
        };
        let response = honest(in_the_source(request));
        let mut source = source.lock().expect("lock");
        if let Response::Handle(handle) = &response {
            source.get_or_insert(handle.clone());
        }
        let is_of_source = asked_of.is_some() && asked_of == *source;
        Answer::Response(match response {
            Response::Name(_) if is_of_source => invented(&count, 16, 1, FOLDER),
            _ if asked_of.is_some() && !is_of_source => invented(&count, 6_000, 1, FILE),
            other => other,
        })
    })
}

/// Turns a request for any folder into one for the source.
fn in_the_source(request: Request) -> Request {
    match request {
        Request::Opendir { path } => Request::Opendir {
            path: source_of(&path),
        },
        other => other,
    }
}

/// The source that a path begins with.
fn source_of(path: &Bytes) -> Bytes {
    const SOURCE: &[u8] = b"/beephotos";
    let end = path.windows(SOURCE.len()).position(|window| window == SOURCE);
    path.slice(..end.map_or(path.len(), |end| end + SOURCE.len()))
}

/// A record of GNU find about a file of that name.
fn found(name: &[u8]) -> &'static [u8] {
    let record = [&b"f f 2049 7 5 1700000000.0 1700000000.0 0 "[..], name, b"\0"].concat();
    Box::leak(record.into_boxed_slice())
}

#[test]
fn a_listing_without_end_is_cut_off_and_reported_as_stalled() {
    let sftp_only = DeviceProfile::sftp_only;
    let now_and_then = on_request("readdir", {
        let count = AtomicU64::new(0);
        move |_| Answer::Late(invented(&count, 1, 10, FILE))
    });
    let at_survey = |output| DeviceProfile::in_script(ScriptPoint::Verb("survey"), output);
    let record = found(b"ghost");
    let long_name = found(&vec![0xff; 2_000_000]);
    let long_path = found(&[&[&[b'n'; 250][..], b"/"].concat().repeat(16)[..], b"ghost"].concat());
    let cases = vec![
        case(
            "files without end",
            sftp_only(folder_without_end(1000, 200, FILE)),
            CUT_OFF,
        ),
        case("a file now and then", sftp_only(now_and_then), CUT_OFF),
        case(
            "folders in themselves",
            sftp_only(folders_that_contain_themselves(2)),
            CUT_OFF,
        ),
        case("records without end", at_survey(endless(record)), CUT_OFF),
        case(
            "brimful of names",
            sftp_only(many_folders_brimful_of_names()),
            CUT_OFF,
        ),
        case("names of 2 MB", at_survey(endless(long_name)), CUT_OFF),
        case("paths of 4 KB", at_survey(endless(long_path)), CUT_OFF),
        case(
            "a record now and then",
            at_survey(FalseOutput::Periodic(Bytes::from_static(record))),
            CUT_OFF,
        ),
    ];
    HostileFleet::of(cases, Route::Direct)
        .with_stall_timeout(Duration::from_millis(600))
        .sweeps_safely(1);
}

#[test]
fn folders_without_end_break_the_protocol_before_they_cost_memory() {
    let sftp_only = DeviceProfile::sftp_only;
    let protocol = ExpectedEnd::Fails("protocol");
    let cases = vec![
        case(
            "folders without end",
            sftp_only(folder_without_end(1000, 200, FOLDER)),
            protocol,
        ),
        case(
            "folders in folders",
            sftp_only(folders_that_contain_themselves(5_000)),
            protocol,
        ),
        case(
            "a folder in itself",
            sftp_only(folders_that_contain_themselves(0)),
            ExpectedEnd::Partly,
        ),
    ];
    let hostile = HostileFleet::of(cases, Route::Direct);
    hostile.sweeps_safely(1);
    // Files that were listed before there were too many folders are gathered.
    let gathered = hostile.fleet.store_files();
    assert!(gathered.contains_key(Path::new("device3/c.jpg")), "{gathered:?}");
}
