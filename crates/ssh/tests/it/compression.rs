//! `compress = "auto"`: a second connection where it brings files sooner, and only the first one where that
//! is known beforehand.

use std::fs;
use std::io::Read as _;

use engine::ports::device::Session as _;
use model::SourcePath;
use rustix::process::Signal;
use testbed::{Tap, wait_until};

use crate::files::fetch;
use crate::world::{Connection, SOON, World, relative};

/// The rate of the link, in bytes a second.
const SPEED: u64 = 1_600_000;
/// Reads until a decision must have been made. Two or three are enough.
const MAX_READS: usize = 40;

/// A device behind a slow link, with one file.
struct Slow {
    world: World,
    link: Tap,
    source: SourcePath,
    content: Vec<u8>,
}

impl Slow {
    fn new(content: Vec<u8>) -> Self {
        let world = World::new().device("hive", "");
        let link = Tap::to(world.server("hive").port());
        link.slow_to(SPEED);
        let world = world.device_at("far", link.port());
        let (path, source) = world.source("data");
        fs::write(path.join("file"), &content).unwrap();
        Self {
            world,
            link,
            source,
            content,
        }
    }

    /// Reads the file once. Returns the number of bytes that the link carried for it.
    async fn read(&self, far: &Connection) -> u64 {
        let before = self.link.received();
        let length = self.content.len() as u64;
        let (fetched, bytes) = fetch(far, &self.source, &relative("file"), 0, length).await;
        assert_eq!(fetched, Ok(length));
        assert!(bytes == self.content, "the file came otherwise than it is");
        self.link.received() - before
    }

    /// Reads the file repeatedly until the link carries far fewer bytes than the file has.
    async fn read_until_compressed(&self, far: &Connection) {
        for _ in 0..MAX_READS {
            if self.read(far).await < self.content.len() as u64 / 2 {
                return;
            }
        }
        panic!("nothing was compressed, but {} logins", self.logins());
    }

    fn logins(&self) -> usize {
        self.world.logins("hive")
    }
}

fn table(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line: u32| format!("{line};{};bees\n", line % 97).into_bytes());
    lines.take(length).collect()
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}

#[tokio::test]
async fn files_that_shrink_come_compressed_over_a_slow_link() {
    let slow = Slow::new(table(3_000_000));
    let far = slow.world.connect("far", &[]).await.unwrap();
    slow.read_until_compressed(&far).await;
    assert_eq!(slow.logins(), 2);
    assert!(far.bytes_received() > 3_000_000);
    while far.compression_paid().is_none() {
        slow.read(&far).await;
    }
    assert_eq!(far.compression_paid(), Some(true));
    far.session.close().await;
    // Killed processes take a moment to go.
    let are_gone = || slow.world.ssh_processes().is_empty();
    assert!(
        wait_until(SOON, are_gone),
        "both connections end with the session"
    );
}

#[tokio::test]
async fn a_large_file_comes_compressed_from_its_middle_on() {
    let slow = Slow::new(table(20_000_000));
    let far = slow.world.connect("far", &[]).await.unwrap();
    let carried = slow.read(&far).await;
    assert!(carried < 15_000_000, "{carried}");
    far.session.close().await;
}

#[tokio::test]
async fn files_that_do_not_shrink_come_over_one_connection() {
    let slow = Slow::new(noise(3_000_000));
    let far = slow.world.connect("far", &[]).await.unwrap();
    for _ in 0..3 {
        slow.read(&far).await;
    }
    assert_eq!(slow.logins(), 1);
    assert_eq!(far.compression_paid(), Some(false));
    far.session.close().await;
}

#[tokio::test]
async fn where_compression_has_paid_even_the_first_file_is_compressed() {
    let slow = Slow::new(table(3_000_000));
    let far = slow.world.connect_knowing("far", &[], Some(true)).await.unwrap();
    assert!(slow.read(&far).await < 1_500_000);
    slow.read(&far).await;
    assert_eq!(slow.logins(), 1);
    assert_eq!(far.compression_paid(), None, "that was known, and not found out");
    far.session.close().await;
    let are_gone = || slow.world.ssh_processes().is_empty();
    assert!(
        wait_until(SOON, are_gone),
        "its further channel ends with the session"
    );
}

#[tokio::test]
async fn it_is_reported_when_nothing_shrinks_any_more() {
    let slow = Slow::new(noise(3_000_000));
    let far = slow.world.connect_knowing("far", &[], Some(true)).await.unwrap();
    for _ in 0..2 {
        slow.read(&far).await;
    }
    assert_eq!(far.compression_paid(), Some(false));
    far.session.close().await;
}

#[tokio::test]
async fn a_second_connection_that_breaks_costs_nothing_but_time() {
    let slow = Slow::new(table(3_000_000));
    let far = slow.world.connect("far", &[]).await.unwrap();
    slow.read_until_compressed(&far).await;
    let processes = slow.world.ssh_processes();
    let is_second = |argument: &String| argument.contains("Compression=yes");
    let second = processes.iter().find(|ssh| ssh.arguments().iter().any(is_second));
    let reading = slow.read(&far);
    let breaking = async { second.unwrap().signal(Signal::KILL) };
    tokio::join!(reading, breaking);
    assert!(slow.read(&far).await > 3_000_000, "plain from then on");
    assert_eq!(slow.logins(), 2);
    far.session.close().await;
}
