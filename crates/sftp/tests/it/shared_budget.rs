//! Downloads from OpenSSH's server that share a budget and its open handles.

use std::fs;
use std::path::Path;

use sftp::{Budget, DownloadOutcome, FileChunk};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::openssh::{MEBIBYTE, drain_replies, fetch, noise, served};
use crate::within;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_downloads_share_a_small_budget() {
    within(async {
        let (client, _child, directory) = served().await;
        let budget = Budget::new(300 * 1024);
        let mut downloads = JoinSet::new();
        for number in 0..200usize {
            let contents = noise(number * 5003, number as u64 + 11);
            let path = format!("file-{number}");
            fs::write(directory.path().join(&path), &contents).expect("written");
            let (client, budget) = (client.clone(), budget.clone());
            downloads.spawn(async move {
                let fetched = fetch(&client, path.as_bytes(), 0, contents.len() as u64, &budget).await;
                let (outcome, fetched) = fetched.expect("downloaded");
                assert!(
                    outcome == DownloadOutcome::Complete && fetched == contents,
                    "{path} came otherwise"
                );
            });
        }
        while let Some(done) = downloads.join_next().await {
            done.expect("right");
        }
        assert_eq!(budget.available(), 300 * 1024);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_files_than_may_be_open_at_once_are_all_downloaded() {
    within(async {
        let (client, child, directory) = served().await;
        let most_open = open_files(&child) + 1024;
        fs::write(directory.path().join("file"), b"small").expect("written");
        let budget = Budget::new(MEBIBYTE);
        let mut downloads = JoinSet::new();
        for _ in 0..3000 {
            let (client, budget) = (client.clone(), budget.clone());
            downloads.spawn(async move { fetch(&client, b"file", 0, 5, &budget).await });
        }
        while let Some(done) = downloads.join_next().await {
            assert_eq!(
                done.expect("right").expect("downloaded"),
                (DownloadOutcome::Complete, b"small".to_vec())
            );
            assert!(open_files(&child) <= most_open);
        }
        drain_replies(&client).await;
        assert_eq!(open_files(&child), most_open - 1024, "every handle was closed");
    })
    .await;
}

fn open_files(child: &Child) -> usize {
    let descriptors = format!("/proc/{}/fd", child.id().expect("running"));
    fs::read_dir(Path::new(&descriptors)).expect("a process").count()
}

#[tokio::test]
async fn abandoned_downloads_return_their_handles_and_credit() {
    within(async {
        let (client, child, directory) = served().await;
        fs::write(directory.path().join("file"), noise(3_000_000, 9)).expect("written");
        let before = open_files(&child);
        let budget = Budget::new(MEBIBYTE);
        for _ in 0..20 {
            let (sink, mut chunks) = mpsc::unbounded_channel::<FileChunk>();
            let download = client.download(b"file", 0, 3_000_000, &budget, sink);
            tokio::select! {
                biased;
                first = chunks.recv() => assert!(first.is_some()),
                outcome = download => panic!("complete without its credit: {outcome:?}"),
            }
        }
        drain_replies(&client).await;
        assert_eq!(budget.available(), MEBIBYTE as usize);
        assert_eq!(open_files(&child), before);
    })
    .await;
}

#[tokio::test]
async fn files_as_long_as_a_read_do_not_wait_for_each_others_last_byte() {
    within(async {
        let (client, _child, directory) = served().await;
        let read = client.read_length().await;
        let budget = Budget::new(4 * read);
        let mut downloads = JoinSet::new();
        for number in 0..64u64 {
            let size = u64::from(read) * (1 + number % 3);
            let path = format!("file-{number}");
            fs::write(
                directory.path().join(&path),
                vec![7; usize::try_from(size).expect("small")],
            )
            .expect("written");
            let (client, budget) = (client.clone(), budget.clone());
            downloads.spawn(async move {
                let (sink, mut chunks) = mpsc::unbounded_channel::<FileChunk>();
                // Stands for a consumer that writes a file's last bytes when it seals the file: it holds
                // their credit until the download ends.
                let consumer = async {
                    let (mut held, mut missing) = (Vec::new(), size);
                    while let Some(chunk) = chunks.recv().await {
                        missing -= chunk.bytes.len() as u64;
                        held.extend((missing == 0).then_some(chunk));
                    }
                };
                let (outcome, ()) =
                    tokio::join!(client.download(path.as_bytes(), 0, size, &budget, sink), consumer);
                assert_eq!(outcome.expect("downloaded"), DownloadOutcome::Complete);
            });
        }
        while let Some(done) = downloads.join_next().await {
            done.expect("right");
        }
    })
    .await;
}
