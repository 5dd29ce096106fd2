//! A server whose behaviour is data.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sftp::codec::{
    Attributes, ClientPacket, Extension, FileSystem, Name, Request, Response, Status, StatusCode,
};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::questions::ServerFacts;
use super::{content, extensions, limits};
use crate::input::Input;
use crate::server::{next_packet, version};

/// How long the server waits for further requests before it sends withheld replies.
const PAUSE: Duration = Duration::from_secs(1);
/// The maximum length of a file, or of one reply.
const MAX_LENGTH: usize = 70_000;

/// The behaviour of a server.
#[derive(Debug)]
pub(super) struct Conduct {
    limits: u8,
    /// The size of each of its files in bytes.
    pub(super) size: u64,
    in_the_end: InTheEnd,
}

/// What a server does after the end of its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InTheEnd {
    Answer,
    Close,
    KeepSilent,
}

impl Conduct {
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        Self {
            limits: input.byte(),
            size: u64::from(input.number()),
            in_the_end: match input.byte() % 4 {
                0 => InTheEnd::Close,
                1 => InTheEnd::KeepSilent,
                _ => InTheEnd::Answer,
            },
        }
    }

    pub(super) fn keeps_silent(&self) -> bool {
        self.in_the_end == InTheEnd::KeepSilent
    }
}

pub(super) struct Hostile {
    stream: DuplexStream,
    conduct: Conduct,
    script: Vec<u8>,
    at: usize,
    facts: Arc<ServerFacts>,
    held_back: Vec<(u32, Response)>,
    listed: u8,
}

impl Hostile {
    pub(super) fn new(
        stream: DuplexStream,
        conduct: Conduct,
        script: Vec<u8>,
        facts: Arc<ServerFacts>,
    ) -> Self {
        Self {
            stream,
            conduct,
            script,
            at: 0,
            facts,
            held_back: Vec::new(),
            listed: 0,
        }
    }

