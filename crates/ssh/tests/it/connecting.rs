//! Whether a device can be reached, and why not.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use engine::ports::device::{ConnectHints, DeviceFailure, Devices, Session};
use model::{DeviceName, FailureClass};
use testbed::{DEFAULT_ALGORITHMS, Port, wait_until};

use crate::world::{SOON, World, entries, script};

async fn refusal(world: &World, name: &str) -> DeviceFailure {
    world.connect(name, &[]).await.map(drop).unwrap_err()
}

/// A port that accepts connections and sends nothing.
pub(crate) fn silent_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port that hangs up on each connection, after sending these bytes.
pub(crate) fn port_that_hangs_up(words: &'static [u8]) -> u16 {
    let (listener, port) = silent_port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.and_then(|mut stream| stream.write_all(words)).ok();
        }
    });
    port
}

#[tokio::test]
async fn a_device_behind_a_jump_host_is_reached_and_reports_its_facts() {
    let world = World::new().device("hive", "");
    let (_, source) = world.source("data");
    let hive = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    let abilities = hive.abilities();
    assert_eq!(abilities.shortcomings(), Vec::<&str>::new());
    let facts = hive.facts();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(facts.boot_id.as_deref(), Some(boot_id.trim()));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let clock = facts.clock.unwrap().nanoseconds();
    assert!((i64::try_from(now.as_nanos()).unwrap() - clock).abs() < 60_000_000_000);
    assert!(facts.uptime.unwrap() > Duration::from_secs(1));
    let disk = facts.disks[0].1.unwrap();
    assert!(disk.total > disk.available && disk.available > 0);
    assert!(hive.bytes_received() > 0);
    hive.session.close().await;
}

#[tokio::test]
async fn a_device_is_reached_with_the_algorithms_that_sshd_has_by_default() {
    let world = World::with_jump(DEFAULT_ALGORITHMS).device("hive", DEFAULT_ALGORITHMS);
    let (path, source) = world.source("data");
    std::fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(entries(&hive, &source).await.len(), 1);
    hive.session.close().await;
}

#[tokio::test]
async fn an_alias_that_ssh_does_not_know_has_its_own_class() {
    let world = World::new();
    let failure = refusal(&world, "no-such-hive.invalid").await;
    // Without any name server, the name server is what is missing.
    assert!(
        matches!(failure.class, FailureClass::AliasUnknown | FailureClass::TimedOut),
        "{failure}"
    );
    assert!(failure.message.contains("no-such-hive.invalid"), "{failure}");
}

#[tokio::test]
async fn a_tunnel_that_is_down_or_half_open_has_its_own_class() {
    let down = Port::free();
    let world = World::new()
        .device_at("down", down.number())
        .device_at("half-open", port_that_hangs_up(b""));
    assert_eq!(refusal(&world, "down").await.class, FailureClass::TunnelDown);
    assert_eq!(refusal(&world, "half-open").await.class, FailureClass::TunnelDown);
}

#[tokio::test]
async fn a_jump_host_that_refuses_has_its_own_class() {
    let world = World::with_jump("AllowTcpForwarding no").device("hive", "");
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::JumpRefused, "{failure}");
    let world = World::with_jump("AuthorizedKeysFile none").device("hive", "");
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::JumpRefused, "{failure}");
    assert!(failure.message.contains("Permission denied"), "{failure}");
    let world = World::new().device("hive", "");
    let down = Port::free();
    let closed = world.configure(&format!("Host jump\n  Port {}\n", down.number()));
    let failure = refusal(&closed, "hive").await;
    assert_eq!(failure.class, FailureClass::JumpRefused, "{failure}");
}

#[tokio::test]
async fn a_silent_host_is_named_within_the_time_allowed() {
    let (_listener, port) = silent_port();
    let mut world = World::new().device_at("black-hole", port);
    world.connect_timeout = Duration::from_secs(3);
    let began = Instant::now();
    let failure = refusal(&world, "black-hole").await;
    assert_eq!(failure.class, FailureClass::TimedOut, "{failure}");
    assert!(began.elapsed() < Duration::from_secs(15));
    let mut world = World::new()
        .device("hive", "")
        .configure(&format!("Host jump\n  Port {port}\n"));
    world.connect_timeout = Duration::from_secs(3);
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::JumpUnreachable, "{failure}");
}

#[tokio::test]
async fn a_device_that_is_silent_after_login_stalls() {
    let mut world = World::new();
    let sleeper = script(&world, "sleeper", "exec sleep 60");
    world = world.device("hive", &format!("ForceCommand {}", sleeper.display()));
    world.connect_timeout = Duration::from_secs(3);
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::Stalled, "{failure}");
    assert!(failure.message.contains("SFTP"), "{failure}");
}

