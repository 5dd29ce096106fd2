//! Devices behind one jump host share connections to it. Only the time that it takes may differ.

use std::sync::Arc;
use std::time::Duration;

use engine::ports::device::{ConnectHints, DeviceFailure, Devices, Session};
use model::{DeviceName, FailureClass};
use rustix::process::Signal;
use ssh::{SshDevices, SshSession};
use testbed::processes::Process;
use testbed::{Port, wait_until};
use tokio::task::JoinSet;

use crate::connecting::{port_that_hangs_up, silent_port};
use crate::world::{SOON, World, script};

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

/// A jump host with a device `hive0` behind it, of which `hive1` and so on are other names.
fn world(jump: &str, devices: usize) -> (World, Vec<String>) {
    let mut world = World::with_jump(jump).device("hive0", "");
    let port = world.server("hive0").port();
    for number in 1..devices {
        world = world.device_at(&format!("hive{number}"), port);
    }
    (
        world,
        (0..devices).map(|number| format!("hive{number}")).collect(),
    )
}

fn fleet(world: &World, names: &[String]) -> Arc<SshDevices> {
    Arc::new(world.fleet(&names.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Connects to all of them at once.
async fn connect_all(fleet: &Arc<SshDevices>, names: &[String]) -> Vec<Result<SshSession, DeviceFailure>> {
    let mut connecting = JoinSet::new();
    for device in names {
        let (fleet, device) = (fleet.clone(), name(device));
        connecting.spawn(async move { fleet.connect(&device, &[], ConnectHints::default()).await });
    }
    connecting.join_all().await
}

/// The connections to the jump host that devices share.
fn shared_connections(world: &World) -> Vec<Process> {
    let mut found = world.ssh_processes();
    found.retain(|process| process.arguments().iter().any(|argument| argument == "-N"));
    found
}

#[tokio::test]
async fn up_to_sixteen_devices_share_a_connection_to_their_jump_host() {
    let (world, names) = world("", 17);
    let fleet = fleet(&world, &names);
    let sessions = connect_all(&fleet, &names[..16]).await;
    assert!(sessions.iter().all(Result::is_ok), "{sessions:?}");
    assert_eq!(world.logins("jump"), 1);
    fleet
        .connect(&name("hive16"), &[], ConnectHints::default())
        .await
        .unwrap()
        .close()
        .await;
    assert_eq!(world.logins("jump"), 2);
    for session in sessions {
        session.unwrap().close().await;
    }
    assert_eq!(world.ssh_processes(), [], "the last one ends what was shared");
}

#[tokio::test]
async fn a_device_that_comes_when_the_others_have_gone_gets_a_connection_again() {
    let (world, names) = world("", 2);
    let fleet = fleet(&world, &names);
    for device in &names {
        fleet
            .connect(&name(device), &[], ConnectHints::default())
            .await
            .unwrap()
            .close()
            .await;
    }
    assert_eq!(world.logins("jump"), 2);
}

#[tokio::test]
async fn a_single_device_shares_no_connection() {
    let (world, names) = world("", 1);
    let fleet = fleet(&world, &names);
    let session = fleet
        .connect(&name("hive0"), &[], ConnectHints::default())
        .await
        .unwrap();
    assert_eq!(shared_connections(&world), []);
    session.close().await;
}

#[tokio::test]
async fn a_failure_is_the_same_beside_others_as_alone() {
    let ((_listener, silent), down) = (silent_port(), Port::free());
    let (world, mut names) = world("", 2);
    let mut world = world
        .device("refusing", "AuthorizedKeysFile none")
        .device("swapped", "")
        .device_at("down", down.number())
        .device_at("half-open", port_that_hangs_up(b""))
        .device_at("black-hole", silent)
        .device_at("rude", port_that_hangs_up(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let sleeper = script(&world, "sleeper", "exec sleep 60");
    world = world.device("asleep", &format!("ForceCommand {}", sleeper.display()));
    world.forget_key_of("swapped", true);
    world.connect_timeout = Duration::from_secs(3);
    let failing = [
        "refusing",
        "swapped",
        "down",
        "half-open",
        "black-hole",
        "rude",
        "asleep",
    ];
    names.extend(failing.map(str::to_owned));
    let fleet = fleet(&world, &names);
    let well = fleet
        .connect(&name("hive0"), &[], ConnectHints::default())
        .await
        .unwrap();
    for device in failing {
        let beside = fleet
            .connect(&name(device), &[], ConnectHints::default())
            .await
            .map(drop)
            .unwrap_err();
        let alone = world.connect(device, &[]).await.map(drop).unwrap_err();
        assert_eq!(beside, alone, "{device}");
    }
    fleet
        .connect(&name("hive1"), &[], ConnectHints::default())
        .await
        .unwrap()
        .close()
        .await;
    well.close().await;
}

#[tokio::test]
async fn a_jump_host_that_fails_does_so_in_the_same_way_for_all() {
    let (world, names) = world("AllowTcpForwarding no", 3);
    for failed in connect_all(&fleet(&world, &names), &names).await {
        assert_eq!(failed.map(drop).unwrap_err().class, FailureClass::JumpRefused);
    }
    let ((_listener, port), down) = (silent_port(), Port::free());
    for (port, class) in [
        (down.number(), FailureClass::JumpRefused),
        (port, FailureClass::JumpUnreachable),
    ] {
        let (world, names) = self::world("", 3);
        let mut world = world.configure(&format!("Host jump\n  Port {port}\n"));
        world.connect_timeout = Duration::from_secs(2);
        for failed in connect_all(&fleet(&world, &names), &names).await {
            let failure = failed.map(drop).unwrap_err();
            assert_eq!(failure.class, class, "{failure}");
        }
    }
}

#[tokio::test]
async fn a_shared_connection_that_breaks_is_reported_by_all_and_reopened() {
    let (world, names) = world("", 3);
    let fleet = fleet(&world, &names);
    let sessions = connect_all(&fleet, &names[..2]).await;
    shared_connections(&world)[0].signal(Signal::KILL);
    let (_, source) = world.source("data");
    for session in sessions {
        let session = session.unwrap();
        let failure = crate::world::survey(&session, &source).await.unwrap_err();
        assert_ne!(failure.class, FailureClass::SourceMissing, "{failure}");
        session.close().await;
    }
    let again = fleet
        .connect(&name("hive2"), &[], ConnectHints::default())
        .await
        .unwrap();
    assert_eq!(world.logins("jump"), 2);
    again.close().await;
    assert!(wait_until(SOON, || world.ssh_processes().is_empty()));
}
