use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use sftp::codec::{Limits, Request, Response, Status, StatusCode};
use sftp::{Budget, ChunkSink, Client, DownloadOutcome, FileChunk};
use tokio::sync::mpsc;

use crate::scripted_server::{Server, connected, limited};
use crate::{Download, idle, within};

fn start(client: &Client, size: u64, budget: &Budget) -> (Download, mpsc::UnboundedReceiver<FileChunk>) {
    let (sink, chunks) = mpsc::unbounded_channel();
    let (client, budget) = (client.clone(), budget.clone());
    (
        tokio::spawn(async move { client.download(b"file", 0, size, &budget, sink).await }),
        chunks,
    )
}

async fn next(chunks: &mut mpsc::UnboundedReceiver<FileChunk>) -> (u64, Bytes) {
    let chunk = chunks.recv().await.expect("a chunk");
    (chunk.offset, chunk.bytes.clone())
}

#[tokio::test]
async fn a_small_file_takes_open_read_and_an_unawaited_close() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = start(&client, 5, &Budget::new(100_000));
        server.open("h").await;
        let id = server.read(0, 6).await;
        server.data(id, "12345").await;
        assert_eq!(
            download.await.expect("no panic").expect("downloaded"),
            DownloadOutcome::Complete
        );
        assert_eq!(next(&mut chunks).await, (0, Bytes::from("12345")));
        assert!(chunks.recv().await.is_none());
        server.close("h").await;
    })
    .await;
}

/// Wants only the first chunk.
struct First(mpsc::UnboundedSender<FileChunk>);

impl ChunkSink for First {
    fn deliver(&mut self, chunk: FileChunk) -> bool {
        self.0.send(chunk).is_ok()
    }

    fn wants_more(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_sink_that_stops_gets_the_requested_bytes_and_no_more() {
    within(async {
        let (client, mut server) = connected().await;
        let (sink, mut chunks) = mpsc::unbounded_channel();
        let budget = Budget::new(100_000);
        let download = client.download(b"file", 10, 60_000, &budget, First(sink));
        let serving = async {
            server.open("h").await;
            let id = server.read(10, 25_000).await;
            server.data(id, vec![7; 25_000]).await;
            server.close("h").await;
        };
        let (outcome, ()) = tokio::join!(download, serving);
        assert_eq!(outcome.expect("downloaded"), DownloadOutcome::Stopped);
        let (offset, bytes) = next(&mut chunks).await;
        assert_eq!((offset, bytes.len()), (10, 25_000));
        assert!(chunks.recv().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_empty_file_is_complete_without_a_chunk() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = start(&client, 0, &Budget::new(100_000));
        server.open("h").await;
        let id = server.read(0, 1).await;
        server.status(id, StatusCode::Eof).await;
        assert_eq!(
            download.await.expect("no panic").expect("downloaded"),
            DownloadOutcome::Complete
        );
        assert!(chunks.recv().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_short_read_is_requested_again() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = start(&client, 8, &Budget::new(16));
        server.open("h").await;
        let (first, second) = (server.read(0, 4).await, server.read(4, 2).await);
        let last = server.read(6, 3).await;
        server.data(first, "1").await;
        server.data(second, "56").await;
        server.data(last, "78").await;
        let rest = server.read(1, 3).await;
        server.data(rest, "23").await;
        let rest = server.read(3, 1).await;
        server.data(rest, "4").await;
        assert_eq!(
            download.await.expect("no panic").expect("downloaded"),
            DownloadOutcome::Complete
        );
        assert_eq!(next(&mut chunks).await, (0, Bytes::from("1234")));
        assert_eq!(next(&mut chunks).await, (4, Bytes::from("56")));
        assert_eq!(next(&mut chunks).await, (6, Bytes::from("78")));
    })
    .await;
}

#[tokio::test]
async fn replies_out_of_order_are_delivered_in_order() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = start(&client, 8, &Budget::new(16));
        server.open("h").await;
        let (first, second) = (server.read(0, 4).await, server.read(4, 2).await);
        let last = server.read(6, 3).await;
        server.data(last, "78").await;
        server.data(second, "56").await;
        server.data(first, "1234").await;
        assert_eq!(
            download.await.expect("no panic").expect("downloaded"),
            DownloadOutcome::Complete
        );
        assert_eq!(next(&mut chunks).await, (0, Bytes::from("1234")));
        assert_eq!(next(&mut chunks).await, (4, Bytes::from("56")));
        assert_eq!(next(&mut chunks).await, (6, Bytes::from("78")));
    })
    .await;
}

#[tokio::test]
async fn an_end_within_a_short_read_gives_the_size() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, mut chunks) = start(&client, 100, &Budget::new(100_000));
        server.open("h").await;
        let id = server.read(0, 101).await;
        server.data(id, "123").await;
        let id = server.read(3, 98).await;
        server.status(id, StatusCode::Eof).await;
        let outcome = download.await.expect("no panic").expect("downloaded");
        assert_eq!(outcome, DownloadOutcome::Truncated { size: 3 });
        assert_eq!(next(&mut chunks).await, (0, Bytes::from("123")));
    })
    .await;
}

