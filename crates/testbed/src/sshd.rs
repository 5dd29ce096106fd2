//! One OpenSSH server.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;

use crate::processes::{self, Process};
use crate::{KeyPair, Port, Session, wait_until};

const SSHD: &str = "/usr/sbin/sshd";
/// For a server to start, and for what its sessions ran to end.
const LIMIT: Duration = Duration::from_secs(20);

/// Lines that give a server the algorithms of sshd itself. A login with them takes four times the processor:
/// by itself ssh chooses a key exchange for the age of quantum computers.
pub const DEFAULT_ALGORITHMS: &str = "KexAlgorithms +curve25519-sha256\nCiphers +aes128-gcm@openssh.com\n";

/// What a server is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its files are: configuration, log, keys, home.
    pub folder: PathBuf,
    /// What clients log in to.
    pub session: Session,
    /// Lines ahead of all others in `sshd_config`. There the first value of an option counts, so that they
    /// can also change what is set here: `LogLevel DEBUG`, `MaxStartups 3:100:3`. Below `INFO` the start is not seen.
    pub lines: String,
    /// Words that run the command line after them, such as `unshare --mount`. They must not fork.
    pub runner: Vec<OsString>,
    /// What it is known by.
    pub host_key: KeyPair,
    /// Who may log in.
    pub client_key: KeyPair,
}

impl Settings {
    /// Prepares the folder for a server at this port. Returns the path of its `sshd_config`.
    pub fn write(&self, port: u16) -> PathBuf {
        require(SSHD, "openssh-server");
        if rustix::process::getuid().is_root() {
            // The folder for privilege separation, which only the service's own unit makes.
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
             MaxStartups 100:30:200\n\
             LogLevel VERBOSE\n\
             KexAlgorithms curve25519-sha256\n\
             Ciphers aes128-gcm@openssh.com\n\
             {session}\n"
        )
    }
}

/// A server that listens. Ended with all its sessions when dropped; killed if this thread or process ends
/// first.
#[derive(Debug)]
pub struct Sshd {
    settings: Box<Settings>,
    /// Words that run the server, where they are others than in the settings.
    runner: Mutex<Vec<OsString>>,
    port: Port,
    listener: Mutex<Option<Child>>,
}

impl Sshd {
    /// Starts a server, and returns when it listens.
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What it was known by when it was first started.
    pub fn host_key(&self) -> &KeyPair {
        &self.settings.host_key
    }

    /// Whether it listens, as far as is known here.
    pub fn listens(&self) -> bool {
        self.listener.lock().expect("lock").is_some()
    }

    /// The listener and all that its sessions consist of.
    pub fn processes(&self) -> Vec<Process> {
        let listener = self.listener.lock().expect("lock");
        let tree = listener.as_ref().map(|listener| processes::tree(listener.id()));
        tree.unwrap_or_default()
    }

    /// What the sessions consist of: their servers, helpers and shells.
    pub fn session_processes(&self) -> Vec<Process> {
        self.processes().into_iter().skip(1).collect()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.settings.folder.join("log")).unwrap_or_default()
    }

    /// The end of the log and where it is, for a failing test.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        format!("{}/log:\n{}", self.settings.folder.display(), last.join("\n"))
    }

    /// Ends the server and its sessions: from now on connections are refused.
    pub fn stop(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::kill_tree(listener.id());
            drop(listener.wait());
        }
    }

    /// Ends the listener alone, by SIGKILL: its sessions go on, new connections are refused.
    pub fn kill_listener(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::signal(listener.id(), Signal::KILL);
            drop(listener.wait());
        }
    }

    /// Listens again on the same port.
    pub fn start_again(&self) {
        let file = |name: &str| self.settings.folder.join(name);
        let heard = || self.log().matches("Server listening on").count();
        let before = heard();
        // Without setpriv, servers would outlive a test process that was killed.
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
            // A terminal's Ctrl-C is for the user of the server, who ends it in order.
            .process_group(0)
            .spawn()
            .expect("running setpriv");
        let has_ended_or_listens = || heard() > before || !matches!(child.try_wait(), Ok(None));
        wait_until(LIMIT, has_ended_or_listens);
        if heard() == before {
            processes::kill_tree(child.id());
            drop(child.wait());
            panic!("sshd does not start: {}", self.last_words());
        }
        *self.listener.lock().expect("lock") = Some(child);
    }

    /// Freezes the server and its sessions: connections are accepted by the kernel, and then nothing.
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

    /// Takes every public key away from the account.
    pub fn forget_keys(&self) {
        fs::write(self.settings.folder.join("authorized_keys"), "").expect("emptying authorized_keys");
    }

    /// Starts the server anew by these words, such as `unshare --mount`. They must not fork.
    pub fn run_by<Word: Into<OsString>>(&self, words: impl IntoIterator<Item = Word>) {
        self.stop();
        *self.runner.lock().expect("lock") = words.into_iter().map(Into::into).collect();
        self.start_again();
    }

    /// Adds lines ahead of the server's configuration and starts it anew.
    pub fn reconfigure(&self, lines: &str) {
        self.stop();
        let file = self.settings.folder.join("sshd_config");
        let rest = fs::read_to_string(&file).expect("sshd_config");
        fs::write(&file, format!("{lines}\n{rest}")).expect("sshd_config");
        self.start_again();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        // What a session runs may outlive it. All of it has our home, and may start more before it is killed.
        let home = format!("HOME={}/home", self.settings.folder.display());
        wait_until(LIMIT, || {
            let mut left = processes::all();
            left.retain(|process| process.environment_has(&home));
            processes::signal_all(&left, Signal::KILL);
            left.is_empty()
        });
    }
}

pub(crate) fn require(program: &str, package: &str) {
    assert!(
        Path::new(program).exists(),
        "{program} is missing: apt-get install {package}"
    );
}
