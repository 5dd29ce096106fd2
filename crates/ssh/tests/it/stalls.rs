//! A device that stops answering differs from a slow consumer.

use std::fs;
use std::time::Duration;

use engine::ports::device::Session;
use model::FailureClass;
use rustix::process::Signal;
use testbed::processes::signal_all;
use tokio::sync::mpsc;

use crate::world::{World, relative, survey};

#[tokio::test]
async fn a_device_that_stops_within_a_file_stalls_after_stall_timeout() {
    let mut world = World::new().device("hive", "");
    world.stall_timeout = Duration::from_secs(1);
    let (path, source) = world.source("data");
    fs::File::create(path.join("large"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let (chunks, mut received) = mpsc::unbounded_channel();
    let server = world.server("hive");
    let consume = async {
        received.recv().await.unwrap();
        signal_all(&server.session_processes(), Signal::STOP);
        while received.recv().await.is_some() {}
    };
    let large = relative("large");
    let fetched = hive.fetch(&source, &large, 0, 1 << 40, chunks);
    let (fetched, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(fetched, consume) })
            .await
            .unwrap();
    let failure = fetched.unwrap_err();
    assert_eq!(failure.class, FailureClass::Stalled, "{failure}");
    // All requests receive the same failure.
    assert_eq!(hive.inspect(&source, &[large]).await.unwrap_err(), failure);
    signal_all(&server.session_processes(), Signal::CONT);
}

#[tokio::test]
async fn a_device_that_stops_within_a_listing_stalls_after_stall_timeout() {
    let mut world = World::new().device("hive", "");
    world.stall_timeout = Duration::from_secs(1);
    let (_, source) = world.source("data");
    let hive = world.connect("hive", &[]).await.unwrap();
    let server = world.server("hive");
    signal_all(&server.session_processes(), Signal::STOP);
    let failure = survey(&hive, &source).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Stalled, "{failure}");
    signal_all(&server.session_processes(), Signal::CONT);
}

#[tokio::test]
async fn a_consumer_that_holds_every_credit_for_long_is_no_stall() {
    let mut world = World::new().device("hive", "");
    world.stall_timeout = Duration::from_millis(500);
    let (path, source) = world.source("data");
    fs::File::create(path.join("large"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let (chunks, mut received) = mpsc::unbounded_channel::<engine::ports::device::Chunk>();
    let consume = async {
        let first = received.recv().await.unwrap();
        let mut held = vec![first];
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let mut most = 0;
        while let Ok(chunk) = received.try_recv() {
            held.push(chunk);
            most = held.iter().map(|chunk| chunk.bytes.len()).sum();
        }
        drop(held);
        while received.recv().await.is_some() {}
        most
    };
    let large = relative("large");
    let fetched = hive.fetch(&source, &large, 0, 64 << 20, chunks);
    let (fetched, most) = tokio::join!(fetched, consume);
    assert_eq!(fetched, Ok(Ok(64 << 20)));
    assert!(most <= 8 << 20, "{most}");
}

#[tokio::test]
async fn a_device_that_ends_the_connection_is_no_stall() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::File::create(path.join("large"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let (chunks, mut received) = mpsc::unbounded_channel();
    let server = world.server("hive");
    let consume = async {
        received.recv().await.unwrap();
        signal_all(&server.session_processes(), Signal::KILL);
        while received.recv().await.is_some() {}
    };
    let large = relative("large");
    let (fetched, ()) = tokio::join!(hive.fetch(&source, &large, 0, 1 << 40, chunks), consume);
    let failure = fetched.unwrap_err();
    assert_eq!(failure.class, FailureClass::Protocol, "{failure}");
}
