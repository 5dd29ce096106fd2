//! An OpenSSH server.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;

use crate::processes::{self, Process};
use crate::{KeyPair, Port, Session, programs, wait_until};

const SSHD: &str = "/usr/sbin/sshd";
/// The maximum time for a server to start, and for the processes of its sessions to end.
const LIMIT: Duration = Duration::from_secs(20);

/// Lines that let a server offer sshd's default algorithms. A login with them takes four times the processor
/// time, because ssh then chooses a post-quantum key exchange.
pub const DEFAULT_ALGORITHMS: &str = "KexAlgorithms +curve25519-sha256\nCiphers +aes128-gcm@openssh.com\n";

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of its files: configuration, log, keys, home.
    pub folder: PathBuf,
    /// The session of a client that has logged in.
    pub session: Session,
    /// Lines before all others in `sshd_config`. sshd uses the first value of an option, so that these
    /// override the values of this crate: `LogLevel DEBUG`, `MaxStartups 3:100:3`. With a level below `INFO`
    /// the start is not detected.
    pub lines: String,
    /// The words of a command that runs the command after it, such as `unshare --mount`. It must not fork.
    pub runner: Vec<OsString>,
    /// The host key.
    pub host_key: KeyPair,
    /// The key of the client that may log in.
    pub client_key: KeyPair,
}

impl Settings {
    /// Prepares the folder for a server at this port. Returns the path of its `sshd_config`.
    pub fn write(&self, port: u16) -> PathBuf {
        programs::require(SSHD, "openssh-server");
        if rustix::process::getuid().is_root() {
            // The folder for privilege separation, which otherwise only the unit of the service creates.
            fs::create_dir_all("/run/sshd").expect("making /run/sshd");
        }
        fs::create_dir_all(self.folder.join("home")).expect("making a folder for sshd");
        fs::copy(&self.host_key.private, self.folder.join("host_key")).expect("copying the host key");
        fs::write(self.folder.join("authorized_keys"), self.client_key.public()).expect("authorized_keys");
        let file = self.folder.join("sshd_config");
        fs::write(&file, self.configuration(port)).expect("sshd_config");
        file
    }

    fn configuration(&self, port: u16) -> String {
        let (lines, folder) = (&self.lines, self.folder.display());
        let session = self.session.prepare(&self.folder);
        // Of most settings sshd takes the first, but of this one the last.
        let startups = if has_startups(lines) {
            ""
        } else {
            "MaxStartups 100:30:200"
        };
        format!(
            "{lines}\n\
             ListenAddress 127.0.0.1\n\
             Port {port}\n\
             HostKey {folder}/host_key\n\
             AuthorizedKeysFile {folder}/authorized_keys\n\
             PidFile none\n\
             StrictModes no\n\
             UsePAM no\n\
             UseDNS no\n\
             PermitRootLogin prohibit-password\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             {startups}\n\
             LogLevel VERBOSE\n\
             KexAlgorithms curve25519-sha256\n\
             Ciphers aes128-gcm@openssh.com\n\
             {session}\n"
        )
    }
}

fn has_startups(lines: &str) -> bool {
    let mut lines = lines.lines().map(str::trim_start);
    lines.any(|line| line.to_ascii_lowercase().starts_with("maxstartups "))
}

/// A running server. Dropping it ends it with all its sessions; the kernel kills it if this thread or process
/// ends first.
#[derive(Debug)]
pub struct Sshd {
    settings: Box<Settings>,
    /// The command that runs the server, which [`Sshd::run_by`] changes.
    runner: Mutex<Vec<OsString>>,
    port: Port,
    listener: Mutex<Option<Child>>,
}

