//! Cuts a stream of bytes into packets.

use bytes::{Buf, Bytes, BytesMut};

use super::Malformed;

/// The longest accepted packet, without its length field: OpenSSH's `SFTP_MAX_MSG_LENGTH` of 256 KiB, and
/// slack for servers that do not count their headers.
pub const MAX_PACKET_LENGTH: u32 = 256 * 1024 + 4096;

/// Removes the first packet, without its length field, from the front of `buffer`; `None` while it is
/// incomplete.
///
/// A length field above [`MAX_PACKET_LENGTH`] is an error at once, before any byte of such a packet arrives.
pub fn take_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
    match frame_length(buffer)? {
        Some(length) if buffer.len() >= 4 + length => {
            buffer.advance(4);
            Ok(Some(buffer.split_to(length).freeze()))
        }
        _ => Ok(None),
    }
}

/// How many bytes the packet at the front of `buffer` still lacks, as far as its length is known. Zero for a
/// whole packet, and for an invalid length, which [`take_frame`] refuses.
#[must_use]
pub fn missing_bytes(buffer: &BytesMut) -> usize {
    match frame_length(buffer) {
        Ok(Some(length)) => (4 + length).saturating_sub(buffer.len()),
        Ok(None) => 4 - buffer.len(),
        Err(_) => 0,
    }
}

fn frame_length(buffer: &BytesMut) -> Result<Option<usize>, Malformed> {
    let Some(field) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    match u32::from_be_bytes(*field) {
        0 => Err(Malformed::Empty),
        length if length > MAX_PACKET_LENGTH => Err(Malformed::TooLong {
            length,
            limit: MAX_PACKET_LENGTH,
        }),
        length => Ok(Some(length as usize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_four_gibibytes_is_refused_before_the_packet_arrives() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        let refused = Malformed::TooLong {
            length: u32::MAX,
            limit: MAX_PACKET_LENGTH,
        };
        assert_eq!(take_frame(&mut buffer), Err(refused));
    }

    #[test]
    fn packets_are_cut_at_their_end_and_an_incomplete_one_waits() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 3, 9][..]);
        assert_eq!(take_frame(&mut buffer), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(take_frame(&mut buffer), Ok(None));
        assert_eq!(missing_bytes(&buffer), 2);
        buffer.extend_from_slice(&[10, 11]);
        assert_eq!(
            take_frame(&mut buffer),
            Ok(Some(Bytes::from_static(&[9, 10, 11])))
        );
        assert_eq!(missing_bytes(&buffer), 4);
    }
}
