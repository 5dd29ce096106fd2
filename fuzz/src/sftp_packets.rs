//! The SFTP codec in both directions: decoding, encoding and decoding again gives the same, at little cost.

use bytes::{Bytes, BytesMut};
use sftp::codec::{
    ClientPacket, FileSystem, Limits, MAX_PACKET_LENGTH, Malformed, Response, ServerPacket, missing_bytes,
    take_frame,
};

/// A decoded packet takes at most this many times its bytes: an empty name is 12 bytes on the wire.
const TIMES: usize = 32;
/// Bytes that it may take in addition.
const BESIDE: usize = 4096;

/// The input is a stream of packets, as either side sends it.
pub(crate) fn hold(input: &[u8]) {
    let at_once = cut(input, usize::MAX);
    for step in [1, 5] {
        // Byte by byte is slow, and a property that holds for short inputs holds for long ones.
        if input.len() <= 512 * step {
            assert_eq!(
                at_once,
                cut(input, step),
                "the cut depends on how the stream is split"
            );
        }
    }
    for frame in at_once.frames {
        assert!((1..=MAX_PACKET_LENGTH as usize).contains(&frame.len()));
        let limit = TIMES * frame.len() + BESIDE;
        crate::memory::within(limit, || server_packet(&frame));
        crate::memory::within(limit, || client_packet(&frame));
    }
    // Decodes the stream itself as one packet, so that no length field has to be right.
    let whole = Bytes::copy_from_slice(input);
    server_packet(&whole);
    client_packet(&whole);
}

#[derive(Debug, PartialEq)]
struct Cut {
    frames: Vec<Bytes>,
    end: Result<usize, Malformed>,
}

/// Cuts a stream that arrives in pieces of `step` bytes.
fn cut(stream: &[u8], step: usize) -> Cut {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(step.min(stream.len()).max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match take_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    return Cut {
                        frames,
                        end: Err(error),
                    };
                }
            }
        }
        assert!(missing_bytes(&buffer) > 0, "a whole packet is left in the buffer");
    }
    Cut {
        frames,
        end: Ok(missing_bytes(&buffer)),
    }
}

fn server_packet(frame: &Bytes) {
    let Ok(packet) = ServerPacket::decode(frame.clone()) else {
        return;
    };
    if let ServerPacket::Response { id, response } = &packet {
        let mut alone = BytesMut::new();
        response.encode(*id, &mut alone);
        assert_eq!(alone, encoded(|buffer| packet.encode(buffer)));
        assert!(!response.type_name().is_empty());
        if let Response::ExtendedReply(data) = response {
            extended_reply(data);
        }
    }
    let again = encoded(|buffer| packet.encode(buffer));
    assert_eq!(ServerPacket::decode(only_frame(again)), Ok(packet));
}

fn extended_reply(data: &Bytes) {
    if let Ok(limits) = Limits::decode(data.clone()) {
        assert_eq!(limits.encode(), data);
    }
    if let Ok(room) = FileSystem::decode(data.clone()) {
        assert_eq!(room.encode(), data);
        assert!(room.fragment_size == 0 || room.total_bytes() >= room.blocks);
        assert!(room.available_bytes() <= room.total_bytes() || room.blocks_available > room.blocks);
    }
}

fn client_packet(frame: &Bytes) {
    let Ok(packet) = ClientPacket::decode(frame.clone()) else {
        return;
    };
    let again = encoded(|buffer| packet.encode(buffer));
    assert_eq!(ClientPacket::decode(only_frame(again)), Ok(packet));
}

fn encoded(encode: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buffer = BytesMut::new();
    encode(&mut buffer);
    buffer
}

/// The encoded bytes are exactly one packet.
fn only_frame(mut buffer: BytesMut) -> Bytes {
    let frame = take_frame(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    frame
}
