//! False replies of an SFTP server: replies that break the protocol, and replies that are only odd.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sftp::codec::{
    Attributes, FileSystem, Hello, Limits, Name, Request, Response, ServerPacket, Status, StatusCode,
};
use sim::hostile::{Answer, SftpOverride};

use super::fleet::{HostileFleet, Route};
use super::lying_device::{Case, ExpectedEnd, case};
use super::profile::{DeviceProfile, on_each_reply, on_request, only_confirmed};

const PROTOCOL: ExpectedEnd = ExpectedEnd::Fails("protocol");

/// A device without a shell that sends false replies to one kind of request.
fn false_reply(
    label: &'static str,
    expected: ExpectedEnd,
    kind: &'static str,
    answer: impl Fn(Response) -> Answer + Send + Sync + 'static,
) -> Case {
    case(
        label,
        DeviceProfile::sftp_only(on_request(kind, answer)),
        expected,
    )
}

/// A packet with any bytes behind its length field.
fn packet(body: &[u8]) -> Answer {
    let length = u32::try_from(body.len()).expect("a short packet");
    Answer::Raw([&length.to_be_bytes()[..], body].concat())
}

fn a_second_version() -> Answer {
    let mut bytes = bytes::BytesMut::new();
    let hello = Hello {
        version: 3,
        extensions: Vec::new(),
    };
    ServerPacket::Version(hello).encode(&mut bytes);
    Answer::Raw(bytes.to_vec())
}

fn instead(response: Response) -> impl Fn(Response) -> Answer {
    move |_| Answer::Response(response.clone())
}

fn longer(response: Response) -> Answer {
    Answer::Response(match response {
        Response::Data(data) => Response::Data([&data[..], b"and this, too"].concat().into()),
        other => other,
    })
}

fn many_names(response: Response) -> Answer {
    let name = Name {
        name: Bytes::new(),
        long_name: Bytes::new(),
        attributes: Attributes::default(),
    };
    Answer::Response(match response {
        Response::Name(_) => Response::Name(vec![name; 20_000]),
        other => other,
    })
}

#[test]
fn a_reply_that_sftp_does_not_allow_is_reported_as_breaking_the_protocol() {
    let done = || Response::Status(Status::new(StatusCode::Ok, "done"));
    let handle = |length: usize| Response::Handle(vec![0xff; length].into());
    let attributes = || Response::Attributes(Attributes::default());
    let names_of_4_gib = [&[104, 0, 0, 0, 1][..], &[0xff; 4], &[0; 8]].concat();
    let string_of_4_gib = [&[103, 0, 0, 0, 1][..], &[0xff; 4], b"short"].concat();
    let cases = vec![
        false_reply("an unknown request id", PROTOCOL, "lstat", Answer::Misdirected),
        false_reply("an answer given twice", PROTOCOL, "readdir", Answer::Twice),
        false_reply("a packet of 4 GiB", PROTOCOL, "read", |_| {
            Answer::Raw(vec![0xff; 64])
        }),
        false_reply("a packet of no bytes", PROTOCOL, "open", |_| {
            Answer::Raw(vec![0; 4])
        }),
        false_reply("an unknown type", PROTOCOL, "open", |_| {
            packet(&[250, 0, 0, 0, 1])
        }),
        false_reply("4 Gi names", PROTOCOL, "readdir", move |_| {
            packet(&names_of_4_gib)
        }),
        false_reply("20,000 names of nothing", PROTOCOL, "readdir", many_names),
        false_reply("data of 4 GiB", PROTOCOL, "read", move |_| {
            packet(&string_of_4_gib)
        }),
        false_reply("a second version", PROTOCOL, "opendir", |_| a_second_version()),
        false_reply("more data than asked for", PROTOCOL, "read", longer),
        false_reply(
            "data of no bytes",
            PROTOCOL,
            "read",
            instead(Response::Data(Bytes::new())),
        ),
        false_reply("a handle for attributes", PROTOCOL, "lstat", instead(handle(4))),
        false_reply("attributes for data", PROTOCOL, "read", instead(attributes())),
        false_reply("success for data", PROTOCOL, "read", instead(done())),
        false_reply("a handle of 257 bytes", PROTOCOL, "open", instead(handle(257))),
        false_reply("data after the end", PROTOCOL, "read", Answer::AfterEnd),
        false_reply("the end amid a file", PROTOCOL, "read", |_| Answer::HangUp),
    ];
    HostileFleet::of(cases, Route::Direct)
        .set("fleet.parallel", 32)
        .sweeps_safely(1);
}

/// A device whose handles have any bytes and the maximum length.
fn odd_handles() -> SftpOverride {
    let odd = |handle: &Bytes| -> Bytes { [&b"\0\n\xff"[..], &[b'/'; 249], handle].concat().into() };
    SftpOverride::new(move |mut request, honest| {
        if let Request::Close { handle } | Request::Readdir { handle } | Request::Read { handle, .. } =
            &mut request
        {
            *handle = handle.slice(252..);
        }
        Answer::Response(match honest(request) {
            Response::Handle(handle) => Response::Handle(odd(&handle)),
            other => other,
        })
    })
}

fn short(max: usize) -> impl Fn(Response) -> Answer {
    move |response| {
        Answer::Response(match response {
            Response::Data(data) => Response::Data(data.slice(..max.min(data.len()))),
            other => other,
        })
    }
}