#[tokio::test]
async fn short_replies_make_later_reads_shorter() {
    within(async {
        let (client, mut server) = limited(Limits {
            read_length: 20_000,
            ..Limits::default()
        })
        .await;
        let (_download, mut chunks) = start(&client, 1_000_000, &Budget::new(80_000));
        server.open("h").await;
        let (first, second) = (server.read(0, 20_000).await, server.read(20_000, 20_000).await);
        server.read(40_000, 20_000).await;
        server.read(60_000, 20_000).await;
        server.data(first, vec![1; 8000]).await;
        let rest = server.read(8000, 12_000).await;
        server.data(rest, vec![1; 12_000]).await;
        assert_eq!(next(&mut chunks).await.1.len(), 20_000);
        // This request was waiting for its credit before the short reply arrived.
        server.read(80_000, 20_000).await;
        server.data(second, vec![1; 20_000]).await;
        assert_eq!(next(&mut chunks).await.1.len(), 20_000);
        server.read(100_000, 8000).await;
        server.read(108_000, 8000).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_beyond_the_budget_is_requested_until_a_chunk_drops() {
    within(async {
        let (client, mut server) = connected().await;
        let budget = Budget::new(16);
        let (_download, mut chunks) = start(&client, 1000, &budget);
        server.open("h").await;
        let mut ids = VecDeque::new();
        for number in 0..4 {
            ids.push_back(server.read(number * 4, 4).await);
        }
        for id in ids.drain(..2) {
            server.data(id, "1234").await;
        }
        let held = chunks.recv().await.expect("a chunk");
        let second = chunks.recv().await.expect("a chunk");
        assert_eq!(budget.available(), 0);
        drop(held);
        server.read(16, 4).await;
        drop(second);
        server.read(20, 4).await;
        assert_eq!(budget.available(), 0);
    })
    .await;
}

#[tokio::test]
async fn credit_of_an_abandoned_download_returns_with_the_late_replies() {
    within(async {
        let (client, mut server) = connected().await;
        let budget = Budget::new(16);
        let (download, _pieces) = start(&client, 1000, &budget);
        server.open("h").await;
        let mut ids = VecDeque::new();
        for number in 0..4 {
            ids.push_back(server.read(number * 4, 4).await);
        }
        download.abort();
        assert!(download.await.expect_err("given up").is_cancelled());
        server.close("h").await;
        assert_eq!(budget.available(), 0, "the server may still send all of it");
        for id in ids {
            server.data(id, "1234").await;
        }
        while budget.available() < 16 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_download_without_a_receiver_ends_and_closes_its_file() {
    within(async {
        let (client, mut server) = connected().await;
        let (download, chunks) = start(&client, 5, &Budget::new(100));
        drop(chunks);
        server.open("h").await;
        let id = server.read(0, 6).await;
        server.data(id, "12345").await;
        let error = download.await.expect("no panic").expect_err("given up");
        assert_eq!(
            error.to_string(),
            "read file: the receiver of the result was dropped"
        );
        server.close("h").await;
    })
    .await;
}

/// The behaviour of the server in the property below: each number decides one reply.
#[derive(Clone, Debug)]
struct ServerBehavior(Vec<u8>);

impl ServerBehavior {
    fn next(&mut self, below: usize) -> usize {
        self.0.rotate_left(1);
        usize::from(*self.0.first().expect("some behavior")) % below.max(1)
    }
}

/// Serves one file with replies of any order and length.
async fn serve(mut server: Server, contents: Vec<u8>, mut behavior: ServerBehavior) {
    let mut waiting = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            request = server.request_or_end() => Some(request),
            () = idle(), if !waiting.is_empty() => None,
        };
        match next {
            Some(Some(request)) => waiting.push(request),
            Some(None) => return,
            None => {
                let (id, request) = waiting.swap_remove(behavior.next(waiting.len()));
                let response = reply(&request, &contents, &mut behavior);
                server.answer(id, response).await;
            }
        }
    }
}

fn reply(request: &Request, contents: &[u8], behavior: &mut ServerBehavior) -> Response {
    match request {
        Request::Open { .. } => Response::Handle(Bytes::from("h")),
        Request::Read { offset, length, .. } => {
            let rest = contents
                .get(usize::try_from(*offset).expect("small")..)
                .unwrap_or_default();
            let most = rest.len().min(*length as usize);
            match most {
                0 => Response::Status(Status::new(StatusCode::Eof, "")),
                most => Response::Data(Bytes::copy_from_slice(&rest[..most - behavior.next(most.min(3))])),
            }
        }
        _ => Response::Status(Status::new(StatusCode::Ok, "")),
    }
}

async fn downloaded(size: usize, expected: usize, from: usize, capacity: u32, behavior: ServerBehavior) {
    let (client, server) = connected().await;
    let contents: Vec<u8> = (0..size)
        .map(|index| u8::try_from(index % 251).expect("small"))
        .collect();
    let serving = tokio::spawn(serve(server, contents.clone(), behavior));
    let budget = Budget::new(capacity);
    let (sink, mut chunks) = mpsc::unbounded_channel::<FileChunk>();
    let gathered = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            assert_eq!(chunk.offset, (from + bytes.len()) as u64);
            assert_eq!(chunk.credit.num_permits(), chunk.bytes.len());
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    };
    let download = client.download(b"file", from as u64, expected as u64, &budget, sink);
    let (outcome, bytes) = tokio::join!(download, gathered);
    match outcome.expect("downloaded") {
        DownloadOutcome::Truncated { size: found } => {
            assert!(size < expected);
            assert_eq!(found, size.max(from) as u64);
        }
        DownloadOutcome::Grown => assert!(size > expected),
        // A short reply that ends at the expected size hides any growth. A download that begins there cannot
        // see what precedes it.
        DownloadOutcome::Complete => assert!(size >= expected || from == expected),
        DownloadOutcome::Stopped => panic!("the sink did not stop it"),
    }
    assert_eq!(bytes, contents.get(from..expected.min(size)).unwrap_or_default());
    drop(client);
    serving.await.expect("served");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replies_of_any_order_and_length_give_the_bytes_of_the_file(
        size in 0..60usize,
        difference in -3..4isize,
        from in 0..10usize,
        capacity in 1..40u32,
        behavior in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let expected = size.saturating_add_signed(difference);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let download = downloaded(size, expected, from.min(expected), capacity, ServerBehavior(behavior));
        runtime.block_on(within(download));
    }
}
