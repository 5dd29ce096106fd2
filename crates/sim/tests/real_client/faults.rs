//! The faults of devices and the refusals of the jump host.

use std::fs;
use std::time::{Duration, Instant};

use sim::{Behaviour, HostKey, Service, SimulatedJump, UserKey};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::testbed::{Testbed, noise, stderr, stdout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_cut_once_and_the_rest_can_be_fetched() {
    let testbed = Testbed::of_one(Behaviour::CutAfter { bytes: 6 << 20 }, Service::Shell).await;
    let picture = noise(16 << 20);
    fs::write(testbed.home(1).join("large"), &picture).unwrap();
    let fetched = testbed.folder().join("fetched");

    let cut = testbed.sftp(&format!("get large {}\n", fetched.display())).await;
    // sftp exits with its own status, or by SIGPIPE if it sends a request after its ssh has ended.
    assert!(!cut.status.success(), "{}", stderr(&cut));
    assert!(testbed.devices[0].was_cut());
    let got = fs::read(&fetched).unwrap();
    assert!(got.len() < 6 << 20, "{} bytes came", got.len());
    assert!(picture.starts_with(&got));

    let resumed = testbed
        .sftp(&format!("reget large {}\n", fetched.display()))
        .await;
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(fs::read(&fetched).unwrap() == picture);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_accepts_and_sends_nothing() {
    let testbed = Testbed::of_one(Behaviour::BlackHole, Service::Shell).await;
    let ran = testbed.ssh(&["-o", "ConnectTimeout=2", "bee1", "true"]).await;
    assert_eq!(ran.status.code(), Some(255));
    assert!(stderr(&ran).contains("timed out"), "{}", stderr(&ran));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offline_device_is_refused_by_the_jump_host() {
    let testbed = Testbed::of_one(Behaviour::Offline, Service::Shell).await;
    let ran = testbed.ssh(&["bee1", "true"]).await;
    assert_eq!(ran.status.code(), Some(255));
    // sshd's own text.
    let text = "open failed: connect failed: Connection refused";
    assert!(stderr(&ran).contains(text), "{}", stderr(&ran));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_is_slow() {
    let testbed = Testbed::of_one(
        Behaviour::SlowLink {
            bytes_per_second: 400_000,
        },
        Service::Shell,
    )
    .await;
    let begun = Instant::now();
    let ran = testbed.ssh(&["bee1", "head -c 800000 /dev/zero"]).await;
    assert_eq!(ran.stdout.len(), 800_000, "{}", stderr(&ran));
    // A lower bound, not a measurement: less is impossible at that rate.
    assert!(
        begun.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jump_host_forwards_only_permitted_ports_and_has_no_shell() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    // The jump host's own port listens, so only the refusal can stop the client.
    let own = format!("127.0.0.1:{}", testbed.jump.port());
    let ran = testbed.ssh(&["-W", &own, "jump"]).await;
    assert_eq!(ran.status.code(), Some(255));
    let text = stderr(&ran).to_lowercase();
    assert!(text.contains("administratively prohibited"), "{text}");

    let elsewhere = format!("example.org:{}", testbed.devices[0].port());
    let ran = testbed.ssh(&["-W", &elsewhere, "jump"]).await;
    assert!(
        stderr(&ran)
            .to_lowercase()
            .contains("administratively prohibited"),
        "{}",
        stderr(&ran)
    );

    let ran = testbed.ssh(&["jump", "echo hello"]).await;
    assert_ne!(ran.status.code(), Some(0));
    assert_eq!(stdout(&ran), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_is_refused_everywhere() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let key = testbed.folder().join("other");
    UserKey::create(&key).unwrap();
    let config = testbed.folder().join("other_config");
    let text = format!(
        "Host *\n IdentityFile {0}/other\n IdentitiesOnly yes\n IdentityAgent none\n BatchMode yes\n \
         UserKnownHostsFile {0}/known_hosts\nHost device\n HostName localhost\n Port {1}\n\
         Host jump\n HostName 127.0.0.1\n Port {2}\n",
        testbed.folder().display(),
        testbed.devices[0].port(),
        testbed.jump.port()
    );
    fs::write(&config, text).unwrap();
    for host in ["device", "jump"] {
        let ran = testbed.ssh(&["-F", config.to_str().unwrap(), host, "true"]).await;
        assert_eq!(ran.status.code(), Some(255));
        assert!(
            stderr(&ran).contains("Permission denied (publickey)"),
            "{}",
            stderr(&ran)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_shut_down_ends_its_connections_and_frees_its_port() {
    // As soon as the port is free, another test may get it and answer.
    for _ in 0..3 {
        if port_after_shutdown_refuses().await {
            return;
        }
    }
    panic!("the port is still in use");
}

async fn port_after_shutdown_refuses() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let user = UserKey::create(&folder.path().join("key")).unwrap();
    let jump = SimulatedJump::start(&user, HostKey::random().unwrap())
        .await
        .unwrap();
    let port = jump.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"SSH-");
    jump.shutdown().await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still there");
    let refused = TcpStream::connect(("127.0.0.1", port)).await;
    refused.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
