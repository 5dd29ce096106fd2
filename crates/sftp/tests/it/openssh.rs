use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use sftp::codec::names;
use sftp::{Budget, Client, DownloadOutcome, Entry, Error, FileChunk, StatusCode};
use tempfile::{TempDir, tempdir};
use tokio::process::Child;
use tokio::sync::mpsc;

use crate::{openssh_server, within};

pub(crate) const MEBIBYTE: u32 = 1024 * 1024;

pub(crate) async fn served() -> (Client, Child, TempDir) {
    let directory = tempdir().expect("a directory");
    let (client, child) = openssh_server::start(directory.path()).await;
    (client, child, directory)
}

pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// Downloads from an offset, checking that chunks arrive in order and without gaps.
pub(crate) async fn fetch(
    client: &Client,
    path: &[u8],
    from: u64,
    size: u64,
    budget: &Budget,
) -> Result<(DownloadOutcome, Vec<u8>), Error> {
    let (sink, mut chunks) = mpsc::unbounded_channel::<FileChunk>();
    let gathered = async move {
        let mut contents = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            assert_eq!(chunk.offset, from + contents.len() as u64);
            assert_eq!(chunk.credit.num_permits(), chunk.bytes.len());
            contents.extend_from_slice(&chunk.bytes);
        }
        contents
    };
    let (outcome, contents) = tokio::join!(client.download(path, from, size, budget, sink), gathered);
    Ok((outcome?, contents))
}

async fn listing(client: &Client, path: &[u8]) -> Result<Vec<Entry>, Error> {
    let (sink, mut batches) = mpsc::channel(1);
    let gathered = async move {
        let mut entries = Vec::new();
        while let Some(batch) = batches.recv().await {
            entries.extend(batch);
        }
        entries
    };
    let listed = async {
        let listed = client.list(path, &sink).await;
        drop(sink);
        listed
    };
    let (listed, entries) = tokio::join!(listed, gathered);
    assert_eq!(listed?, entries.len() as u64);
    Ok(entries)
}

#[tokio::test]
async fn its_limits_and_extensions_are_known() {
    within(async {
        let (client, _child, _directory) = served().await;
        assert!(client.supports(names::POSIX_RENAME) && client.supports(names::STATVFS));
        assert!(!client.supports("teleport@openssh.com"));
        if client.supports(names::LIMITS) {
            assert_eq!(client.read_length().await, 255 * 1024);
        }
        assert!(client.traffic().received > 0 && client.traffic().sent > 0);
        assert_eq!(client.pending_since(), None);
    })
    .await;
}

#[tokio::test]
async fn files_of_every_size_come_whole() {
    within(async {
        let (client, _child, directory) = served().await;
        let budget = Budget::new(2 * MEBIBYTE);
        let chunk = client.read_length().await as usize;
        for size in [0, 1, 4096, chunk - 1, chunk, chunk + 1, 3 * chunk, 20_000_003] {
            let contents = noise(size, 7);
            fs::write(directory.path().join("file"), &contents).expect("written");
            let fetched = fetch(&client, b"file", 0, size as u64, &budget).await;
            let (outcome, fetched) = fetched.expect("downloaded");
            assert_eq!(outcome, DownloadOutcome::Complete);
            assert!(fetched == contents, "a file of {size} bytes came otherwise");
        }
        assert_eq!(budget.available(), 2 * MEBIBYTE as usize);
    })
    .await;
}

#[tokio::test]
async fn a_download_continues_where_another_stopped() {
    within(async {
        let (client, _child, directory) = served().await;
        let contents = noise(1_000_000, 3);
        fs::write(directory.path().join("file"), &contents).expect("written");
        let budget = Budget::new(MEBIBYTE);
        let (outcome, rest) = fetch(&client, b"file", 999_000, 1_000_000, &budget)
            .await
            .expect("downloaded");
        assert_eq!(outcome, DownloadOutcome::Complete);
        assert_eq!(rest, contents[999_000..]);
        let (outcome, rest) = fetch(&client, b"file", 1_000_000, 1_000_000, &budget)
            .await
            .expect("downloaded");
        assert_eq!((outcome, rest.len()), (DownloadOutcome::Complete, 0));
    })
    .await;
}

#[tokio::test]
async fn a_file_of_unexpected_size_has_its_own_outcome() {
    within(async {
        let (client, _child, directory) = served().await;
        let contents = noise(600_000, 5);
        fs::write(directory.path().join("file"), &contents).expect("written");
        let budget = Budget::new(MEBIBYTE);
        for expected in [0, 10, 255 * 1024, 599_999] {
            let (outcome, fetched) = fetch(&client, b"file", 0, expected, &budget)
                .await
                .expect("downloaded");
            assert_eq!(outcome, DownloadOutcome::Grown);
            assert_eq!(fetched, contents[..usize::try_from(expected).expect("small")]);
        }
        for expected in [600_001, 5_000_000] {
            let (outcome, fetched) = fetch(&client, b"file", 0, expected, &budget)
                .await
                .expect("downloaded");
            assert_eq!(outcome, DownloadOutcome::Truncated { size: 600_000 });
            assert!(fetched == contents);
        }
        drain_replies(&client).await;
        assert_eq!(budget.available(), MEBIBYTE as usize);
    })
    .await;
}

/// OpenSSH replies in order: after this reply, all earlier requests have theirs.
pub(crate) async fn drain_replies(client: &Client) {
    client.realpath(b".").await.expect("a path");
}

