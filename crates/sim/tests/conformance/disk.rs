use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use sim::simulator::clock::SimulatedClock;
use sim::simulator::conformance::disk::{DiskFixture, check};
use sim::simulator::disk::{STORE, SimulatedDisk};
use storage::SystemDisk;
use tempfile::TempDir;

use crate::{assert_kept, in_simulated_time};

#[test]
fn the_simulated_disk_behaves_like_a_disk() {
    let broken = in_simulated_time(async {
        check(|| DiskFixture {
            disk: Arc::new(SimulatedDisk::new(SimulatedClock::new(), 1)),
            folder: PathBuf::from(STORE),
        })
        .await
    });
    assert_kept(&broken);
}

#[test]
fn the_system_disk_behaves_like_a_disk() {
    let folders: Mutex<Vec<TempDir>> = Mutex::default();
    let fresh = || {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_owned();
        folders.lock().unwrap().push(folder);
        DiskFixture {
            disk: Arc::new(SystemDisk::default()),
            folder: path,
        }
    };
    assert_kept(&in_simulated_time(check(fresh)));
}
