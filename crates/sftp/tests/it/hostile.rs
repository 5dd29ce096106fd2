use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use sftp::codec::{Attributes, ClientPacket, Limits, Malformed, Name, Request, Response, Status, StatusCode};
use sftp::{Budget, Client, ConnectionError, Error, Outcome, Piece, ProtocolError};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scripted_server::{Server, connected, limited, pair};
use crate::within;

/// The cause of a failed connection.
fn cause<T: std::fmt::Debug>(result: Result<T, Error>) -> Arc<ConnectionError> {
    match result {
        Err(Error::Connection(cause)) => cause,
        other => panic!("{other:?} in place of a failed connection"),
    }
}

fn breach<T: std::fmt::Debug>(result: Result<T, Error>) -> ProtocolError {
    match &*cause(result) {
        ConnectionError::Protocol(error) => error.clone(),
        other => panic!("{other:?} in place of a breach of protocol"),
    }
}

/// A download of a file of eight bytes by READs of four, on its own task.
fn download_of_eight(
    client: &Client,
) -> (
    tokio::task::JoinHandle<Result<Outcome, Error>>,
    mpsc::UnboundedReceiver<Piece>,
) {
    let (sink, pieces) = mpsc::unbounded_channel();
    let client = client.clone();
    let download = async move { client.download(b"file", 0, 8, &Budget::new(16), sink).await };
    (tokio::spawn(download), pieces)
}

