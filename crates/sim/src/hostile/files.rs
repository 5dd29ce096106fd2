//! The SFTP of a hostile device: an honest server, and a lie that changes what it hears and what the client hears.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use russh::server::Msg;
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf};
use sftp::codec::{ClientPacket, Request, Response, ServerPacket};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::sleep;

use super::Misbehaviour;
use super::speech::{CRUMB_EVERY, Speech};
use crate::device::sftp::{Server, next_packet};

/// What becomes of a request. The honest server answers whatever the second argument is called with.
type Answering = dyn Fn(Request, &mut dyn FnMut(Request) -> Response) -> Answer + Send + Sync;

/// A lie of an SFTP server.
#[derive(Clone)]
pub struct FilesLie(Arc<Answering>);

impl FilesLie {
    /// Answers each request by this.
    pub fn new(
        answering: impl Fn(Request, &mut dyn FnMut(Request) -> Response) -> Answer + Send + Sync + 'static,
    ) -> FilesLie {
        FilesLie(Arc::new(answering))
    }
}

impl fmt::Debug for FilesLie {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FilesLie")
    }
}

/// What the client hears in answer to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This response.
    Response(Response),
    /// This response, twice.
    Twice(Response),
    /// This response with another id.
    Misdirected(Response),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// Nothing to this request, but answers to others.
    None,
    /// Nothing any more.
    Silence,
    /// The first half of this response, and nothing any more.
    Half(Response),
    /// This response byte by byte, and nothing any more.
    Crumbs(Response),
    /// This response after a pause.
    Late(Response),
    /// The end of the channel's output, and then this response after all.
    AfterEnd(Response),
    /// The end.
    HangUp,
}

/// Returns when the client has had enough; it is then for the client to close the channel.
pub(super) async fn serve(channel: Channel<Msg>, home: PathBuf, odd: Misbehaviour) {
    let (from_client, to_client) = channel.split();
    let (answered, mut answers) = mpsc::unbounded_channel();
    let saying = async {
        while let Some((id, answer)) = answers.recv().await {
            // An error means that the client has gone: then this ends with the channel.
            say(answer, id, &to_client).await.ok();
        }
    };
    let asking = carry_out(from_client, Server::new(home), &odd, &to_client, answered);
    tokio::join!(asking, saying);
}

/// Carries out what is asked, also while the device keeps the answers to itself.
async fn carry_out(
    mut from_client: ChannelReadHalf,
    mut server: Server,
    odd: &Misbehaviour,
    to_client: &ChannelWriteHalf<Msg>,
    answered: UnboundedSender<(u32, Answer)>,
) {
    let (mut questions, mut input) = (from_client.make_reader(), BytesMut::new());
    while let Some(packet) = next_packet(&mut questions, &mut input).await {
        let ClientPacket::Request { id, request } = packet else {
            greet(&server.answer(packet), odd, to_client).await.ok();
            continue;
        };
        let mut honest = |request| server.respond(request);
        let answer = match &odd.files {
            Some(FilesLie(lie)) => lie(request, &mut honest),
            None => Answer::Response(honest(request)),
        };
        answered.send((id, answer)).expect("somebody who says it");
    }
}

async fn greet(
    version: &ServerPacket,
    odd: &Misbehaviour,
    to_client: &ChannelWriteHalf<Msg>,
) -> Result<(), russh::Error> {
    let mut packet = BytesMut::new();
    version.encode(&mut packet);
    match &odd.greeting {
        Some(speech) => Ok(speech.deliver(&packet[..], &mut to_client.make_writer()).await?),
        None => to_client.data_bytes(packet).await,
    }
}

async fn say(answer: Answer, id: u32, to_client: &ChannelWriteHalf<Msg>) -> Result<(), russh::Error> {
    let packet = |response: Response, id: u32| {
        let mut buffer = BytesMut::new();
        response.encode(id, &mut buffer);
        buffer.freeze()
    };
    let said = match answer {
        Answer::None => return Ok(()),
        Answer::Response(response) => packet(response, id),
        Answer::Twice(response) => packet(response, id).repeat(2).into(),
        Answer::Misdirected(response) => packet(response, id.wrapping_add(77_777)),
        Answer::Raw(bytes) => bytes.into(),
        Answer::Late(response) => {
            sleep(CRUMB_EVERY).await;
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
        Answer::Crumbs(response) => {
            let whole = packet(response, id);
            return Ok(Speech::Crumbs
                .deliver(&whole[..], &mut to_client.make_writer())
                .await?);
        }
        Answer::Silence => std::future::pending().await,
        Answer::HangUp => {
            to_client.close().await?;
            std::future::pending().await
        }
    };
    to_client.data_bytes(said).await
}
