//! The fleet of the demonstration.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sim::{DemoDevice, DemoFleet, DemoPlan, MadeFile, Role};

use crate::testbed::{openssh, output, stderr, stdout, until, until_async};

fn small() -> DemoPlan {
    DemoPlan {
        pictures: 5,
        picture_bytes: (1000, 30_000),
        long_recording_bytes: 3 << 20,
        camera_writes_for: Duration::from_secs(2),
        ..DemoPlan::default()
    }
}

fn is_as_made(device: &DemoDevice, file: &MadeFile) -> bool {
    let content = fs::read(device.source.join(&file.path)).unwrap();
    content.len() as u64 == file.bytes && <[u8; 32]>::from(Sha256::digest(&content)) == file.sha256
}

/// For `ProxyJump` the client passes its `-F` through a shell without quotes. A path with blanks works only
/// where another file includes it, as gleaner's own configuration does.
async fn ask(fleet: &DemoFleet, device: &str, command: &str) -> std::process::Output {
    let plain = tempfile::NamedTempFile::new().unwrap();
    fs::write(&plain, format!("Include \"{}\"\n", fleet.ssh_config().display())).unwrap();
    let mut client = openssh("ssh");
    client.arg("-F").arg(plain.path()).args([
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=3",
        device,
        command,
    ]);
    output(&mut client, b"").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_device_plays_its_role_and_has_the_reported_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a folder with blanks & 100%");
    fs::create_dir(&folder).unwrap();
    let fleet = DemoFleet::start(&folder, &small()).unwrap();
    assert_eq!(fleet.devices().len(), 8);
    for device in fleet.devices() {
        assert!(
            device.files.len() >= 5 && device.files.iter().all(|file| is_as_made(device, file)),
            "{device:?}"
        );
        let count = format!("find '{}' -type f | wc -l", device.source.display());
        let ran = ask(&fleet, &device.name, &count).await;
        match device.role {
            Role::Offline => assert!(
                stderr(&ran).contains("connect failed: Connection refused"),
                "{}",
                stderr(&ran)
            ),
            Role::BlackHole => assert!(stderr(&ran).contains("timed out"), "{}", stderr(&ran)),
            _ => {
                let files = device.files.len() + usize::from(device.being_written.is_some());
                assert_eq!(
                    stdout(&ran).trim(),
                    files.to_string(),
                    "{}: {}",
                    device.name,
                    stderr(&ran)
                );
            }
        }
    }
    fleet.shutdown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_have_the_same_names_and_other_content() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = DemoFleet::start(folder.path(), &small()).unwrap();
    let same: Vec<_> = fleet
        .devices()
        .iter()
        .filter(|device| device.role == Role::SameNames)
        .collect();
    let names = |device: &DemoDevice| {
        device
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(same[0]), names(same[1]));
    let digests: HashSet<_> = fleet
        .devices()
        .iter()
        .flat_map(|device| &device.files)
        .map(|file| file.sha256)
        .collect();
    assert_eq!(
        digests.len(),
        fleet
            .devices()
            .iter()
            .map(|device| device.files.len())
            .sum::<usize>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_camera_holds_its_picture_open_and_then_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = DemoFleet::start(folder.path(), &small()).unwrap();
    let device = fleet
        .devices()
        .iter()
        .find(|device| device.role == Role::Camera)
        .unwrap();
    let picture = device.being_written.clone().unwrap();
    let path = device.source.canonicalize().unwrap().join(&picture.path);
    assert!(is_open_here(&path));
    assert!(fs::metadata(&path).unwrap().len() < picture.bytes);
    until("the camera finishes", || fleet.camera_finished()).await;
    assert!(!is_open_here(&path));
    assert!(is_as_made(device, &picture));
}

fn is_open_here(path: &Path) -> bool {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target == path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_is_cut_in_the_middle_of_the_long_recording() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = DemoFleet::start(folder.path(), &small()).unwrap();
    let device = fleet
        .devices()
        .iter()
        .find(|device| device.role == Role::CutOff)
        .unwrap();
    let long = device.files.first().unwrap();
    let command = format!("cat '{}'", device.source.join(&long.path).display());
    let cut = ask(&fleet, &device.name, &command).await;
    assert_eq!(cut.status.code(), Some(255), "{}", stderr(&cut));
    assert!(fleet.link_was_cut());
    assert!((1..long.bytes).contains(&(cut.stdout.len() as u64)));
    let whole = ask(&fleet, &device.name, &command).await;
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&whole.stdout)), long.sha256);
}

#[test]
fn the_same_seed_makes_the_same_files() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = DemoFleet::start(one.path(), &small()).unwrap();
    let other = DemoFleet::start(other.path(), &small()).unwrap();
    for (one, other) in one.devices().iter().zip(other.devices()) {
        assert_eq!(one.files, other.files);
        assert_eq!(one.being_written, other.being_written);
    }
}

#[test]
fn a_folder_whose_path_the_ssh_config_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a\"b");
    fs::create_dir(&odd).unwrap();
    let refused = DemoFleet::start(&odd, &small()).unwrap_err();
    assert!(
        refused.to_string().contains("ssh_config cannot hold"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_shut_down_leaves_neither_ports_nor_commands() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = DemoFleet::start(folder.path(), &small()).unwrap();
    let config = fs::read_to_string(fleet.ssh_config()).unwrap();
    let ports: Vec<u16> = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Port ")?.parse().ok())
        .collect();
    assert_eq!(ports.len(), 9);
    let noted = folder.path().join("noted");
    let command = format!(
        "echo $$ > {0}.part; mv {0}.part {0}; exec sleep 300",
        noted.display()
    );
    let mut client = openssh("ssh");
    client.arg("-F").arg(fleet.ssh_config()).args(["bee1", &command]);
    let running = tokio::spawn(async move { output(&mut client, b"").await });
    until("the command starts", || noted.exists()).await;
    let process = format!("/proc/{}", fs::read_to_string(&noted).unwrap().trim());
    fleet.shutdown();
    assert!(!Path::new(&process).exists(), "{process} is still there");
    assert_eq!(running.await.unwrap().status.code(), Some(255));
    for port in ports {
        // A process that another test starts at this moment may hold the listener open until it executes its
        // program.
        until_async("the port refuses connections", async || {
            let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            refused.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_cannot_be_started_is_an_error_from_within_a_runtime_too() {
    let folder = tempfile::tempdir().unwrap();
    // The last file that the fleet writes: everything else has started by then.
    fs::create_dir(folder.path().join("known_hosts")).unwrap();
    let failed = DemoFleet::start(folder.path(), &small()).unwrap_err();
    assert!(failed.to_string().contains("known_hosts"), "{failed}");
}
