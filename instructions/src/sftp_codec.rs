//! The SFTP codec: the request of each READ, and the replies.

use bytes::{Bytes, BytesMut};
use sftp::codec::{Attributes, Name, Owner, Request, Response, ServerPacket, Times, take_frame};

use crate::{Work, file_name};

/// Names in one reply, the same number as OpenSSH's.
const NAMES_IN_A_REPLY: usize = 100;

pub(crate) fn encode_reads(count: usize) -> Work {
    let requests: Vec<Request> = (0..count)
        .map(|number| Request::Read {
            handle: Bytes::from_static(b"\0\0\0\x07"),
            offset: number as u64 * 32_768,
            length: 32_768,
        })
        .collect();
    Box::new(move || {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        for (id, request) in (0..).zip(&requests) {
            request.encode(id, &mut buffer);
        }
        assert_eq!(buffer.len(), 29 * requests.len());
        requests.len()
    })
}

pub(crate) fn decode_data(count: usize) -> Work {
    decode(
        (0..count).map(|_| Response::Data(Bytes::from(vec![7; 1_024]))),
        |response| match response {
            Response::Data(data) => data.len() / 1_024,
            _ => 0,
        },
    )
}

pub(crate) fn decode_names(count: usize) -> Work {
    decode(
        (0..count / NAMES_IN_A_REPLY).map(names),
        |response| match response {
            Response::Name(names) => names.len(),
            _ => 0,
        },
    )
}

pub(crate) fn decode_attributes(count: usize) -> Work {
    decode(
        (0..count).map(|number| Response::Attributes(attributes(number))),
        |response| usize::from(matches!(response, Response::Attributes(_))),
    )
}

/// The names of one reply to READDIR.
pub(crate) fn names(reply: usize) -> Response {
    let numbers = reply * NAMES_IN_A_REPLY..(reply + 1) * NAMES_IN_A_REPLY;
    let names = numbers.map(|number| {
        let name = file_name(number).replace('/', "_");
        let long_name = format!("-rw-r--r--    1 pi       pi         {number:>8} Nov 22 12:00 {name}");
        Name {
            name: name.into(),
            long_name: long_name.into(),
            attributes: attributes(number),
        }
    });
    Response::Name(names.collect())
}

fn attributes(number: usize) -> Attributes {
    Attributes {
        size: Some(number as u64),
        owner: Some(Owner {
            user: 1000,
            group: 1000,
        }),
        permissions: Some(0o100_644),
        times: Some(Times {
            accessed: 1_700_000_000,
            modified: 1_700_000_000,
        }),
        extended: Vec::new(),
    }
}

/// Cuts a stream into packets and decodes each.
fn decode(responses: impl Iterator<Item = Response>, measure: fn(&Response) -> usize) -> Work {
    let mut stream = BytesMut::new();
    for (id, response) in (0..).zip(responses) {
        response.encode(id, &mut stream);
    }
    Box::new(move || {
        let mut done = 0;
        while let Some(frame) = take_frame(&mut stream).unwrap() {
            let ServerPacket::Response { response, .. } = ServerPacket::decode(frame).unwrap() else {
                break;
            };
            done += measure(&response);
        }
        done
    })
}