impl Sshd {
    /// Starts a server; returns when it listens.
    pub fn start(settings: Settings) -> Self {
        let server = Self {
            runner: Mutex::new(settings.runner.clone()),
            settings: Box::new(settings),
            port: Port::free(),
            listener: Mutex::default(),
        };
        server.settings.write(server.port());
        server.start_again();
        server
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The host key with which it was first started.
    pub fn host_key(&self) -> &KeyPair {
        &self.settings.host_key
    }

    /// Whether the listener was started and not stopped. It may have ended since.
    pub fn listens(&self) -> bool {
        self.listener.lock().expect("lock").is_some()
    }

    /// The listener and all processes of its sessions.
    pub fn processes(&self) -> Vec<Process> {
        let listener = self.listener.lock().expect("lock");
        let tree = listener.as_ref().map(|listener| processes::tree(listener.id()));
        tree.unwrap_or_default()
    }

    /// The processes of the sessions: servers, helpers and shells.
    pub fn session_processes(&self) -> Vec<Process> {
        self.processes().into_iter().skip(1).collect()
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.settings.folder.join("log")).unwrap_or_default()
    }

    /// The path of the log and its last 15 lines, for the message of a failing test.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        format!("{}/log:\n{}", self.settings.folder.display(), last.join("\n"))
    }

    /// Kills the server and its sessions. Connections are then refused.
    pub fn stop(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::kill_tree(listener.id());
            drop(listener.wait());
        }
    }

    /// Kills only the listener: its sessions continue, new connections are refused.
    pub fn kill_listener(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::signal(listener.id(), Signal::KILL);
            drop(listener.wait());
        }
    }

    /// Starts a stopped server again, on the same port.
    pub fn start_again(&self) {
        let file = |name: &str| self.settings.folder.join(name);
        let starts = || self.log().matches("Server listening on").count();
        let before = starts();
        // Without setpriv, servers would outlive a killed test process.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(self.runner.lock().expect("lock").iter())
            .args([SSHD, "-D", "-E"])
            .arg(file("log"))
            .arg("-f")
            .arg(file("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal must reach only the test process, which then ends the server in order.
            .process_group(0)
            .spawn()
            .expect("running setpriv");
        let has_ended_or_listens = || starts() > before || !matches!(child.try_wait(), Ok(None));
        wait_until(LIMIT, has_ended_or_listens);
        if starts() == before {
            processes::kill_tree(child.id());
            drop(child.wait());
            panic!("sshd does not start: {}", self.log_tail());
        }
        *self.listener.lock().expect("lock") = Some(child);
    }

    /// Stops the server and its sessions by SIGSTOP: the kernel still accepts connections, but nothing
    /// replies.
    pub fn pause(&self) {
        processes::signal_all(&self.processes(), Signal::STOP);
    }

    /// Undoes `pause`.
    pub fn resume(&self) {
        processes::signal_all(&self.processes(), Signal::CONT);
    }

    /// Gives the server another host key, as a new image on the SD card does.
    pub fn change_host_key(&self, key: &KeyPair) {
        self.stop();
        fs::copy(&key.private, self.settings.folder.join("host_key")).expect("copying the host key");
        self.start_again();
    }

    /// Removes every public key from the account.
    pub fn forget_keys(&self) {
        fs::write(self.settings.folder.join("authorized_keys"), "").expect("emptying authorized_keys");
    }

    /// Restarts the server with another command that runs it, such as `unshare --mount`. It must not fork.
    pub fn run_by<Word: Into<OsString>>(&self, words: impl IntoIterator<Item = Word>) {
        self.stop();
        *self.runner.lock().expect("lock") = words.into_iter().map(Into::into).collect();
        self.start_again();
    }

    /// Inserts lines before the server's configuration and restarts it.
    pub fn reconfigure(&self, lines: &str) {
        self.stop();
        let file = self.settings.folder.join("sshd_config");
        let rest = fs::read_to_string(&file).expect("sshd_config");
        // Of most settings sshd takes the first, but of MaxStartups the last.
        let is_kept = |line: &&str| !(has_startups(lines) && has_startups(line));
        let rest: Vec<&str> = rest.lines().filter(is_kept).collect();
        fs::write(&file, format!("{lines}\n{}\n", rest.join("\n"))).expect("sshd_config");
        self.start_again();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        // A process of a session may outlive the session. All of them have the HOME of this server, and may
        // start others before they are killed.
        let home = format!("HOME={}/home", self.settings.folder.display());
        wait_until(LIMIT, || {
            let mut left = processes::all();
            left.retain(|process| process.environment_has(&home));
            processes::signal_all(&left, Signal::KILL);
            left.is_empty()
        });
    }
}
