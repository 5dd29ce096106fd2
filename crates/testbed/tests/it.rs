//! Tests of the properties that the tests of other crates rely on.

#![allow(missing_docs, reason = "the names of tests state what they prove")]

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use testbed::{KeyPair, Port, Session, Settings, Sshd, processes, wait_until};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_reserved_port_is_not_given_out_again_and_a_server_can_listen_on_it() {
    let port = Port::free();
    let address = ("127.0.0.1", port.number());
    let others: Vec<Port> = (0..200).map(|_| Port::free()).collect();
    assert!(others.iter().all(|other| other.number() != port.number()));
    for _ in 0..3 {
        // A process that another test starts at this moment may hold the listener open until it executes its
        // program.
        let is_refused = || {
            let refused = TcpStream::connect(address).map_err(|error| error.kind());
            refused.map(drop) == Err(ErrorKind::ConnectionRefused)
        };
        assert!(wait_until(SOON, is_refused));
        let listener = TcpListener::bind(address).expect("listening on a reserved port");
        drop(TcpStream::connect(address).expect("connecting"));
        drop(listener);
    }
}

#[test]
fn concurrent_calls_for_a_key_return_the_same_pair() {
    let folder = tempfile::tempdir().expect("a folder");
    let public_key = || KeyPair::kept_in(folder.path(), "key").public();
    let keys: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(public_key)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a key"))
            .collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(folder.path().read_dir().expect("the folder").count(), 1);
}

/// Runs in a second process of this test binary, which the test below kills. Does nothing without
/// `HOLD_FOLDER`.
#[test]
fn hold_a_server() {
    let Some(folder) = std::env::var_os("HOLD_FOLDER") else {
        return;
    };
    let key = KeyPair::kept_in(Path::new(&folder), "key");
    let server = Sshd::start(Settings {
        folder: Path::new(&folder).join("server"),
        session: Session::Gnu,
        lines: String::new(),
        runner: Vec::new(),
        host_key: key.clone(),
        client_key: key,
    });
    println!("\n{}", server.port());
    thread::sleep(SOON * 10);
}

#[test]
fn a_killed_process_leaves_no_server_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut holder = Command::new(std::env::current_exe().expect("our own program"))
        .args(["--exact", "hold_a_server", "--nocapture"])
        .env("HOLD_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting ourselves");
    let lines = BufReader::new(holder.stdout.take().expect("a pipe")).lines();
    let port: u16 = lines
        .map_while(Result::ok)
        .find_map(|line| line.parse().ok())
        .expect("a port");
    TcpStream::connect(("127.0.0.1", port)).expect("connecting");
    holder.kill().expect("killing");
    holder.wait().expect("waiting");
    assert!(wait_until(SOON, || processes::mentioning(folder.path()).is_empty()));
}
