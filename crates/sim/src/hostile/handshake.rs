//! The way in: a relay before a device, which passes the handshake on up to some point.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::overrides::Override;

/// A point of the handshake, all of which goes in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakePoint {
    /// The connection is accepted.
    Accepted,
    /// The version has been said.
    Version,
    /// KEXINIT has been said.
    Proposal,
    /// Half of the reply to the key exchange has been said.
    AmidKeyExchange,
    /// The reply to the key exchange has been said.
    KeyExchange,
    /// NEWKEYS has been said.
    NewKeys,
}

/// Joins a client to the device until one of them hangs up. An error means that one of them has gone.
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

/// Passes on what is said in the clear up to this point.
async fn pass_until(
    point: HandshakePoint,
    from_device: &mut (impl AsyncBufRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // The types of packets are from RFC 4253, 12 and RFC 5656, 7.1.
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
        // Behind the length is the length of the padding.
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
