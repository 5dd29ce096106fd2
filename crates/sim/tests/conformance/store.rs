use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use model::{CollectorId, Timestamp};
use sim::simulator::clock::SimulatedClock;
use sim::simulator::collector::{RANGE_LENGTH, make_store};
use sim::simulator::conformance::store::{StoreFixture, check};
use sim::simulator::disk::{STORE, SimulatedDisk};
use storage::{DirectoryStore, Disk, Executor, InitOptions, StoreFolder, StoreSettings, SystemDisk};
use tempfile::TempDir;

use crate::{assert_kept, in_simulated_time};

fn open<D: Disk>(disk: D, path: &Path, executor: Executor, clock: SimulatedClock) -> DirectoryStore<D> {
    let settings = StoreSettings {
        collector: CollectorId::new("ours").unwrap(),
        former_staging: None,
        min_free: 0,
        file_mode: None,
        dir_mode: None,
        range_length: RANGE_LENGTH,
        executor,
        clock: Arc::new(clock),
    };
    DirectoryStore::open(StoreFolder::open(Arc::new(disk), path, None).unwrap(), settings).unwrap()
}

struct InMemory {
    disk: SimulatedDisk,
    clock: SimulatedClock,
}

impl StoreFixture for InMemory {
    type Store = DirectoryStore<SimulatedDisk>;

    fn open(&self) -> Self::Store {
        open(
            self.disk.clone(),
            Path::new(STORE),
            Executor::inline(),
            self.clock.clone(),
        )
    }

    fn visible(&self, name: &str) -> Option<Vec<u8>> {
        self.disk.read(name.as_bytes())
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.disk.put(name.as_bytes(), bytes).unwrap();
    }

    fn staged(&self) -> usize {
        self.disk.staged().len()
    }

    /// Handles that are open fail when their mount is gone.
    fn make_unreadable(&self, _: &str) {
        self.disk.unmount_store();
    }

    fn divide(&self) -> bool {
        self.disk.set_store_is_divided(true);
        true
    }
}

#[test]
fn a_store_on_the_simulated_disk_keeps_the_promises_of_the_port() {
    let broken = in_simulated_time(async {
        check(|| {
            let clock = SimulatedClock::new();
            let disk = SimulatedDisk::new(clock.clone(), 1);
            make_store(&disk, &clock).unwrap();
            InMemory { disk, clock }
        })
        .await
    });
    assert_kept(&broken);
}

struct InFolder {
    folder: TempDir,
    executor: fn() -> Executor,
}

impl StoreFixture for InFolder {
    type Store = DirectoryStore<SystemDisk>;

    fn open(&self) -> Self::Store {
        open(
            SystemDisk::default(),
            self.folder.path(),
            (self.executor)(),
            SimulatedClock::new(),
        )
    }

    fn visible(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join(name)).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn staged(&self) -> usize {
        let own = self.folder.path().join(".gleaner/staging/ours");
        let count = |kind: &str| fs::read_dir(own.join(kind)).unwrap().count();
        count("partial") + count("sealed")
    }

    /// A socket cannot be opened, not even by root.
    fn make_unreadable(&self, name: &str) {
        let path = self.folder.path().join(name);
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(path).unwrap());
    }

    /// This would need a mount.
    fn divide(&self) -> bool {
        false
    }
}

fn in_folder(executor: fn() -> Executor) -> InFolder {
    let folder = TempDir::new().unwrap();
    let options = InitOptions {
        local: true,
        replace: None,
        now: Timestamp::EPOCH,
    };
    storage::init(&Arc::new(SystemDisk::default()), folder.path(), &options).unwrap();
    InFolder { folder, executor }
}

#[test]
fn a_store_in_a_folder_of_the_system_keeps_the_promises_of_the_port() {
    assert_kept(&in_simulated_time(async {
        check(|| in_folder(Executor::inline)).await
    }));
}

#[test]
fn a_store_with_threads_keeps_the_promises_of_the_port() {
    assert_kept(&in_simulated_time(async {
        check(|| in_folder(Executor::threads)).await
    }));
}