    /// Serves until the client closes the stream or the script ends it.
    pub(super) async fn serve(mut self) {
        let mut received = BytesMut::new();
        loop {
            let packet = match timeout(PAUSE, next_packet(&mut self.stream, &mut received)).await {
                Ok(Some(packet)) => packet,
                Ok(None) => return,
                Err(_) if !self.held_back.is_empty() => {
                    self.answer_what_was_held_back().await;
                    continue;
                }
                Err(_) if self.conduct.in_the_end == InTheEnd::Close => return,
                Err(_) => match next_packet(&mut self.stream, &mut received).await {
                    Some(packet) => packet,
                    None => return,
                },
            };
            let goes_on = match packet {
                ClientPacket::Init(_) => {
                    let mut greeting = BytesMut::new();
                    version(extensions(limits(self.conduct.limits).is_some())).encode(&mut greeting);
                    self.say(&greeting).await
                }
                ClientPacket::Request { id, request } => self.act(id, &request).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Handles one request as the script says next. Returns `false` at the end of the connection.
    async fn act(&mut self, id: u32, request: &Request) -> bool {
        let honest = self.honest(request);
        let is_data = matches!(honest, Response::Data(_));
        let mut script = Input(self.script.get(self.at..).unwrap_or_default());
        if script.0.is_empty() && self.conduct.in_the_end != InTheEnd::Answer {
            // Stays silent until the client closes the stream.
            return self.conduct.in_the_end == InTheEnd::KeepSilent;
        }
        let action = script.byte();
        let number = script.byte();
        // Only some actions have a second byte.
        self.at += if action % 16 >= 10 { 2 } else { 1 };
        match action % 16 {
            // Out of order: after the replies that follow, those withheld later first.
            8 | 9 => {
                self.held_back.push((id, honest));
                return true;
            }
            // Short, but never empty.
            10 | 11 if is_data => return self.answer(id, self.shortened(honest, number)).await,
            12 => {
                self.facts.lie();
                let odd = odd_response(number, &honest);
                return self.answer(id, odd).await;
            }
            13 => {
                self.facts.lie();
                return self.answer(id.wrapping_add(u32::from(number)), honest).await;
            }
            14 => {
                self.facts.lie();
                self.answer(id, honest.clone()).await;
                return number.is_multiple_of(2) || self.answer(id, honest).await;
            }
            15 => {
                self.facts.lie();
                let rest = self.script.get(self.at..).unwrap_or_default();
                let garbage = rest
                    .get(..usize::from(number).min(rest.len()))
                    .unwrap_or_default();
                let garbage = garbage.to_vec();
                self.at += garbage.len();
                return self.say(&garbage).await && !garbage.is_empty();
            }
            _ => {}
        }
        self.answer(id, honest).await
    }

    /// The reply of a correct server.
    fn honest(&mut self, request: &Request) -> Response {
        let size = self.conduct.size;
        let status = |code| Response::Status(Status::new(code, Bytes::new()));
        let attributes = Attributes {
            size: Some(size),
            permissions: Some(0o100_644),
            ..Attributes::default()
        };
        match request {
            Request::Open { path, .. } | Request::Opendir { path } => Response::Handle(path.clone()),
            Request::Read { offset, length, .. } => {
                let left = usize::try_from(size.saturating_sub(*offset)).unwrap_or(0);
                match left.min(*length as usize).min(MAX_LENGTH) {
                    0 => status(StatusCode::Eof),
                    length => Response::Data(content(*offset, length)),
                }
            }
            Request::Readdir { .. } => {
                self.listed = self.listed.saturating_add(1);
                match self.listed {
                    1..=3 => Response::Name(entries(self.listed)),
                    4 => Response::Name(Vec::new()),
                    _ => status(StatusCode::Eof),
                }
            }
            Request::Lstat { .. } | Request::Stat { .. } | Request::Fstat { .. } => {
                Response::Attributes(attributes)
            }
            Request::Realpath { .. } => Response::Name(entries(1).split_off(2)),
            Request::Extended(Extension::Limits) => {
                Response::ExtendedReply(limits(self.conduct.limits).unwrap_or_default().encode())
            }
            Request::Extended(Extension::Statvfs { .. }) => {
                Response::ExtendedReply(FileSystem::default().encode())
            }
            _ => status(StatusCode::Ok),
        }
    }

    fn shortened(&self, honest: Response, number: u8) -> Response {
        match honest {
            Response::Data(data) => {
                self.facts.answer_short();
                Response::Data(data.slice(..(usize::from(number) * 16 + 1).min(data.len())))
            }
            other => other,
        }
    }

    async fn answer_what_was_held_back(&mut self) {
        for (id, response) in std::mem::take(&mut self.held_back).into_iter().rev() {
            self.answer(id, response).await;
        }
    }

    async fn answer(&mut self, id: u32, response: Response) -> bool {
        let mut packet = BytesMut::new();
        response.encode(id, &mut packet);
        self.say(&packet).await
    }

    async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }
}

/// `.`, `..` and a name.
fn entries(number: u8) -> Vec<Name> {
    let named = |name: Vec<u8>| Name {
        name: name.into(),
        long_name: Bytes::new(),
        attributes: Attributes::default(),
    };
    vec![
        named(b".".to_vec()),
        named(b"..".to_vec()),
        named(vec![b'a' + number % 26]),
    ]
}

/// A reply that answers no request, or another one. Contents stay those of the file: only their length may be
/// wrong.
fn odd_response(number: u8, honest: &Response) -> Response {
    let long = |data: &Bytes| [&data[..], &data[..]].concat().into();
    match (number % 10, honest) {
        (0, Response::Data(data)) => Response::Data(long(data)),
        (0 | 1, _) => Response::Data(Bytes::new()),
        (2, _) => Response::Status(Status::new(StatusCode::Eof, Bytes::new())),
        (3, _) => Response::Status(Status::new(StatusCode::from(u32::from(number)), "no\x1b[2J\n")),
        (4, _) => Response::Status(Status::new(StatusCode::Ok, Bytes::new())),
        (5, _) => Response::Handle(vec![b'h'; usize::from(number) * 2].into()),
        (6, _) => Response::Name(entries(number)),
        (7, _) => Response::Attributes(Attributes::default()),
        (8, _) => Response::ExtendedReply(vec![0xff; usize::from(number)].into()),
        _ => Response::Handle(Bytes::new()),
    }
}
