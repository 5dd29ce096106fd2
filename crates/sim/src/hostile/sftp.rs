//! The SFTP server of a hostile device: an honest server with an override for requests and replies.

use std::path::PathBuf;

use bytes::BytesMut;
use russh::server::Msg;
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf};
use sftp::codec::{ClientPacket, Response, ServerPacket};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::sleep;

use super::behaviour::HostileBehaviour;
use super::overrides::{Answer, FalseOutput, SftpOverride, TRICKLE_INTERVAL};
use crate::device::sftp::{Server, next_packet};

/// Serves until the client stops sending; the client then closes the channel.
pub(super) async fn serve(channel: Channel<Msg>, home: PathBuf, behaviour: HostileBehaviour) {
    let (from_client, to_client) = channel.split();
    let (sender, mut answers) = mpsc::unbounded_channel();
    let sending = async {
        while let Some((id, answer)) = answers.recv().await {
            // An error means that the client is gone; then this ends with the channel.
            send_answer(answer, id, &to_client).await.ok();
        }
    };
    let receiving = carry_out(from_client, Server::new(home), &behaviour, &to_client, sender);
    tokio::join!(receiving, sending);
}

/// Carries out the requests, even while the device holds back its replies.
async fn carry_out(
    mut from_client: ChannelReadHalf,
    mut server: Server,
    behaviour: &HostileBehaviour,
    to_client: &ChannelWriteHalf<Msg>,
    sender: UnboundedSender<(u32, Answer)>,
) {
    let (mut requests, mut input) = (from_client.make_reader(), BytesMut::new());
    while let Some(packet) = next_packet(&mut requests, &mut input).await {
        let ClientPacket::Request { id, request } = packet else {
            send_version(&server.answer(packet), behaviour, to_client)
                .await
                .ok();
            continue;
        };
        let mut honest = |request| server.respond(request);
        let answer = match &behaviour.files {
            Some(SftpOverride(fault)) => fault(request, &mut honest),
            None => Answer::Response(honest(request)),
        };
        sender.send((id, answer)).expect("a receiver");
    }
}

async fn send_version(
    version: &ServerPacket,
    behaviour: &HostileBehaviour,
    to_client: &ChannelWriteHalf<Msg>,
) -> Result<(), russh::Error> {
    let mut packet = BytesMut::new();
    version.encode(&mut packet);
    match &behaviour.greeting {
        Some(output) => Ok(output.deliver(&packet[..], &mut to_client.make_writer()).await?),
        None => to_client.data_bytes(packet).await,
    }
}

async fn send_answer(answer: Answer, id: u32, to_client: &ChannelWriteHalf<Msg>) -> Result<(), russh::Error> {
    let packet = |response: Response, id: u32| {
        let mut buffer = BytesMut::new();
        response.encode(id, &mut buffer);
        buffer.freeze()
    };
    let bytes = match answer {
        Answer::None => return Ok(()),
        Answer::Response(response) => packet(response, id),
        Answer::Twice(response) => packet(response, id).repeat(2).into(),
        Answer::Misdirected(response) => packet(response, id.wrapping_add(77_777)),
        Answer::Raw(raw) => raw.into(),
        Answer::Late(response) => {
            sleep(TRICKLE_INTERVAL).await;
            packet(response, id)
        }
        Answer::AfterEnd(response) => {
            to_client.eof().await?;
            packet(response, id)
        }
        Answer::Half(response) => {
            let mut half = packet(response, id);
            half.truncate(half.len() / 2);
            to_client.data_bytes(half).await?;
            std::future::pending().await
        }
        Answer::Trickle(response) => {
            let whole = packet(response, id);
            return Ok(FalseOutput::Trickle
                .deliver(&whole[..], &mut to_client.make_writer())
                .await?);
        }
        Answer::Silence => std::future::pending().await,
        Answer::HangUp => {
            to_client.close().await?;
            std::future::pending().await
        }
    };
    to_client.data_bytes(bytes).await
}
