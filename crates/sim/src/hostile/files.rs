//! The SFTP of a hostile device: that of an honest one, and somebody in between who changes what is asked and what is said.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use russh::server::Msg;
use russh::{Channel, ChannelWriteHalf};
use sftp::codec::{ClientPacket, Request, Response, ServerPacket, take_frame};
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use super::Misbehaviour;
use super::speech::{CRUMB_EVERY, Speech};
use crate::device::{hang_up, sftp::Server};

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

pub(super) async fn serve(channel: Channel<Msg>, home: PathBuf, odd: Misbehaviour) {
    let (mut from_client, to_client) = channel.split();
    let mut server = Server::new(home);
    let (mut questions, mut input) = (from_client.make_reader(), BytesMut::new());
    while let Ok(1..) = questions.read_buf(&mut input).await {
        while let Some(frame) = take_frame(&mut input).expect("gleaner's own packets") {
            let said = match ClientPacket::decode(frame).expect("a packet of gleaner's") {
                ClientPacket::Request { id, request } => {
                    let mut honest = |request| server.respond(request);
                    let answer = match &odd.files {
                        Some(FilesLie(lie)) => lie(request, &mut honest),
                        None => Answer::Response(honest(request)),
                    };
                    say(answer, id, &to_client).await
                }
                init @ ClientPacket::Init(_) => greet(&server.answer(init), &odd, &to_client).await,
            };
            if said.is_err() {
                return;
            }
        }
    }
    // An error means that the client was quicker.
    hang_up(&to_client, 0).await.ok();
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