async fn gathered(mut pieces: mpsc::UnboundedReceiver<Piece>) -> Vec<(u64, Bytes)> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.recv().await {
        all.push((piece.offset, piece.bytes));
    }
    all
}

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
async fn text_of_a_letter_is_seen_before_more_comes() {
    within(async {
        let (reader, writer, mut server) = pair();
        server.say(b"W").await;
        let error = cause(Client::connect(reader, writer).await);
        assert!(matches!(&*error, ConnectionError::NotSftp { first_bytes } if first_bytes == b"W"));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_says_nothing_and_goes_is_told_apart_from_text() {
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
async fn a_greeting_given_up_lets_go_of_the_stream() {
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
async fn a_reply_to_no_request_fails_everyone() {
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
async fn more_data_than_asked_for_fails_the_connection() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, pieces) = download_of_eight(&client);
        server.open("h").await;
        let id = server.read(0, 4).await;
        server.data(id, "12345").await;
        let error = breach(download.await.expect("no panic"));
        assert_eq!(
            error,
            ProtocolError::LongData {
                asked: 4,
                received: 5
            }
        );
        assert_eq!(gathered(pieces).await, []);
    })
    .await;
}

#[tokio::test]
async fn empty_data_is_no_end_of_a_file() {
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

fn named(name: &'static str) -> Name {
    Name {
        name: Bytes::from(name),
        long_name: Bytes::new(),
        attributes: Attributes::default(),
    }
}

#[tokio::test]
async fn a_late_reply_that_nobody_waits_for_is_dropped_and_the_connection_goes_on() {
    within(async {
        let (client, mut server) = connected().await;
        let id = {
            let mut silent = Box::pin(client.lstat(b"a"));
            tokio::select! {
                biased;
                answer = &mut silent => panic!("{answer:?} from a silent server"),
                (id, _) = server.request() => id,
            }
        };
        assert!(client.owed_since().is_some(), "the reply is still owed");
        server
            .answer(id, Response::Attributes(Attributes::default()))
            .await;
        let next = async {
            let (id, _) = server.request().await;
            server.status(id, StatusCode::Ok).await;
        };
        let (removed, ()) = tokio::join!(client.remove(b"b"), next);
        removed.expect("the connection goes on");
        assert_eq!(client.owed_since(), None);
    })
    .await;
}

#[tokio::test]
async fn a_file_opened_for_nobody_is_closed() {
    within(async {
        let (client, mut server) = connected().await;
        let opening = tokio::spawn({
            let client = client.clone();
            async move { client.open_read(b"file").await }
        });
        let (id, _) = server.request().await;
        opening.abort();
        assert!(opening.await.expect_err("given up").is_cancelled());
        server.answer(id, Response::Handle(Bytes::from("orphan"))).await;
        server.close("orphan").await;
    })
    .await;
}

#[tokio::test]
async fn no_more_files_are_opened_than_the_server_told() {
    within(async {
        let (client, mut server) = limited(Limits {
            open_handles: 1,
            ..Limits::default()
        })
        .await;
        let (first, _pieces) = download_of_eight(&client);
        server.open("first").await;
        let (second, _pieces) = download_of_eight(&client);
        let id = server.read(0, 4).await;
        server.status(id, StatusCode::Failure).await;
        // The other reads of the first file were sent before; the next OPEN comes only after the reply to CLOSE.
        server.read(4, 4).await;
        server.read(8, 1).await;
        server.close("first").await;
        server.open("second").await;
        let error = first.await.expect("no panic").expect_err("refused");
        assert_eq!(error.to_string(), "read file: failure");
        drop(server);
        assert!(matches!(
            &*cause(second.await.expect("no panic")),
            ConnectionError::Closed
        ));
    })
    .await;
}

#[tokio::test]
async fn silence_is_counted_only_while_a_reply_is_owed() {
    within(async {
        let (client, mut server) = connected().await;
        assert_eq!(client.owed_since(), None);
        let before = Instant::now();
        let watched = async {
            let (id, _) = server.request().await;
            let asked = client.owed_since().expect("owed");
            assert!(asked >= before && asked <= Instant::now());
            // A byte that completes nothing is a sign of life all the same.
            server.say(&[0]).await;
            while client.owed_since().expect("owed") == asked {
                tokio::task::yield_now().await;
            }
            let id = u8::try_from(id).expect("the first");
            server.say(&[0, 0, 9, 105, 0, 0, 0, id, 0, 0, 0, 0]).await;
        };
        let (answer, ()) = tokio::join!(client.lstat(b"a"), watched);
        answer.expect("answered at last");
        assert_eq!(client.owed_since(), None);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_client_lets_go_of_a_silent_server() {
    within(async {
        let (client, mut server) = connected().await;
        let waiting = tokio::spawn(async move { client.lstat(b"a").await });
        server.request().await;
        waiting.abort();
        assert!(server.is_abandoned().await);
    })
    .await;
}

#[tokio::test]
async fn requests_made_together_go_out_in_one_write() {
    within(async {
        let (reader, writer, mut server) = pair();
        let count = Arc::new(AtomicUsize::new(0));
        let writer = CountedWrites {
            inner: writer,
            writes: count.clone(),
        };
        let (client, ()) = tokio::join!(Client::connect(reader, writer), server.greet(3, false));
        let client = client.expect("greeted");
        let before = count.load(Ordering::Relaxed);
        let mut removals = tokio::task::JoinSet::new();
        for number in 0..500 {
            let client = client.clone();
            removals.spawn(async move { client.remove(format!("file-{number}").as_bytes()).await });
        }
        for _ in 0..500 {
            let (id, _) = server.request().await;
            server.status(id, StatusCode::Ok).await;
        }
        while let Some(removed) = removals.join_next().await {
            removed.expect("no panic").expect("removed");
        }
        assert_eq!(count.load(Ordering::Relaxed) - before, 1);
    })
    .await;
}

struct CountedWrites<W> {
    inner: W,
    writes: Arc<AtomicUsize>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for CountedWrites<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_directory_answered_out_of_order_is_listed_whole() {
    within(async {
        let (client, mut server) = connected().await;
        let (sink, mut batches) = mpsc::channel(10);
        let answers = async {
            let (open, _) = server.request().await;
            server.answer(open, Response::Handle(Bytes::from("d"))).await;
            let (first, _) = server.request().await;
            let (second, _) = server.request().await;
            server.status(second, StatusCode::Eof).await;
            server
                .answer(first, Response::Name(vec![named("."), named("a"), named("..")]))
                .await;
            loop {
                match server.request().await {
                    (id, Request::Readdir { .. }) => server.status(id, StatusCode::Eof).await,
                    (id, Request::Close { .. }) => return server.status(id, StatusCode::Ok).await,
                    (_, other) => panic!("{other:?}"),
                }
            }
        };
        let (listed, ()) = tokio::join!(client.list(b"d", &sink), answers);
        assert_eq!(listed.expect("listed"), 1);
        assert_eq!(batches.recv().await.expect("a batch")[0].name, "a");
    })
    .await;
}

#[tokio::test]
async fn a_listing_waits_for_whoever_takes_it() {
    within(async {
        let (client, mut server) = connected().await;
        let (sink, mut batches) = mpsc::channel(1);
        let listing = tokio::spawn(async move { client.list(b"endless", &sink).await });
        let (open, _) = server.request().await;
        server.answer(open, Response::Handle(Bytes::from("d"))).await;
        let mut answered = 0;
        // The server has names without end; nobody takes them; the requests dry up by themselves.
        while let Ok((id, _)) =
            tokio::time::timeout(std::time::Duration::from_millis(200), server.request()).await
        {
            server.answer(id, Response::Name(vec![named("again")])).await;
            answered += 1;
            assert!(answered < 100, "requests go on though nobody takes the names");
        }
        assert_eq!(batches.recv().await.expect("a batch").len(), 1);
        drop(batches);
        let error = listing.await.expect("no panic").expect_err("given up");
        assert_eq!(
            error.to_string(),
            "list endless: nobody takes the result any more"
        );
    })
    .await;
}

#[tokio::test]
async fn the_words_of_a_server_are_cut_and_escaped() {
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

#[tokio::test]
async fn limits_that_say_nothing_or_are_refused_leave_the_defaults() {
    within(async {
        let (client, _server) = limited(Limits::default()).await;
        assert_eq!(client.read_length(), 32 * 1024);

        let (reader, writer, mut server) = pair();
        let refused = async {
            server.greet(3, true).await;
            let (id, _) = server.request().await;
            server.status(id, StatusCode::OpUnsupported).await;
        };
        let (client, ()) = tokio::join!(Client::connect(reader, writer), refused);
        assert_eq!(client.expect("connected").read_length(), 32 * 1024);
    })
    .await;
}

/// Says random things after the greeting.
async fn babble(words: &[u8]) {
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
    fn whatever_a_server_babbles_everyone_gets_an_error(
        kind in 100..106u8, id in 0..3u8, rest in proptest::collection::vec(0..5u8, 0..60),
    ) {
        let mut words = vec![0, 0, 0, u8::try_from(rest.len() + 5).expect("short"), kind, 0, 0, 0, id];
        words.extend(rest);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(within(babble(&words)));
    }
}
