//! From received bytes to a sealed file: digest, checksum, writing, reading back.
//!
//! The system's part is not counted. The disk is memory if there is such a folder, so that only our own code
//! counts.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::ports::store::RANGE_LENGTH;
use engine::ports::{Chunk, Clock, StagingKey, Store as _};
use model::{CollectorId, Digest, Timestamp};
use storage::{DirectoryStore, Executor, InitOptions, StoreFolder, StoreSettings, SystemDisk};
use tempfile::TempDir;

use crate::{Work, noise, runtime};

/// A file system in memory on every Linux that has one.
const MEMORY: &str = "/dev/shm";
/// Bytes of a small file. Few, so that the digest is not most of the work.
const SMALL: usize = 1_000;
/// The length of OpenSSH's reply to a READ of a large file.
const CHUNK: usize = 255 * 1024;
/// Chunks that are handed on together.
const CHUNKS: usize = 2;

pub(crate) fn small_files(count: usize) -> Work {
    let content = Bytes::from(noise(SMALL));
    receive(
        move |number| (number < count).then(|| vec![content.clone()]),
        |_| 1,
    )
}

/// One file of `count` KiB.
pub(crate) fn large_file(count: usize) -> Work {
    let content = Bytes::from(noise(count * 1024));
    let chunks: Vec<Bytes> = content
        .chunks(CHUNK)
        .map(|chunk| content.slice_ref(chunk))
        .collect();
    receive(
        move |number| (number == 0).then(|| chunks.clone()),
        |bytes| bytes / 1024,
    )
}

/// Stages, appends and seals files until `files` returns `None`. Each file is a list of received chunks.
fn receive(files: impl Fn(usize) -> Option<Vec<Bytes>> + 'static, measure: fn(usize) -> usize) -> Work {
    let (folder, store) = store();
    let runtime = runtime();
    Box::new(move || {
        let done = (0..).map_while(files).enumerate().map(|(number, chunks)| {
            let size = runtime.block_on(receive_one(&store, number, chunks));
            measure(size)
        });
        let done = done.sum();
        drop(folder);
        done
    })
}

async fn receive_one(store: &DirectoryStore<SystemDisk>, number: usize, chunks: Vec<Bytes>) -> usize {
    let size: usize = chunks.iter().map(Bytes::len).sum();
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let key = StagingKey {
        digest: Digest::from_bytes(digest),
        expected_size: size as u64,
        range_digests: false,
        folder: None,
    };
    let (mut staged, _) = store.stage(&key, false).await.unwrap();
    let mut left = chunks.into_iter().map(Chunk::from);
    let last = loop {
        let some: Vec<Chunk> = left.by_ref().take(CHUNKS).collect();
        if left.len() == 0 {
            break some;
        }
        staged = store.append(staged, some).await.unwrap();
    };
    let sealed = store
        .seal(staged, last, Timestamp::from_seconds(1_700_000_000))
        .await;
    usize::try_from(sealed.unwrap().size).unwrap()
}

fn store() -> (TempDir, DirectoryStore<SystemDisk>) {
    let memory = Path::new(MEMORY);
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.expect("a folder for a store");
    // Valgrind does not support `openat2`.
    let disk = Arc::new(SystemDisk::without_openat2());
    let options = InitOptions {
        local: true,
        replace: None,
        now: Timestamp::from_seconds(1_700_000_000),
    };
    let id = storage::init(&disk, folder.path(), &options)
        .unwrap()
        .id()
        .clone();
    let opened = StoreFolder::open(disk, folder.path(), Some(&id)).unwrap();
    let settings = StoreSettings {
        collector: CollectorId::new("0123456789abcdef").unwrap(),
        former_staging: None,
        min_free: 0,
        file_mode: None,
        dir_mode: None,
        range_length: RANGE_LENGTH,
        executor: Executor::inline(),
        clock: Arc::new(StoppedClock),
    };
    (folder, DirectoryStore::open(opened, settings).unwrap())
}

/// A clock that never advances.
#[derive(Debug)]
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
    fn steady(&self) -> Timestamp {
        Timestamp::from_seconds(1_000)
    }
}
