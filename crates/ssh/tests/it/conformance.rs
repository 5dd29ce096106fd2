//! Sessions with a real sshd must pass the same suite as the simulator's.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use model::SourcePath;
use sim::simulator::conformance::device::{CLOCK_STEP, DeviceFixture, check};
use ssh::SshSession;
use testbed::SFTP_SERVER;

use crate::world::{Connection, World};

struct Real {
    _world: World,
    folder: PathBuf,
    source: SourcePath,
    connection: Connection,
    held: RefCell<Vec<File>>,
}

async fn real(configuration: &str) -> Real {
    let world = World::new().device("hive", configuration);
    let (folder, source) = world.source("data");
    let connection = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    Real {
        _world: world,
        folder,
        source,
        connection,
        held: RefCell::default(),
    }
}

impl DeviceFixture for Real {
    type Session = SshSession;

    fn session(&self) -> &SshSession {
        &self.connection.session
    }

    fn source(&self) -> &SourcePath {
        &self.source
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Truncated and written anew: keeps the inode if the file exists.
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    fn hold(&self, path: &str) {
        let file = OpenOptions::new()
            .append(true)
            .open(self.folder.join(path))
            .unwrap();
        self.held.borrow_mut().push(file);
    }

    fn close_held(&self) {
        self.held.borrow_mut().clear();
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(path)).ok()
    }

    async fn wait(&self) {
        tokio::time::sleep(CLOCK_STEP).await;
    }
}

async fn keeps_promises(configuration: &str) {
    let broken = Box::pin(check(async || real(configuration).await)).await;
    assert!(broken.is_empty(), "not as promised:\n  {}", broken.join("\n  "));
}

#[tokio::test]
async fn a_device_with_gnu_tools_keeps_the_promises_of_the_port() {
    Box::pin(keeps_promises("")).await;
}

#[tokio::test]
async fn a_device_with_nothing_but_sftp_keeps_the_promises_of_the_port() {
    Box::pin(keeps_promises(&format!("ForceCommand {SFTP_SERVER}"))).await;
}
