//! The SFTP server of a device. Like OpenSSH's, it answers in order.

mod answer;
mod describe;

use std::path::PathBuf;

use bytes::BytesMut;
use russh::Channel;
use russh::server::Msg;
use sftp::codec::{ClientPacket, take_frame};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::lifetime::Lifetime;
use crate::listen::close_channel;
pub(crate) use answer::Server;

/// Serves one session until the client ends it or sends an invalid packet. Dropping the future also ends it.
pub(super) async fn serve(channel: Channel<Msg>, home: PathBuf, lifetime: Lifetime) {
    let (mut from_client, to_client) = channel.split();
    let (mut requests, mut input) = (from_client.make_reader(), BytesMut::new());
    let mut server = Server::new(home);
    while let Some(packet) = next_packet(&mut requests, &mut input).await {
        let mut output = BytesMut::new();
        // The folder is local, so no reply takes long enough to delay others.
        server.answer(packet).encode(&mut output);
        if to_client.data_bytes(output).await.is_err() {
            return;
        }
    }
    // An error means that the client is gone.
    close_channel(&to_client, 0).await.ok();
    drop(lifetime);
}

/// The client's next packet; `None` at the end of input or if the packet is invalid.
pub(crate) async fn next_packet(
    requests: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> Option<ClientPacket> {
    loop {
        if let Some(frame) = take_frame(input).ok()? {
            return ClientPacket::decode(frame).ok();
        }
        if requests.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}
