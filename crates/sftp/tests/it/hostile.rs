use bytes::Bytes;
use sftp::codec::{Malformed, Response, Status, StatusCode};
use sftp::{Client, ConnectionError, Error, ProtocolError};
use tokio::sync::mpsc;

use crate::scripted_server::{Server, connected, named};
use crate::{cause, download_of_eight, within};

fn breach<T: std::fmt::Debug>(result: Result<T, Error>) -> ProtocolError {
    match &*cause(result) {
        ConnectionError::Protocol(error) => error.clone(),
        other => panic!("{other:?} in place of a breach of protocol"),
    }
}

#[tokio::test]
async fn a_reply_to_no_request_fails_every_request() {
    within(async {
        let (client, mut server) = connected().await;
        let lie = async {
            server.request().await;
            server.request().await;
            server.status(77, StatusCode::Ok).await;
        };
        let (first, second, ()) = tokio::join!(client.lstat(b"a"), client.remove(b"b"), lie);
        assert_eq!(breach(first), ProtocolError::UnknownId { id: 77 });
        assert_eq!(breach(second), ProtocolError::UnknownId { id: 77 });
        assert_eq!(
            breach(client.rmdir(b"c").await),
            ProtocolError::UnknownId { id: 77 }
        );
        assert!(server.is_abandoned().await);
    })
    .await;
}

#[tokio::test]
async fn a_second_reply_to_one_request_is_a_reply_to_none() {
    within(async {
        let (client, mut server) = connected().await;
        let twice = async {
            let (id, _) = server.request().await;
            server.status(id, StatusCode::Ok).await;
            server.status(id, StatusCode::Ok).await;
            id
        };
        let (first, id) = tokio::join!(client.remove(b"a"), twice);
        first.expect("the first reply counts");
        assert_eq!(breach(client.remove(b"b").await), ProtocolError::UnknownId { id });
    })
    .await;
}

#[tokio::test]
async fn a_reply_of_the_wrong_type_fails_the_connection() {
    within(async {
        let replies = [
            (Response::Data(Bytes::from("x")), "DATA"),
            (Response::Handle(Bytes::from("x")), "HANDLE"),
            (
                Response::Status(Status::new(StatusCode::Ok, "")),
                "STATUS of success",
            ),
        ];
        for (response, reply) in replies {
            let (client, mut server) = connected().await;
            let lie = async {
                let (id, _) = server.request().await;
                server.answer(id, response).await;
            };
            let (answer, ()) = tokio::join!(client.stat(b"a"), lie);
            assert_eq!(
                breach(answer),
                ProtocolError::WrongReply {
                    expected: "ATTRS",
                    reply
                }
            );
        }
    })
    .await;
}

#[tokio::test]
async fn more_data_than_requested_fails_the_connection() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = download_of_eight(&client);
        server.open("h").await;
        let id = server.read(0, 4).await;
        server.data(id, "12345").await;
        let error = breach(download.await.expect("no panic"));
        assert_eq!(
            error,
            ProtocolError::LongData {
                requested: 4,
                received: 5
            }
        );
        assert!(chunks.recv().await.is_none(), "no byte of it is delivered");
    })
    .await;
}

#[tokio::test]
async fn empty_data_is_not_the_end_of_a_file() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, _pieces) = download_of_eight(&client);
        server.open("h").await;
        let id = server.read(0, 4).await;
        server.data(id, "").await;
        assert_eq!(
            breach(download.await.expect("no panic")),
            ProtocolError::EmptyData
        );
    })
    .await;
}

#[tokio::test]
async fn a_length_of_four_gibibytes_fails_at_once() {
    within(async {
        let (client, mut server) = connected().await;
        let lie = async {
            server.request().await;
            server.say(&[0xff; 4]).await;
        };
        let (answer, ()) = tokio::join!(client.lstat(b"a"), lie);
        assert!(matches!(
            breach(answer),
            ProtocolError::Malformed(Malformed::TooLong { length: u32::MAX, .. })
        ));
    })
    .await;
}

#[tokio::test]
async fn bytes_left_over_in_a_packet_fail_the_connection() {
    within(async {
        let (client, mut server) = connected().await;
        let lie = async {
            let (id, _) = server.request().await;
            let id = u8::try_from(id).expect("the first");
            server.say(&[0, 0, 0, 10, 105, 0, 0, 0, id, 0, 0, 0, 0, 1]).await;
        };
        let (answer, ()) = tokio::join!(client.lstat(b"a"), lie);
        assert_eq!(
            breach(answer),
            ProtocolError::Malformed(Malformed::Trailing { bytes: 1 })
        );
    })
    .await;
}

#[tokio::test]
async fn a_second_greeting_fails_the_connection() {
    within(async {
        let (client, mut server) = connected().await;
        let lie = async {
            server.request().await;
            server.say(&[0, 0, 0, 5, 2, 0, 0, 0, 3]).await;
        };
        let (answer, ()) = tokio::join!(client.lstat(b"a"), lie);
        assert_eq!(breach(answer), ProtocolError::UnexpectedVersion);
    })
    .await;
}

#[tokio::test]
async fn a_path_answered_with_two_names_fails_the_connection() {
    within(async {
        let (client, mut server) = connected().await;
        let lie = async {
            let (id, _) = server.request().await;
            server
                .answer(id, Response::Name(vec![named("a"), named("b")]))
                .await;
        };
        let (answer, ()) = tokio::join!(client.realpath(b"."), lie);
        assert_eq!(breach(answer), ProtocolError::NameCount { count: 2 });
    })
    .await;
}

#[tokio::test]
async fn a_servers_message_is_cut_and_escaped() {
    within(async {
        let (client, mut server) = connected().await;
        let answers = async {
            let (id, _) = server.request().await;
            let words = format!("\x1b[2J{}", "x".repeat(10_000));
            server
                .answer(id, Response::Status(Status::new(StatusCode::Other(99), words)))
                .await;
        };
        let (removed, ()) = tokio::join!(client.remove(b"a"), answers);
        let shown = removed.expect_err("refused").to_string();
        assert!(
            shown.starts_with("remove a: status 99 (\\u{1b}[2Jxxx") && shown.len() < 300,
            "{shown}"
        );
    })
    .await;
}

/// Sends random bytes after the greeting.
async fn send_garbage(words: &[u8]) {
    let (client, mut server): (Client, Server) = connected().await;
    let (download, _pieces) = download_of_eight(&client);
    let (sink, _batches) = mpsc::channel(100);
    let speak = async move {
        server.request().await;
        server.request().await;
        server.say(words).await;
    };
    let (listed, ()) = tokio::join!(client.list(b"d", &sink), speak);
    assert!(listed.is_err());
    assert!(download.await.expect("no panic").is_err());
}

proptest::proptest! {
    #[test]
    fn random_bytes_from_a_server_fail_every_request(
        kind in 100..106u8, id in 0..3u8, rest in proptest::collection::vec(0..5u8, 0..60),
    ) {
        let mut words = vec![0, 0, 0, u8::try_from(rest.len() + 5).expect("short"), kind, 0, 0, 0, id];
        words.extend(rest);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(within(send_garbage(&words)));
    }
}
