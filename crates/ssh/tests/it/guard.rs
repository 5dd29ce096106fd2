//! However gleaner ends, no ssh process stays behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use engine::ports::device::{ConnectHints, Devices, Session};
use model::{DeviceName, SourcePath};
use rustix::process::Signal;
use ssh::{SshDevices, SshOptions, Target};
use testbed::processes::{Process, signal_all};
use testbed::wait_until;

use crate::connecting::silent_port;
use crate::world::{SOON, World, relative};

/// Starts another process of this test, waits until its connection has reached a stage, kills it, and checks
/// what it leaves behind.
fn kill_at(world: &World, stage: &str, reached: impl Fn(&[Process]) -> bool) {
    let config = world.client.write(world.folder.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "guard::hold_a_session", "--nocapture"])
        .env("HOLD_STAGE", stage)
        .env("HOLD_CONFIG", config)
        .env("HOLD_FOLDER", world.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    if stage != "connecting" {
        wait_for(&mut child, stage);
    }
    let is_reached = wait_until(SOON, || reached(&world.ssh_processes()));
    assert!(is_reached, "{stage}: {:?}", world.ssh_processes());
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    let are_gone = wait_until(Duration::from_secs(5), || world.ssh_processes().is_empty());
    assert!(are_gone, "{stage}: {:?}", world.ssh_processes());
}

/// The process that is killed: this test binary, started once more for this one test. Does nothing in a
/// normal run.
#[tokio::test]
async fn hold_a_session() {
    let variable = |name| std::env::var_os(name).map(std::path::PathBuf::from);
    let Some((config, folder)) = variable("HOLD_CONFIG").zip(variable("HOLD_FOLDER")) else {
        return;
    };
    let name = DeviceName::new("hive").unwrap();
    let options = SshOptions {
        config: Some(config),
        connect_timeout: Duration::from_mins(1),
        runtime_dir: Some(folder.clone()),
        ..SshOptions::default()
    };
    let fleet = SshDevices::new(&options, vec![Target::alias(name.clone())]).unwrap();
    let session = fleet.connect(&name, &[], ConnectHints::default()).await.unwrap();
    if std::env::var("HOLD_STAGE").unwrap() == "idle" {
        println!("\nidle");
        std::future::pending::<()>().await;
    }
    let source = SourcePath::new(folder.join("data").as_os_str().as_bytes()).unwrap();
    let (chunks, mut received) = tokio::sync::mpsc::unbounded_channel();
    let consume = async {
        received.recv().await.unwrap();
        println!("\nfetching");
        while received.recv().await.is_some() {}
    };
    let large = relative("large");
    let (fetched, ()) = tokio::join!(session.fetch(&source, &large, 0, 1 << 40, chunks), consume);
    fetched.unwrap().unwrap();
}

fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == word), "{word} is never reached");
}

#[test]
fn nothing_is_left_of_a_connection_to_a_silent_jump_host() {
    let (_listener, port) = silent_port();
    let world = World::new()
        .device("hive", "")
        .configure(&format!("Host jump\n  Port {port}\n"));
    kill_at(&world, "connecting", |processes| processes.len() == 2);
}

#[test]
fn nothing_is_left_of_a_connection_to_a_black_hole_behind_the_jump_host() {
    let (listener, port) = silent_port();
    let world = World::new().device_at("hive", port);
    listener.set_nonblocking(true).unwrap();
    let taken = std::cell::RefCell::new(None);
    kill_at(&world, "connecting", |processes| {
        if let Ok(connection) = listener.accept() {
            taken.replace(Some(connection));
        }
        taken.borrow().is_some() && processes.len() == 2
    });
}

#[test]
fn nothing_is_left_of_a_connection_that_is_authenticating() {
    let configuration =
        "AuthorizedKeysFile none\nAuthorizedKeysCommand /usr/bin/sleep 20\nAuthorizedKeysCommandUser root";
    let world = World::new().device("hive", configuration);
    let server = world.server("hive");
    kill_at(&world, "connecting", |processes| {
        let sessions = server.session_processes();
        let looks_for_keys = sessions.iter().any(|process| process.program == "sleep");
        looks_for_keys && processes.len() == 2
    });
}

#[test]
fn nothing_is_left_of_a_session_that_is_idle() {
    let world = World::new().device("hive", "");
    // ssh, the one to the jump host, and the one over which the script runs.
    kill_at(&world, "idle", |processes| processes.len() == 3);
}

#[test]
fn nothing_is_left_of_a_session_whose_device_has_stopped() {
    let world = World::new().device("hive", "");
    let stopped = std::cell::Cell::new(false);
    let server = world.server("hive");
    kill_at(&world, "idle", |processes| {
        if !stopped.replace(true) {
            signal_all(&server.session_processes(), Signal::STOP);
        }
        processes.len() == 3
    });
    signal_all(&server.session_processes(), Signal::CONT);
}

#[test]
fn nothing_is_left_of_a_session_in_the_middle_of_a_file() {
    let world = World::new().device("hive", "");
    let (path, _) = world.source("data");
    let file = fs::File::create(path.join("large")).unwrap();
    file.set_len(1 << 40).unwrap();
    kill_at(&world, "fetching", |processes| processes.len() == 3);
}
