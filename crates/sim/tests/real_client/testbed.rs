//! A jump host and devices for one test, and the real client that connects to them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use sim::{Behaviour, DeviceSettings, HostKey, Service, SimulatedDevice, SimulatedJump, UserKey};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// No command of these tests takes longer, except on a stalled machine.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Testbed {
    folder: TempDir,
    pub(crate) jump: SimulatedJump,
    pub(crate) devices: Vec<SimulatedDevice>,
}

impl Testbed {
    /// Devices `bee1`, `bee2` … with this behaviour and service.
    pub(crate) async fn new(devices: &[(Behaviour, Service)]) -> Testbed {
        let folder = tempfile::tempdir().unwrap();
        let user = UserKey::create(&folder.path().join("key")).unwrap();
        let jump = SimulatedJump::start(&user, HostKey::random().unwrap())
            .await
            .unwrap();
        let mut testbed = Testbed {
            folder,
            jump,
            devices: Vec::new(),
        };
        for (behaviour, service) in devices {
            let home = testbed.home(testbed.devices.len() + 1);
            fs::create_dir_all(&home).unwrap();
            let settings = DeviceSettings {
                home,
                behaviour: *behaviour,
                service: *service,
            };
            let device = SimulatedDevice::start(&user, HostKey::random().unwrap(), settings)
                .await
                .unwrap();
            testbed.jump.permit(device.port());
            testbed.devices.push(device);
        }
        testbed.write_config();
        testbed
    }

    pub(crate) async fn of_one(behaviour: Behaviour, service: Service) -> Testbed {
        Testbed::new(&[(behaviour, service)]).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The home folder of the device with this number.
    pub(crate) fn home(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("bee{number}"))
    }

    /// `ssh` or `sftp`, ready for a host and a command.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut client = openssh(program);
        client
            .arg("-F")
            .arg(self.folder.path().join("config"))
            .kill_on_drop(true)
            .stderr(Stdio::null());
        client
    }

    pub(crate) async fn ssh(&self, arguments: &[&str]) -> Output {
        output(self.client("ssh").args(arguments), b"").await
    }

    /// `sftp -b` with these commands on `bee1`.
    pub(crate) async fn sftp(&self, batch: &str) -> Output {
        output(self.client("sftp").args(["-b", "-", "bee1"]), batch.as_bytes()).await
    }

    fn write_config(&self) {
        let folder = self.folder.path().display();
        let mut config = format!(
            "Host *\n IdentityFile {folder}/key\n IdentitiesOnly yes\n IdentityAgent none\n BatchMode yes\n \
             UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n\
             Host jump\n HostName 127.0.0.1\n Port {}\n",
            self.jump.port()
        );
        let mut known = self
            .jump
            .host_key()
            .known_hosts_line("127.0.0.1", self.jump.port());
        for (number, device) in (1..).zip(&self.devices) {
            let port = device.port();
            write!(
                config,
                "Host bee{number}\n HostName localhost\n Port {port}\n ProxyJump jump\n"
            )
            .unwrap();
            write!(
                known,
                "\n{}",
                device.host_key().known_hosts_line("localhost", port)
            )
            .unwrap();
        }
        fs::write(self.folder.path().join("config"), config).unwrap();
        fs::write(self.folder.path().join("known_hosts"), known + "\n").unwrap();
    }
}

/// A program of OpenSSH, with the default action for SIGHUP. Under `nohup` it could not end the process for
/// its jump host, which it ends by SIGHUP, and that process would keep its output open.
pub(crate) fn openssh(program: &str) -> Command {
    let mut client = Command::new("env");
    client.args(["--default-signal=HUP", program]);
    client
}

/// Runs a client to its end, with `input` on its standard input.
pub(crate) async fn output(client: &mut Command, input: &[u8]) -> Output {
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the OpenSSH client is installed");
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = async move {
        // A client that ends early does not read all input.
        pipe.write_all(&input).await.ok();
        drop(pipe);
    };
    let both = async { tokio::join!(child.wait_with_output(), feeding) };
    let (output, ()) = tokio::time::timeout(DEADLINE, both)
        .await
        .expect("the client ends");
    output.unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    until_async(what, async || condition()).await;
}

/// Polls until `condition` holds.
pub(crate) async fn until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("timed out: {what}"));
}
