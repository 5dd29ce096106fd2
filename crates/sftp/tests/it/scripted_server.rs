//! A server scripted by a test.

use bytes::{Bytes, BytesMut};
use sftp::Client;
use sftp::codec::{
    Attributes, ClientPacket, Extension, Hello, Limits, Name, Request, Response, ServerPacket, Status,
    StatusCode, names, take_frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

/// More than any test has in flight, so that the client can write while the test does not read.
pub(crate) const PIPE: usize = 1 << 20;

pub(crate) struct Server {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    received: BytesMut,
}

/// A client's two halves, and the server at the other end.
pub(crate) fn pair() -> (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>, Server) {
    let (near, far) = duplex(PIPE);
    let (reader, writer) = split(far);
    let server = Server {
        reader,
        writer,
        received: BytesMut::new(),
    };
    let (reader, writer) = split(near);
    (reader, writer, server)
}

/// A client after the greeting of a server without extensions.
pub(crate) async fn connected() -> (Client, Server) {
    connected_to(None).await
}

/// A client after the greeting of a server with these limits.
pub(crate) async fn limited(limits: Limits) -> (Client, Server) {
    connected_to(Some(limits)).await
}

async fn connected_to(limits: Option<Limits>) -> (Client, Server) {
    let (reader, writer, mut server) = pair();
    let greeted = async {
        server.greet(3, limits.is_some()).await;
        if let Some(limits) = limits {
            let (id, request) = server.request().await;
            assert_eq!(request, Request::Extended(Extension::Limits));
            server.answer(id, Response::ExtendedReply(limits.encode())).await;
        }
        server
    };
    let (client, server) = tokio::join!(Client::connect(reader, writer), greeted);
    (client.expect("the greeting is right"), server)
}

impl Server {
    pub(crate) async fn greet(&mut self, version: u32, with_limits: bool) {
        let expected = Hello {
            version: 3,
            extensions: Vec::new(),
        };
        assert_eq!(self.packet().await, ClientPacket::Init(expected));
        let limits = (Bytes::from(names::LIMITS), Bytes::from("1"));
        let extensions = if with_limits { vec![limits] } else { Vec::new() };
        let mut buffer = BytesMut::new();
        ServerPacket::Version(Hello { version, extensions }).encode(&mut buffer);
        self.say(&buffer).await;
    }

    pub(crate) async fn request(&mut self) -> (u32, Request) {
        match self.packet().await {
            ClientPacket::Request { id, request } => (id, request),
            ClientPacket::Init(_) => panic!("a second INIT"),
        }
    }

    /// Receives an OPEN and replies with this handle.
    pub(crate) async fn open(&mut self, handle: &'static str) {
        let (id, request) = self.request().await;
        assert!(matches!(request, Request::Open { .. }), "{request:?}");
        self.answer(id, Response::Handle(Bytes::from(handle))).await;
    }

    /// Receives a READ of this range and returns its id.
    pub(crate) async fn read(&mut self, at: u64, expected_length: u32) -> u32 {
        match self.request().await {
            (id, Request::Read { offset, length, .. }) if (offset, length) == (at, expected_length) => id,
            (_, other) => panic!("{other:?} in place of a read of {expected_length} at {at}"),
        }
    }

    /// Receives a CLOSE of this handle and replies to it.
    pub(crate) async fn close(&mut self, name: &'static str) {
        match self.request().await {
            (id, Request::Close { handle }) if handle == name => self.status(id, StatusCode::Ok).await,
            (_, other) => panic!("{other:?} in place of a close of {name}"),
        }
    }

    pub(crate) async fn status(&mut self, id: u32, code: StatusCode) {
        self.answer(id, Response::Status(Status::new(code, ""))).await;
    }

    pub(crate) async fn data(&mut self, id: u32, data: impl Into<Bytes>) {
        self.answer(id, Response::Data(data.into())).await;
    }

    pub(crate) async fn answer(&mut self, id: u32, response: Response) {
        let mut buffer = BytesMut::new();
        response.encode(id, &mut buffer);
        self.say(&buffer).await;
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.expect("the client listens");
    }

    /// Whether the client has closed its end.
    pub(crate) async fn is_abandoned(&mut self) -> bool {
        self.received.clear();
        matches!(self.reader.read_buf(&mut self.received).await, Ok(0))
    }

    /// The next request; `None` once the client has closed its end.
    pub(crate) async fn request_or_end(&mut self) -> Option<(u32, Request)> {
        while take_frame(&mut self.received.clone())
            .expect("a sane length")
            .is_none()
        {
            if self
                .reader
                .read_buf(&mut self.received)
                .await
                .expect("the pipe is whole")
                == 0
            {
                return None;
            }
        }
        Some(self.request().await)
    }

    pub(crate) async fn packet(&mut self) -> ClientPacket {
        loop {
            if let Some(frame) = take_frame(&mut self.received).expect("a sane length") {
                return ClientPacket::decode(frame).expect("a right packet");
            }
            let bytes = self
                .reader
                .read_buf(&mut self.received)
                .await
                .expect("the pipe is whole");
            assert_ne!(bytes, 0, "the client has gone");
        }
    }
}

/// A name without attributes.
pub(crate) fn named(name: &'static str) -> Name {
    Name {
        name: Bytes::from(name),
        long_name: Bytes::new(),
        attributes: Attributes::default(),
    }
}