fn limits(read_length: u64, open_handles: u64) -> SftpOverride {
    let limits = Limits {
        packet_length: read_length,
        read_length,
        write_length: 0,
        open_handles,
    };
    on_request("limits", instead(Response::ExtendedReply(limits.encode())))
}

fn each_name_twice(response: Response) -> Answer {
    Answer::Response(match response {
        Response::Name(names) => Response::Name([&names[..], &names[..]].concat()),
        other => other,
    })
}

fn endless_room() -> Response {
    let all = FileSystem {
        fragment_size: u64::MAX,
        blocks: u64::MAX,
        blocks_available: u64::MAX,
        ..FileSystem::default()
    };
    Response::ExtendedReply(all.encode())
}

#[test]
fn an_odd_reply_that_sftp_allows_does_not_prevent_gathering() {
    let gathered = |label, files| case(label, DeviceProfile::sftp_only(files), ExpectedEnd::Empties);
    let cases = vec![
        gathered("handles of any bytes", odd_handles()),
        gathered("reads of 997 bytes", on_request("read", short(997))),
        gathered("one byte and one handle at a time", limits(100, 1)),
        gathered("all the limits there are", limits(u64::MAX, u64::MAX)),
        gathered("each name twice", on_request("readdir", each_name_twice)),
        gathered(
            "a disk without end",
            on_request("statvfs", instead(endless_room())),
        ),
    ];
    HostileFleet::of(cases, Route::Direct)
        .with_stall_timeout(Duration::from_secs(10))
        .sweeps_safely(0);
}

/// Changes the attributes of every file, in listings and in single replies. Those of folders stay true.
fn of_files(change: impl Fn(&mut Attributes) + Send + Sync + 'static) -> SftpOverride {
    on_each_reply(move |mut response| {
        let attributes: Vec<&mut Attributes> = match &mut response {
            Response::Attributes(attributes) => vec![attributes],
            Response::Name(names) => names.iter_mut().map(|name| &mut name.attributes).collect(),
            _ => Vec::new(),
        };
        attributes
            .into_iter()
            .filter(|attributes| attributes.is_file())
            .for_each(&change);
        response
    })
}

fn sized(size: impl Fn(u64) -> u64 + Send + Sync + 'static) -> SftpOverride {
    of_files(move |attributes| attributes.size = attributes.size.map(&size))
}

#[test]
fn a_size_or_a_time_that_is_not_true_leaves_the_files_in_place() {
    let count = AtomicU32::new(0);
    let count_of_times = AtomicU32::new(0);
    let waits = |label, files| {
        case(
            label,
            DeviceProfile::sftp_only_from_start(files),
            ExpectedEnd::Waits,
        )
    };
    let partly = |label, files| {
        case(
            label,
            DeviceProfile::sftp_only_from_start(files),
            ExpectedEnd::Partly,
        )
    };
    let cases = vec![
        partly("a byte more than there is", sized(|size| size + 1)),
        partly("a byte less than there is", sized(|size| size - 1)),
        partly("nothing where there is something", sized(|_| 0)),
        waits(
            "another size each time",
            sized(move |size| size + u64::from(count.fetch_add(1, Ordering::Relaxed))),
        ),
        waits(
            "another time each time",
            of_files(move |attributes| {
                if let Some(times) = &mut attributes.times {
                    times.modified -= count_of_times.fetch_add(1, Ordering::Relaxed);
                }
            }),
        ),
        waits(
            "no attributes at all",
            of_files(|attributes| *attributes = Attributes::default()),
        ),
        partly("all the bytes there can be", sized(|_| u64::MAX)),
        partly("half the bytes there can be", sized(|_| u64::MAX / 2)),
    ];
    HostileFleet::of(cases, Route::Direct).sweeps_safely(1);
}

fn flipped(response: Response) -> Answer {
    Answer::Response(match response {
        Response::Data(data) => Response::Data(data.iter().map(|byte| !byte).collect()),
        other => other,
    })
}

#[test]
fn a_request_that_is_confirmed_but_not_executed_loses_nothing() {
    let confirmed = |kind| DeviceProfile::sftp_only(only_confirmed(kind));
    let cases = vec![
        case("mkdir only said", confirmed("mkdir"), ExpectedEnd::Ends),
        case("rename only said", confirmed("posix-rename"), ExpectedEnd::Ends),
        case("remove only said", confirmed("remove"), ExpectedEnd::Ends),
        case("rmdir only said", confirmed("rmdir"), ExpectedEnd::Ends),
        case(
            "other bytes than digested",
            DeviceProfile::sftp(on_request("read", flipped)),
            ExpectedEnd::Partly,
        ),
        false_reply(
            "remove refused",
            ExpectedEnd::Partly,
            "remove",
            instead(Response::Status(Status::new(
                StatusCode::Failure,
                "\u{1b}[2J".repeat(50_000),
            ))),
        ),
        false_reply(
            "nothing permitted",
            ExpectedEnd::Partly,
            "open",
            instead(Response::Status(Status::new(StatusCode::PermissionDenied, "no"))),
        ),
    ];
    HostileFleet::of(cases, Route::Direct)
        .sweeps_safely(1)
        .does_not_say("\u{1b}");
}
