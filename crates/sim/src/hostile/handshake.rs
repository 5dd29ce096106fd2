//! A relay in front of a device. It passes the handshake on up to some point.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::overrides::Override;

/// A point of the handshake, which is not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakePoint {
    /// The connection is accepted.
    Accepted,
    /// The device has sent its version.
    Version,
    /// The device has sent KEXINIT.
    Proposal,
    /// The device has sent half of the reply to the key exchange.
    AmidKeyExchange,
    /// The device has sent the reply to the key exchange.
    KeyExchange,
    /// The device has sent NEWKEYS.
    NewKeys,
}

/// Connects a client to the device until one of them closes the connection. An error means that one of them
/// is gone.
pub(super) async fn relay(
    mut client: TcpStream,
    device: u16,
    fault: Option<Override<HandshakePoint>>,
) -> io::Result<()> {
    let mut device = TcpStream::connect((Ipv4Addr::LOCALHOST, device)).await?;
    client.set_nodelay(true)?;
    device.set_nodelay(true)?;
    let Some(fault) = fault else {
        tokio::io::copy_bidirectional(&mut client, &mut device).await?;
        return Ok(());
    };
    let (mut from_client, mut to_client) = client.split();
    let (from_device, mut to_device) = device.split();
    let mut from_device = BufReader::new(from_device);
    let speaking = async {
        pass_until(fault.from, &mut from_device, &mut to_client).await?;
        fault.output.deliver(&mut from_device, &mut to_client).await
    };
    tokio::select! {
        ended = speaking => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_device) => ended.map(drop),
    }
}

/// Passes the unencrypted packets on up to this point.
async fn pass_until(
    point: HandshakePoint,
    from_device: &mut (impl AsyncBufRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // The packet types are from RFC 4253, 12 and RFC 5656, 7.1.
    let last = match point {
        HandshakePoint::Accepted => return Ok(()),
        HandshakePoint::Version => None,
        HandshakePoint::Proposal => Some(20),
        HandshakePoint::AmidKeyExchange | HandshakePoint::KeyExchange => Some(31),
        HandshakePoint::NewKeys => Some(21),
    };
    let mut version = Vec::new();
    from_device.read_until(b'\n', &mut version).await?;
    to_client.write_all(&version).await?;
    let Some(last) = last else { return Ok(()) };
    loop {
        let length = from_device.read_u32().await?;
        let mut packet = length.to_be_bytes().to_vec();
        let mut body = (&mut *from_device).take(length.into());
        body.read_to_end(&mut packet).await?;
        // The length is followed by the padding length.
        let is_last = packet.get(5) == Some(&last);
        if is_last && point == HandshakePoint::AmidKeyExchange {
            packet.truncate(packet.len() / 2);
        }
        to_client.write_all(&packet).await?;
        if is_last {
            return Ok(());
        }
    }
}
