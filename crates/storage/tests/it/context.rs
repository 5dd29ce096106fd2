//! A store in a temporary folder, and short functions for what tests do with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use engine::ports::store::RANGE_LENGTH;
use engine::ports::{
    Chunk, Clock, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile, StagingKey,
    Store as _, StoreError,
};
use model::{CollectorId, Digest, RelativePath, Timestamp};
use sha2::{Digest as _, Sha256};
use storage::{
    DirectoryStore, Disk, Executor, InitOptions, Initialised, StoreFolder, StoreSettings, SystemDisk, init,
};
use tempfile::TempDir;

/// Short ranges, so that a large file is small.
pub(crate) const RANGE: u64 = 1 << 20;

/// An arbitrary modification time with a fraction.
pub(crate) const MODIFIED: Timestamp = Timestamp::from_nanoseconds(1_500_000_000_123_456_789);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn steady(&self) -> Timestamp {
        now()
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_nanoseconds(i64::try_from(since.as_nanos()).unwrap())
}

/// A clock that is ahead, so that everything is old.
pub(crate) struct LaterClock(pub(crate) Duration);

impl Clock for LaterClock {
    fn now(&self) -> Timestamp {
        now().plus(self.0)
    }

    fn steady(&self) -> Timestamp {
        self.now()
    }
}

/// A folder that was made a store.
pub(crate) struct TestStore {
    _folder: Option<TempDir>,
    pub(crate) path: PathBuf,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self::in_folder(TempDir::new().unwrap())
    }

    /// In memory if the system has a place for it: for tests that flush some hundred times on any file
    /// system.
    pub(crate) fn in_memory() -> Self {
        Self::in_folder(TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap())
    }

    fn in_folder(folder: TempDir) -> Self {
        let path = folder.path().to_owned();
        let dir = Self {
            _folder: Some(folder),
            path,
        };
        dir.initialise();
        dir
    }

    /// On a file system of its own.
    pub(crate) fn at(path: &Path) -> Self {
        let dir = Self {
            _folder: None,
            path: path.to_owned(),
        };
        dir.initialise();
        dir
    }

    fn initialise(&self) {
        let made = init(&Arc::new(SystemDisk::default()), &self.path, &init_options()).unwrap();
        assert!(matches!(made, Initialised::Made(_)));
    }

    pub(crate) fn folder<D: Disk>(&self, disk: &Arc<D>) -> StoreFolder<D> {
        StoreFolder::open(Arc::clone(disk), &self.path, None).unwrap()
    }

    pub(crate) fn open(&self) -> DirectoryStore<SystemDisk> {
        self.open_on(&Arc::new(SystemDisk::default()))
    }

    pub(crate) fn open_on<D: Disk>(&self, disk: &Arc<D>) -> DirectoryStore<D> {
        self.open_with(disk, settings("ours"))
    }

    pub(crate) fn open_with<D: Disk>(&self, disk: &Arc<D>, settings: StoreSettings) -> DirectoryStore<D> {
        DirectoryStore::open(self.folder(disk), settings).unwrap()
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The names in a folder of the staging of the collector "ours".
    pub(crate) fn staging(&self, folder: &str) -> Vec<String> {
        let path = self.path.join(".gleaner/staging/ours").join(folder);
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn assert_staging_is_empty(&self) {
        assert_eq!(self.staging("partial"), [""; 0]);
        assert_eq!(self.staging("sealed"), [""; 0]);
    }

    /// Every visible file with its content.
    pub(crate) fn visible(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.path, &self.path, &mut found);
        found.sort();
        found
    }

    /// The same for a store with a pipe, which cannot be read without blocking.
    pub(crate) fn visible_but_pipes(&self) -> Vec<(String, Vec<u8>)> {
        let pipe = self.path.join("pipe");
        let aside = self.path.join(".gleaner/pipe");
        fs::rename(&pipe, &aside).unwrap();
        let visible = self.visible();
        fs::rename(&aside, &pipe).unwrap();
        visible
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path.join(name)).unwrap().permissions().mode() & 0o7777
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == ".gleaner" {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push((name, fs::read(&path).unwrap_or_default()));
        }
    }
}

pub(crate) fn init_options() -> InitOptions {
    InitOptions {
        local: true,
        replace: None,
        now: now(),
    }
}

pub(crate) fn settings(collector: &str) -> StoreSettings {
    StoreSettings {
        collector: CollectorId::new(collector).unwrap(),
        former_staging: None,
        min_free: 0,
        file_mode: None,
        dir_mode: None,
        range_length: RANGE,
        executor: Executor::threads(),
        clock: Arc::new(SystemClock),
    }
}

pub(crate) fn inline_settings() -> StoreSettings {
    StoreSettings {
        executor: Executor::inline(),
        ..settings("ours")
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn name(text: &str) -> RelativePath {
    RelativePath::new(text).unwrap()
}

pub(crate) fn digest(content: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(content).into())
}

/// The key of a file. Its content stands for the file's version.
pub(crate) fn key(content: &[u8]) -> StagingKey {
    StagingKey {
        digest: digest(content),
        expected_size: u64::try_from(content.len()).unwrap(),
        range_digests: true,
        folder: None,
    }
}

/// Chunks of uneven lengths.
pub(crate) fn chunks(content: &[u8]) -> Vec<Chunk> {
    let parts = content.chunks(100_003);
    parts.map(|part| Bytes::copy_from_slice(part).into()).collect()
}

/// Bytes that do not repeat.
pub(crate) fn content(length: u64, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let step = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..length).map(step).collect()
}

pub(crate) async fn sealed<D: Disk>(
    store: &DirectoryStore<D>,
    content: &[u8],
) -> Result<SealedFile, StoreError> {
    let (staged, there) = store.stage(&key(content), false).await?;
    assert_eq!(there, 0);
    store.seal(staged, chunks(content), MODIFIED).await
}

pub(crate) fn publication(sealed: &SealedFile, path: &str) -> Publication {
    Publication {
        token: sealed.token.clone(),
        size: sealed.size,
        digest: sealed.digest,
        name: name(path),
    }
}

pub(crate) async fn published<D: Disk>(
    store: &DirectoryStore<D>,
    path: &str,
    content: &[u8],
) -> Result<Placement, PublishFault> {
    let sealed = sealed(store, content).await.unwrap();
    let publications = vec![publication(&sealed, path)];
    let answer = store.publish(publications).await.unwrap().remove(0);
    store.retire(vec![sealed]).await.unwrap();
    answer
}

pub(crate) async fn foreseen<D: Disk>(store: &DirectoryStore<D>, path: &str) -> Result<Room, PublishFault> {
    foreseen_of(store, path, 4).await
}

pub(crate) async fn foreseen_of<D: Disk>(
    store: &DirectoryStore<D>,
    path: &str,
    size: u64,
) -> Result<Room, PublishFault> {
    let wanted = vec![Destination {
        name: name(path),
        size,
    }];
    store.foresee(wanted).await.unwrap().remove(0)
}

pub(crate) async fn reproved<D: Disk>(store: &DirectoryStore<D>, path: &str, content: &[u8]) -> Reproof {
    let size = u64::try_from(content.len()).unwrap();
    store.reprove(&name(path), size, &digest(content)).await.unwrap()
}

/// The length of ranges in production.
pub(crate) const SHIPPED_RANGE: u64 = RANGE_LENGTH;
