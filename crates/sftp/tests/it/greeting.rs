use bytes::Bytes;
use sftp::codec::{ClientPacket, Limits, Request, Response, StatusCode};
use sftp::{Client, ConnectionError};
use tokio::io::AsyncReadExt;

use crate::scripted_server::{limited, pair};
use crate::{cause, within};

#[tokio::test]
async fn text_in_place_of_a_greeting_is_shown() {
    within(async {
        let (reader, writer, mut server) = pair();
        server.say(b"Welcome to \x1b[31mfield station 7\r\n").await;
        let error = cause(Client::connect(reader, writer).await);
        let shown = "the server does not speak SFTP, its first bytes are 'Welcome to \\u{1b}[31mfield station 7\\r\\n'";
        assert_eq!(error.to_string(), shown);
    })
    .await;
}

#[tokio::test]
async fn text_that_arrives_in_parts_is_shown_as_far_as_received() {
    within(async {
        let reader = b"Wel".chain(&b"come"[..]);
        let error = cause(Client::connect(reader, tokio::io::sink()).await);
        assert!(matches!(&*error, ConnectionError::NotSftp { first_bytes } if first_bytes == b"Welcome"));
    })
    .await;
}

#[tokio::test]
async fn one_letter_of_text_is_recognised_before_more_arrives() {
    within(async {
        let (reader, writer, mut server) = pair();
        server.say(b"W").await;
        let error = cause(Client::connect(reader, writer).await);
        assert!(matches!(&*error, ConnectionError::NotSftp { first_bytes } if first_bytes == b"W"));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_closes_without_a_byte_has_its_own_error() {
    within(async {
        let (reader, writer, server) = pair();
        let gone = async {
            let mut server = server;
            assert!(matches!(server.packet().await, ClientPacket::Init(_)));
        };
        let (client, ()) = tokio::join!(Client::connect(reader, writer), gone);
        assert!(matches!(&*cause(client), ConnectionError::Closed));
    })
    .await;
}

#[tokio::test]
async fn a_server_of_another_version_is_refused() {
    within(async {
        let (reader, writer, mut server) = pair();
        let (client, ()) = tokio::join!(Client::connect(reader, writer), server.greet(6, false));
        assert!(matches!(&*cause(client), ConnectionError::Version { version: 6 }));
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_greeting_drops_the_stream() {
    within(async {
        let (reader, writer, mut server) = pair();
        let connecting = tokio::spawn(Client::connect(reader, writer));
        assert!(matches!(server.packet().await, ClientPacket::Init(_)));
        connecting.abort();
        assert!(server.is_abandoned().await);
    })
    .await;
}

#[tokio::test]
async fn empty_or_refused_limits_leave_the_defaults() {
    within(async {
        let (client, _server) = limited(Limits::default()).await;
        assert_eq!(client.read_length().await, 32 * 1024);

        let (reader, writer, mut server) = pair();
        let refused = async {
            server.greet(3, true).await;
            let (id, _) = server.request().await;
            server.status(id, StatusCode::OpUnsupported).await;
        };
        let (client, ()) = tokio::join!(Client::connect(reader, writer), refused);
        assert_eq!(client.expect("connected").read_length().await, 32 * 1024);
    })
    .await;
}

#[tokio::test]
async fn only_requests_that_need_the_limits_wait_for_them() {
    within(async {
        let (reader, writer, mut server) = pair();
        let (client, ()) = tokio::join!(Client::connect(reader, writer), server.greet(3, true));
        let client = client.expect("connected before the limits are known");
        let (limits_id, _) = server.request().await;
        let opening = tokio::spawn({
            let client = client.clone();
            async move { client.open_read(b"file").await.map(drop) }
        });
        let looking = tokio::spawn(async move { client.lstat(b"file").await.map(drop) });
        let (look_id, request) = server.request().await;
        assert!(matches!(request, Request::Lstat { .. }), "{request:?}");
        server.status(look_id, StatusCode::NoSuchFile).await;
        looking.await.expect("no panic").expect_err("it is not there");

        let limits = Limits::default().encode();
        server.answer(limits_id, Response::ExtendedReply(limits)).await;
        let (open_id, request) = server.request().await;
        assert!(matches!(request, Request::Open { .. }), "{request:?}");
        server.status(open_id, StatusCode::NoSuchFile).await;
        opening.await.expect("no panic").expect_err("it is not there");
    })
    .await;
}

#[tokio::test]
async fn a_failed_connection_fails_requests_that_wait_for_its_limits() {
    within(async {
        let (reader, writer, mut server) = pair();
        let (client, ()) = tokio::join!(Client::connect(reader, writer), server.greet(3, true));
        let client = client.expect("connected");
        let (limits_id, _) = server.request().await;
        let opening = tokio::spawn(async move { client.open_read(b"file").await.map(drop) });
        let malformed = Response::ExtendedReply(Bytes::from_static(b"1"));
        server.answer(limits_id, malformed).await;
        let error = opening
            .await
            .expect("no panic")
            .expect_err("there is no connection");
        assert!(matches!(error, sftp::Error::Connection(_)), "{error}");
    })
    .await;
}
