//! `compress = "auto"`: a second connection, where it brings files sooner, and the first one where that is known beforehand.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use engine::ports::device::Session as _;
use model::SourcePath;

use crate::files::fetch;
use crate::guard::processes_of;
use crate::world::{Connection, World, eventually, relative};

/// What the link carries at a time, and how long that takes it: 1.6 MB a second.
const PART: (usize, Duration) = (16 * 1024, Duration::from_millis(10));
/// Reads until it must have been decided. Two or three do.
const MOST_READS: usize = 40;

/// A slow link to a port: its own port, and a count of what the far side has sent.
fn slow_link(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let carried = Arc::clone(&count);
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (up, down) = ((near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near));
            let carried = Arc::clone(&carried);
            thread::spawn(move || carry(up, None));
            thread::spawn(move || carry(down, Some(&carried)));
        }
    });
    (own, count)
}

fn carry((mut from, mut to): (TcpStream, TcpStream), slowly: Option<&AtomicUsize>) {
    let mut part = vec![0; PART.0];
    while let Ok(length @ 1..) = from.read(&mut part) {
        if let Some(count) = slowly {
            count.fetch_add(length, Ordering::Relaxed);
            thread::sleep(PART.1 * u32::try_from(length).unwrap() / u32::try_from(PART.0).unwrap());
        }
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// A device behind a slow link, with this file on it.
struct Slow {
    world: World,
    carried: Arc<AtomicUsize>,
    source: SourcePath,
    content: Vec<u8>,
}

impl Slow {
    fn new(content: Vec<u8>) -> Self {
        let world = World::new().device("hive", "");
        let (port, carried) = slow_link(world.port("hive"));
        let world = world.device_at("far", port);
        let (path, source) = world.source("data");
        fs::write(path.join("file"), &content).unwrap();
        Self {
            world,
            carried,
            source,
            content,
        }
    }

    /// Reads the file once; how many bytes the link carried for it.
    async fn read(&self, far: &Connection) -> usize {
        let before = self.carried.load(Ordering::Relaxed);
        let length = self.content.len() as u64;
        let (fetched, bytes) = fetch(far, &self.source, &relative("file"), 0, length).await;
        assert_eq!(fetched, Ok(length));
        assert!(bytes == self.content, "the file came otherwise than it is");
        self.carried.load(Ordering::Relaxed) - before
    }

    /// Reads the file again and again until the link carries much less than it has.
    async fn read_until_compressed(&self, far: &Connection) -> usize {
        for _ in 0..MOST_READS {
            let carried = self.read(far).await;
            if carried < self.content.len() / 2 {
                return carried;
            }
        }
        panic!("nothing was compressed, but {} logins", self.logins());
    }

    fn logins(&self) -> usize {
        let log = fs::read_to_string(self.world.path("hive.log")).unwrap();
        log.matches("Accepted publickey").count()
    }
}

fn table(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line: u32| format!("{line};{};bees\n", line % 97).into_bytes());
    lines.take(length).collect()
}

/// What no compression makes smaller.
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
    let marker = slow.world.folder.path().to_string_lossy().into_owned();
    // What was sent the last signal takes a moment to go.
    let are_gone = || processes_of(&marker).is_empty();
    assert!(eventually(are_gone), "both connections end with the session");
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
async fn where_compression_has_paid_the_first_file_comes_compressed_over_one_connection() {
    let slow = Slow::new(table(3_000_000));
    let far = slow.world.connect_knowing("far", &[], Some(true)).await.unwrap();
    assert!(slow.read(&far).await < 1_500_000);
    slow.read(&far).await;
    assert_eq!(slow.logins(), 1);
    assert_eq!(far.compression_paid(), None, "that was known, and not found out");
    far.session.close().await;
    let marker = slow.world.folder.path().to_string_lossy().into_owned();
    let are_gone = || processes_of(&marker).is_empty();
    assert!(eventually(are_gone), "its further channel ends with the session");
}

#[tokio::test]
async fn where_compression_has_paid_and_nothing_shrinks_any_more_that_is_told() {
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
    let marker = slow.world.folder.path().to_string_lossy().into_owned();
    let is_second = |id: &u32| {
        let arguments = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        arguments.contains("Compression=yes")
    };
    let second = processes_of(&marker).into_iter().find(is_second).unwrap();
    let reading = slow.read(&far);
    let breaking = async {
        let killed = Command::new("kill").args(["-KILL", &second.to_string()]).status();
        assert!(killed.unwrap().success());
    };
    tokio::join!(reading, breaking);
    assert!(slow.read(&far).await > 3_000_000, "plain from then on");
    assert_eq!(slow.logins(), 2);
    far.session.close().await;
}
