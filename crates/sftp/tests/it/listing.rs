use bytes::Bytes;
use sftp::codec::{Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::scripted_server::{connected, named};
use crate::{idle, within};

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
async fn a_listing_waits_for_its_receiver() {
    within(async {
        let (client, mut server) = connected().await;
        let (sink, mut batches) = mpsc::channel(1);
        let listing = tokio::spawn(async move { client.list(b"endless", &sink).await });
        let (open, _) = server.request().await;
        server.answer(open, Response::Handle(Bytes::from("d"))).await;
        let mut answered = 0;
        // The server has names without end and no one takes them: the client must stop sending requests.
        loop {
            let (id, _) = tokio::select! {
                biased;
                request = server.request() => request,
                () = idle() => break,
            };
            server.answer(id, Response::Name(vec![named("again")])).await;
            answered += 1;
            assert!(answered < 100, "requests continue though no one takes the names");
        }
        assert_eq!(batches.recv().await.expect("a batch").len(), 1);
        drop(batches);
        let error = listing.await.expect("no panic").expect_err("given up");
        assert_eq!(
            error.to_string(),
            "list endless: the receiver of the result was dropped"
        );
    })
    .await;
}