#[tokio::test]
async fn an_unknown_and_a_changed_host_key_differ_for_device_and_jump_host() {
    for culprit in ["hive", "jump"] {
        for (swapped, class) in [
            (false, FailureClass::HostKeyUnknown),
            (true, FailureClass::HostKeyChanged),
        ] {
            let mut world = World::new().device("hive", "");
            world.forget_key_of(culprit, swapped);
            let failure = refusal(&world, "hive").await;
            assert_eq!(failure.class, class, "{culprit}: {failure}");
            assert!(failure.message.contains("127.0.0.1"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_device_that_refuses_the_key_has_its_own_class() {
    let world = World::new().device("hive", "AuthorizedKeysFile none");
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::AuthenticationRefused, "{failure}");
}

#[tokio::test]
async fn a_device_whose_sftp_server_prints_text_is_quoted() {
    let mut world = World::new();
    let chatty = script(&world, "chatty", "echo 'Welcome to hive 7'");
    world = world.device("hive", &format!("ForceCommand {}", chatty.display()));
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::Protocol, "{failure}");
    assert!(failure.message.contains("Welcome to hive 7"), "{failure}");
}

#[tokio::test]
async fn a_configuration_that_ssh_refuses_is_quoted() {
    let world = World::new().device("hive", "").configure("NoSuchOption yes\n");
    let failure = refusal(&world, "hive").await;
    assert_eq!(failure.class, FailureClass::AliasUnknown);
    assert!(failure.message.contains("nosuchoption"), "{failure}");
}

#[tokio::test]
async fn a_failure_of_the_collector_is_not_blamed_on_the_device() {
    let world = World::new().device("hive", "");
    let program = script(&world, "ssh", "exec /usr/bin/ssh \"$@\"");
    let options = ssh::SshOptions {
        program: program.clone(),
        ..world.options()
    };
    let fleet = ssh::SshDevices::new(&options, vec![world.target("hive")]).unwrap();
    std::fs::remove_file(program).unwrap();
    let hive = DeviceName::new("hive").unwrap();
    let connected = fleet.connect(&hive, &[], ConnectHints::default()).await;
    let failure = connected.map(drop).unwrap_err();
    assert_eq!(failure.class, FailureClass::LocalFailure, "{failure}");
    assert!(failure.message.contains("cannot start ssh"), "{failure}");
}

#[tokio::test]
async fn a_users_configuration_for_terminals_does_no_harm() {
    let world = World::new().device("hive", "");
    let (control, port) = (world.path("user-%C"), Port::free());
    let world = world.configure(&format!(
        "Host *\n  ControlMaster auto\n  ControlPersist 10m\n  ControlPath {}\n  RemoteCommand echo hello\n  \
         RequestTTY force\n  LocalForward {} localhost:22\n  LogLevel QUIET\n  ForwardAgent yes\n  \
         StdinNull yes\n  SessionType none\n  ForkAfterAuthentication yes\n  Compression yes\n  ConnectTimeout 1\n",
        control.display(),
        port.number(),
    ));
    let (path, source) = world.source("data");
    std::fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(entries(&hive, &source).await.len(), 1);
    let left = || {
        let names = std::fs::read_dir(world.folder.path()).unwrap();
        names
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("user-")
            })
            .count()
    };
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn a_device_may_be_described_without_any_alias() {
    let mut world = World::new().device("hive", "");
    let mut target = world.target("nameless");
    let port = world.server("hive").port();
    target.host = Some("127.0.0.1".to_owned());
    target.port = Some(port);
    target.jump = Some("jump".to_owned());
    target.user = Some("root".to_owned()).filter(|_| rustix::process::getuid().is_root());
    let name = DeviceName::new("nameless").unwrap();
    let fleet = ssh::SshDevices::new(&world.options(), vec![target.clone()]).unwrap();
    // The key is known by the address only. That is no proof where many devices share an address.
    let failure = fleet
        .connect(&name, &[], ConnectHints::default())
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::HostKeyUnknown, "{failure}");
    world.known_name("nameless");
    let fleet = ssh::SshDevices::new(&world.options(), vec![target]).unwrap();
    fleet
        .connect(&name, &[], ConnectHints::default())
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn a_fleet_behind_a_jump_host_with_few_startups_is_reached_whole() {
    // At most three at once: the server hangs up on the fourth and all further ones.
    let mut world = World::with_jump("MaxStartups 3:100:3").device("hive0", "");
    let port = world.server("hive0").port();
    for number in 1..6 {
        world = world.device_at(&format!("hive{number}"), port);
    }
    let names: Vec<String> = (0..6).map(|number| format!("hive{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = std::sync::Arc::new(world.fleet(&names));
    let mut connecting = tokio::task::JoinSet::new();
    for name in names {
        let (fleet, name) = (fleet.clone(), DeviceName::new(name).unwrap());
        connecting.spawn(async move { fleet.connect(&name, &[], ConnectHints::default()).await.map(drop) });
    }
    while let Some(connected) = connecting.join_next().await {
        assert_eq!(connected.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn black_holes_delay_no_other_device() {
    let (_listener, port) = silent_port();
    let mut world = World::new().device("hive", "");
    for number in 0..10 {
        world = world.device_at(&format!("hole{number}"), port);
    }
    world.connect_timeout = Duration::from_secs(30);
    let mut names: Vec<String> = (0..10).map(|number| format!("hole{number}")).collect();
    names.push("hive".to_owned());
    let fleet = world.fleet(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let fleet = std::sync::Arc::new(fleet);
    let mut holes = tokio::task::JoinSet::new();
    for name in &names[..10] {
        let (fleet, name) = (fleet.clone(), DeviceName::new(name.as_str()).unwrap());
        holes.spawn(async move { fleet.connect(&name, &[], ConnectHints::default()).await.map(drop) });
    }
    tokio::task::yield_now().await;
    let hive = DeviceName::new("hive").unwrap();
    let connected = tokio::time::timeout(
        Duration::from_secs(20),
        fleet.connect(&hive, &[], ConnectHints::default()),
    );
    connected.await.unwrap().unwrap().close().await;
    assert_eq!(holes.len(), 10);
}

#[tokio::test]
async fn a_closed_or_dropped_session_leaves_no_process_and_no_socket() {
    let world = World::new().device("hive", "");
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(!world.ssh_processes().is_empty());
    hive.session.close().await;
    assert!(wait_until(SOON, || world.ssh_processes().is_empty()));
    let hive = world.connect("hive", &[]).await.unwrap();
    drop(hive);
    // The runtime reaps killed processes while it runs.
    let gone = async {
        while !world.ssh_processes().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
