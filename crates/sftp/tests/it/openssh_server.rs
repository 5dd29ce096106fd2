//! OpenSSH's own server as a child with pipes.

use std::path::Path;
use std::process::Stdio;

use sftp::Client;
use tokio::process::{Child, Command};

const PLACES: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
];

/// Starts a server in `directory`. It is killed when the child is dropped.
pub(crate) async fn start(directory: &Path) -> (Client, Child) {
    let binary = PLACES
        .iter()
        .find(|place| Path::new(place).exists())
        .unwrap_or_else(|| {
            panic!("OpenSSH's sftp-server is in none of {PLACES:?}; install the package openssh-sftp-server")
        });
    let mut child = Command::new(binary)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("sftp-server starts");
    let (reader, writer) = (
        child.stdout.take().expect("piped"),
        child.stdin.take().expect("piped"),
    );
    (
        Client::connect(reader, writer).await.expect("sftp-server greets"),
        child,
    )
}
