//! The SFTP of a hostile device: the system's own server, and somebody in between who changes what is said.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use sftp::codec::{ClientPacket, Request, Response, ServerPacket, take_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::sleep;

use super::door::CRUMB_EVERY;
use super::lie::{Answer, FilesLie, Greeting};
use super::server::Stage;

/// Questions that were asked and not yet answered.
type Asked = Arc<Mutex<HashMap<u32, Request>>>;

pub(crate) async fn serve(channel: Channel<Msg>, stage: Arc<Stage>) {
    let mut server = Command::new("/usr/lib/openssh/sftp-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env_clear()
        .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 1")
        .current_dir(&stage.home)
        .kill_on_drop(true)
        .spawn()
        .expect("starting sftp-server");
    let (input, output) = (
        server.stdin.take().expect("a pipe"),
        server.stdout.take().expect("a pipe"),
    );
    let (from_client, to_client) = channel.split();
    let asked = Asked::default();
    let lie = stage.character.files.clone().filter(|_| stage.is_armed());
    let asking = ask(from_client, input, lie.clone(), asked.clone());
    let mouth = Mouth {
        to_client,
        crumbs: false,
        late: false,
    };
    tokio::join!(asking, answer(output, mouth, lie, asked));
}

async fn ask(mut from_client: ChannelReadHalf, mut server: ChildStdin, lie: Option<FilesLie>, asked: Asked) {
    let mut input = BytesMut::new();
    while let Some(message) = from_client.wait().await {
        let ChannelMsg::Data { data } = message else {
            match message {
                ChannelMsg::Eof | ChannelMsg::Close => return,
                _ => continue,
            }
        };
        input.extend_from_slice(&data);
        let mut output = BytesMut::new();
        while let Ok(Some(frame)) = take_frame(&mut input) {
            let mut packet = ClientPacket::decode(frame).expect("gleaner's own packets");
            if let ClientPacket::Request { id, request } = &mut packet {
                if let Some(lie) = &lie {
                    *request = (lie.ask)(request.clone());
                }
                asked.lock().expect("lock").insert(*id, request.clone());
            }
            packet.encode(&mut output);
        }
        if server.write_all(&output).await.is_err() {
            return;
        }
    }
}

/// Says what is to be said, until nobody listens or there is nothing more to say.
async fn answer(mut server: ChildStdout, mut mouth: Mouth, lie: Option<FilesLie>, asked: Asked) {
    let mut input = BytesMut::new();
    while let Ok(1..) = server.read_buf(&mut input).await {
        let mut plain = BytesMut::new();
        while let Ok(Some(frame)) = take_frame(&mut input) {
            let packet = ServerPacket::decode(frame).expect("an honest server's packet");
            let ServerPacket::Response { id, response } = packet else {
                mouth.greet(packet, lie.as_ref()).await;
                continue;
            };
            let request = asked.lock().expect("lock").remove(&id).expect("a question");
            let said = match &lie {
                Some(lie) => (lie.answer)(&request, response),
                None => Answer::Response(response),
            };
            match said {
                Answer::Response(response) if mouth.is_prompt() => response.encode(id, &mut plain),
                said => {
                    mouth.say(&plain.split()).await;
                    mouth.lie(id, said).await;
                }
            }
        }
        mouth.say(&plain).await;
    }
}

struct Mouth {
    to_client: ChannelWriteHalf<Msg>,
    crumbs: bool,
    late: bool,
}

impl Mouth {
    fn is_prompt(&self) -> bool {
        !self.crumbs && !self.late
    }

    async fn greet(&mut self, version: ServerPacket, lie: Option<&FilesLie>) {
        let mut honest = BytesMut::new();
        version.encode(&mut honest);
        match lie.and_then(|lie| lie.greeting) {
            None => self.say(&honest).await,
            Some(Greeting::Silence) => std::future::pending().await,
            Some(Greeting::Crumbs) => {
                self.crumbs = true;
                self.say(&honest).await;
            }
            Some(Greeting::Raw(bytes)) => self.say(bytes).await,
            Some(Greeting::Endless(bytes)) => loop {
                self.say(&bytes.repeat(100)).await;
            },
        }
    }

    async fn lie(&mut self, id: u32, answer: Answer) {
        let packet = |response: &Response, id: u32| {
            let mut buffer = BytesMut::new();
            response.encode(id, &mut buffer);
            buffer
        };
        match answer {
            Answer::Response(response) => {
                if self.late {
                    sleep(CRUMB_EVERY).await;
                }
                self.say(&packet(&response, id)).await;
            }
            Answer::Twice(response) => {
                self.say(&packet(&response, id)).await;
                self.say(&packet(&response, id)).await;
            }
            Answer::Misdirected(response) => self.say(&packet(&response, id.wrapping_add(77_777))).await,
            Answer::Raw(bytes) => self.say(&bytes).await,
            Answer::None => {}
            Answer::Silence => std::future::pending().await,
            Answer::Half(response) => {
                let whole = packet(&response, id);
                self.say(&whole[..whole.len() / 2]).await;
                std::future::pending::<()>().await;
            }
            Answer::Crumbs(response) => {
                self.crumbs = true;
                self.say(&packet(&response, id)).await;
            }
            Answer::Late(response) => {
                self.late = true;
                sleep(CRUMB_EVERY).await;
                self.say(&packet(&response, id)).await;
            }
            Answer::AfterEnd(response) => {
                self.to_client.eof().await.ok();
                self.say(&packet(&response, id)).await;
            }
            Answer::HangUp => {
                self.to_client.close().await.ok();
                std::future::pending::<()>().await;
            }
        }
    }

    async fn say(&mut self, bytes: &[u8]) {
        let pieces: Vec<&[u8]> = match self.crumbs {
            true => bytes.chunks(1).collect(),
            false if bytes.is_empty() => return,
            false => vec![bytes],
        };
        for piece in pieces {
            if self.crumbs {
                sleep(CRUMB_EVERY).await;
            }
            if self
                .to_client
                .data_bytes(Bytes::copy_from_slice(piece))
                .await
                .is_err()
            {
                // The client has gone; this ends with the channel.
                std::future::pending::<()>().await;
            }
        }
    }
}