#[tokio::test]
async fn names_are_bytes() {
    within(async {
        let (client, _child, directory) = served().await;
        let odd = [
            b"caf\xe9 \n\xff".as_slice(),
            "Küche".as_bytes(),
            b" -rf",
            b"a\\b'\"",
        ];
        for name in odd {
            fs::write(directory.path().join(OsStr::from_bytes(name)), name).expect("written");
        }
        let listed = listing(&client, b".").await.expect("listed");
        let listed_names: BTreeSet<&[u8]> = listed.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(listed_names, odd.into_iter().collect());
        for entry in listed {
            assert!(entry.attributes.is_file());
            let size = entry.attributes.size.expect("a size");
            let fetched = fetch(&client, &entry.name, 0, size, &Budget::new(MEBIBYTE)).await;
            assert_eq!(
                fetched.expect("downloaded"),
                (DownloadOutcome::Complete, entry.name.to_vec())
            );
            client.remove(&entry.name).await.expect("removed");
        }
        assert_eq!(listing(&client, b".").await.expect("listed"), []);
    })
    .await;
}

#[tokio::test]
async fn a_folder_of_three_thousand_files_is_listed_whole() {
    within(async {
        let (client, _child, directory) = served().await;
        let expected: BTreeSet<String> = (0..3000).map(|number| format!("image-{number:05}.jpg")).collect();
        for name in &expected {
            fs::write(directory.path().join(name), b"").expect("written");
        }
        let entries = listing(&client, b".").await.expect("listed");
        assert_eq!(entries.len(), 3000);
        let names = entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), expected);
    })
    .await;
}

#[tokio::test]
async fn a_rename_replaces_and_a_removal_removes() {
    within(async {
        let (client, _child, directory) = served().await;
        client.mkdir(b"withdrawn", 0o700).await.expect("made");
        assert!(client.lstat(b"withdrawn").await.expect("there").is_directory());
        fs::write(directory.path().join("old"), b"new contents").expect("written");
        fs::write(directory.path().join("withdrawn/new"), b"old").expect("written");
        client
            .posix_rename(b"old", b"withdrawn/new")
            .await
            .expect("renamed");
        assert!(!directory.path().join("old").exists());
        assert_eq!(
            fs::read(directory.path().join("withdrawn/new")).expect("there"),
            b"new contents"
        );
        assert_eq!(
            client.rmdir(b"withdrawn").await.expect_err("not empty").status(),
            Some(StatusCode::Failure)
        );
        client.remove(b"withdrawn/new").await.expect("removed");
        client.rmdir(b"withdrawn").await.expect("removed");
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 0);
    })
    .await;
}

#[tokio::test]
async fn attributes_are_read_by_path_link_and_handle() {
    within(async {
        let (client, _child, directory) = served().await;
        fs::write(directory.path().join("file"), b"12345").expect("written");
        std::os::unix::fs::symlink("file", directory.path().join("link")).expect("linked");
        assert!(client.lstat(b"link").await.expect("there").is_symbolic_link());
        assert_eq!(client.stat(b"link").await.expect("there").size, Some(5));
        let handle = client.open_read(b"link").await.expect("opened");
        assert_eq!(client.fstat(&handle).await.expect("there").size, Some(5));
        assert_eq!(
            client.read(&handle, 1, 3).await.expect("read").as_deref(),
            Some(&b"234"[..])
        );
        assert_eq!(client.read(&handle, 5, 3).await.expect("read"), None);
        client.close(handle).await.expect("closed");
        let canonical = fs::canonicalize(directory.path()).expect("there");
        assert_eq!(
            client.realpath(b".").await.expect("a path"),
            canonical.as_os_str().as_bytes()
        );
        let room = client.statvfs(b".").await.expect("room");
        assert!(room.total_bytes() >= room.available_bytes() && room.total_bytes() > 0);
    })
    .await;
}

#[tokio::test]
async fn an_error_names_the_operation_and_the_escaped_path() {
    within(async {
        let (client, _child, _directory) = served().await;
        let budget = Budget::new(MEBIBYTE);
        let error = fetch(&client, b"gone\n\xff", 0, 5, &budget)
            .await
            .expect_err("missing");
        assert_eq!(error.status(), Some(StatusCode::NoSuchFile));
        assert_eq!(error.to_string(), "open gone\\n\\xff: no such file");
        let error = listing(&client, b"gone").await.expect_err("missing");
        assert_eq!(error.to_string(), "list gone: no such file");
        let error = client.remove(b"gone").await.expect_err("missing");
        assert_eq!(error.to_string(), "remove gone: no such file");
        assert!(client.failure().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_server_ends_when_the_last_client_is_dropped() {
    within(async {
        let (client, mut child, _directory) = served().await;
        let second = client.clone();
        drop(client);
        second.lstat(b".").await.expect("the connection lives on");
        drop(second);
        assert!(child.wait().await.expect("it ends").success());
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_fails_every_pending_request() {
    within(async {
        let (client, mut child, directory) = served().await;
        fs::write(directory.path().join("file"), noise(3_000_000, 9)).expect("written");
        let budget = Budget::new(MEBIBYTE);
        let (sink, mut chunks) = mpsc::unbounded_channel::<FileChunk>();
        let killed = async {
            let held = chunks.recv().await.expect("a chunk");
            child.kill().await.expect("killed");
            drop(held);
            while chunks.recv().await.is_some() {}
        };
        let (outcome, ()) = tokio::join!(client.download(b"file", 0, 3_000_000, &budget, sink), killed);
        assert!(matches!(outcome, Err(Error::Connection(_))), "{outcome:?}");
        assert!(matches!(client.lstat(b".").await, Err(Error::Connection(_))));
        assert_eq!(budget.available(), MEBIBYTE as usize);
    })
    .await;
}
