use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use sftp::codec::{Attributes, Limits, Request, Response, StatusCode};
use sftp::{Client, ConnectionError};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::scripted_server::{self, connected, limited, pair};
use crate::{cause, download_of_eight, idle, within};

#[tokio::test]
async fn a_late_reply_is_discarded_and_the_connection_stays_open() {
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
        assert!(client.pending_since().is_some(), "the reply is still pending");
        server
            .answer(id, Response::Attributes(Attributes::default()))
            .await;
        let next = async {
            let (id, _) = server.request().await;
            server.status(id, StatusCode::Ok).await;
        };
        let (removed, ()) = tokio::join!(client.remove(b"b"), next);
        removed.expect("the connection stays open");
        assert_eq!(client.pending_since(), None);
    })
    .await;
}

#[tokio::test]
async fn a_file_opened_for_a_dropped_request_is_closed() {
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
async fn no_more_files_are_opened_than_the_servers_limit() {
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
        // The other reads of the first file were sent before; the next OPEN is sent only after the reply to
        // CLOSE.
        server.read(4, 2).await;
        server.read(6, 3).await;
        let (close, request) = server.request().await;
        assert!(matches!(request, Request::Close { .. }), "{request:?}");
        tokio::select! {
            biased;
            request = server.request() => panic!("{request:?} while the first file may be open"),
            () = idle() => {}
        }
        server.status(close, StatusCode::Ok).await;
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
async fn silence_is_counted_only_while_a_reply_is_pending() {
    within(async {
        let (client, mut server) = connected().await;
        assert_eq!(client.pending_since(), None);
        let before = Instant::now();
        let watched = async {
            let (id, _) = server.request().await;
            let since = client.pending_since().expect("pending");
            assert!(since >= before && since <= Instant::now());
            // A byte that completes no packet counts as a sign of life too.
            server.say(&[0]).await;
            while client.pending_since().expect("pending") == since {
                tokio::task::yield_now().await;
            }
            let id = u8::try_from(id).expect("the first");
            server.say(&[0, 0, 9, 105, 0, 0, 0, id, 0, 0, 0, 0]).await;
        };
        let (answer, ()) = tokio::join!(client.lstat(b"a"), watched);
        answer.expect("answered at last");
        assert_eq!(client.pending_since(), None);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_client_closes_the_stream_of_a_silent_server() {
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
async fn a_dropped_client_closes_the_stream_of_a_server_that_stops_reading() {
    within(async {
        let (reader, writer, mut server) = pair();
        let count = Arc::new(AtomicUsize::new(0));
        let writer = CountedWrites {
            inner: writer,
            writes: count.clone(),
        };
        let (client, ()) = tokio::join!(Client::connect(reader, writer), server.greet(3, false));
        let client = client.expect("greeted");
        let long_path = vec![b'x'; 2 * scripted_server::PIPE];
        let blocked = tokio::spawn(async move { client.lstat(&long_path).await });
        idle().await;
        assert_eq!(Arc::strong_count(&count), 2, "the writer waits for room");
        blocked.abort();
        while Arc::strong_count(&count) > 1 {
            tokio::task::yield_now().await;
        }
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
