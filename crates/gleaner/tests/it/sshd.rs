//! Real OpenSSH servers on loopback, one process tree each.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::processes;

const SSHD: &str = "/usr/sbin/sshd";
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";
const BUSYBOX: &str = "/bin/busybox";

/// What a server does when somebody has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// The login shell of the user, GNU tools, SFTP as a program of its own.
    Gnu,
    /// The same, with a start-up file that chatters on both outputs.
    Noisy,
    /// As `Gnu`, but as the user nobody where the tests run as root: may not read or write everything, and sees
    /// not what files other users have open.
    Unprivileged,
    /// `BusyBox` is all there is: no GNU tools, no `openssl`.
    Busybox,
    /// `ForceCommand internal-sftp`.
    SftpOnly,
    /// `ForceCommand internal-sftp` with the device's card as root. Needs root.
    Chroot,
    /// Lets in and then says nothing, whatever is asked for.
    Mute,
}

/// One server. Ended with all its sessions when dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    folder: PathBuf,
    pub(crate) port: u16,
    listener: Mutex<Option<Child>>,
}

impl Sshd {
    /// Starts a server whose files lie in `folder`, for the holder of the public key.
    pub(crate) fn start(folder: &Path, session: Session, card: &Path, public_key: &Path) -> Self {
        require(SSHD, "openssh-server");
        if rustix::process::getuid().is_root() {
            // The folder for privilege separation, which only the service's own unit makes.
            fs::create_dir_all("/run/sshd").expect("making /run/sshd");
        }
        fs::create_dir_all(folder).expect("making a folder for sshd");
        fs::copy(public_key, folder.join("authorized_keys")).expect("copying the public key");
        make_key(&folder.join("host_key"));
        let shape = shape_of(session, folder, card);
        for _ in 0..20 {
            let port = free_port();
            fs::write(folder.join("sshd_config"), configuration(folder, port, &shape)).expect("sshd_config");
            let server = Self {
                folder: folder.to_owned(),
                port,
                listener: Mutex::new(None),
            };
            if server.launch() {
                return server;
            }
        }
        panic!(
            "sshd does not start:\n{}",
            fs::read_to_string(folder.join("log")).unwrap_or_default()
        );
    }

    /// Ends the server and its sessions: from now on connections are refused.
    pub(crate) fn stop(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::kill_tree(listener.id());
            drop(listener.wait());
        }
    }

    /// Ends the listener alone, by SIGKILL: its sessions go on, new connections are refused.
    pub(crate) fn kill_listener(&self) {
        if let Some(mut listener) = self.listener.lock().expect("lock").take() {
            processes::signal(listener.id(), Signal::KILL);
            drop(listener.wait());
        }
    }

    /// Whether it listens, as far as is known here.
    pub(crate) fn listens(&self) -> bool {
        self.listener.lock().expect("lock").is_some()
    }

    /// The ids of all that the sessions consist of: their servers, helpers and shells.
    pub(crate) fn session_processes(&self) -> Vec<u32> {
        self.processes().split_off(usize::from(self.listens()))
    }

    /// Listens again on the same port.
    pub(crate) fn start_again(&self) {
        assert!(self.launch(), "sshd does not start again:\n{}", self.log());
    }

    /// Freezes the server and its sessions: connections are accepted by the kernel, and then nothing.
    pub(crate) fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Undoes `pause`.
    pub(crate) fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Gives the server another host key, as a new image on the SD card does.
    pub(crate) fn change_host_key(&self) {
        self.stop();
        fs::remove_file(self.folder.join("host_key")).expect("removing the host key");
        make_key(&self.folder.join("host_key"));
        self.start_again();
    }

    /// Takes every public key away from the account.
    pub(crate) fn forget_keys(&self) {
        fs::write(self.folder.join("authorized_keys"), "").expect("emptying authorized_keys");
    }

    /// Adds lines in front of the server's configuration and starts it anew.
    pub(crate) fn reconfigure(&self, lines: &str) {
        self.stop();
        let file = self.folder.join("sshd_config");
        let rest = fs::read_to_string(&file).expect("sshd_config");
        fs::write(&file, format!("{lines}\n{rest}")).expect("sshd_config");
        self.start_again();
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The end of the log, for a failing test.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// What the server is called in the fleet.
    pub(crate) fn name(&self) -> String {
        self.folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// The ids of the listener and of all its sessions.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let listener = self.listener.lock().expect("lock");
        listener
            .as_ref()
            .map(|listener| processes::tree(listener.id()))
            .unwrap_or_default()
    }

    /// The line for a `known_hosts` file, for a client that was told `host` and `port`.
    pub(crate) fn known_host(&self, host: &str, port: u16) -> String {
        let key = fs::read_to_string(self.folder.join("host_key.pub")).expect("host_key.pub");
        format!("[{host}]:{port} {key}")
    }

    fn launch(&self) -> bool {
        let log = self.folder.join("log");
        let heard = || {
            fs::read_to_string(&log)
                .unwrap_or_default()
                .matches("Server listening on")
                .count()
        };
        let before = heard();
        // Without this, servers would outlive a test process that was killed.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", SSHD, "-D", "-E"])
            .arg(&log)
            .arg("-f")
            .arg(self.folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A terminal's Ctrl-C is for whoever uses the server: it is ended in order.
            .process_group(0)
            .spawn()
            .expect("starting sshd by setpriv");
        let listening = processes::wait_until(Duration::from_secs(20), || {
            heard() > before || matches!(child.try_wait(), Ok(Some(_)))
        }) && heard() > before;
        if listening {
            *self.listener.lock().expect("lock") = Some(child);
        } else {
            processes::kill_tree(child.id());
            drop(child.wait());
        }
        listening
    }

    fn signal_all(&self, signal: Signal) {
        for id in self.processes() {
            processes::signal(id, signal);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes an unprotected key pair.
pub(crate) fn make_key(file: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "gleaner-it", "-f"])
        .arg(file)
        .status()
        .expect("running ssh-keygen (apt-get install openssh-client)");
    assert!(made.success(), "ssh-keygen fails");
}

/// The lines of the configuration that make the session what it is.
fn shape_of(session: Session, folder: &Path, card: &Path) -> String {
    let home = folder.join("home");
    fs::create_dir_all(&home).expect("making a home");
    let home = home.display();
    let program = format!("Subsystem sftp {SFTP_SERVER}");
    match session {
        Session::Gnu => format!("{program}\nSetEnv HOME={home}\n"),
        Session::Noisy => {
            let chatter = "echo 'Welcome to raspberry!'\nprintf 'no newline'\necho 'low voltage' >&2\n";
            fs::write(folder.join("home/.bashrc"), chatter).expect("writing .bashrc");
            // The shell that starts an external server would chatter into the SFTP stream.
            format!("Subsystem sftp internal-sftp\nSetEnv HOME={home}\n")
        }
        Session::Busybox => {
            let (tools, login) = busybox_tools(folder);
            format!("{program}\nSetEnv HOME={home} PATH={tools}\nForceCommand {login}\n")
        }
        Session::Unprivileged => {
            let login = folder.join("login");
            let become_nobody = if rustix::process::getuid().is_root() {
                "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs"
            } else {
                "env"
            };
            let script = format!("cd /\nexec {become_nobody} sh -c \"${{SSH_ORIGINAL_COMMAND:-sh}}\"\n");
            fs::write(&login, script).expect("writing the login script");
            format!(
                "{program}\nSetEnv HOME={home}\nForceCommand exec sh {}\n",
                login.display()
            )
        }
        Session::SftpOnly => "Subsystem sftp internal-sftp\nForceCommand internal-sftp\n".to_owned(),
        Session::Chroot => {
            format!(
                "Subsystem sftp internal-sftp\nForceCommand internal-sftp\nChrootDirectory {}\n",
                card.display()
            )
        }
        Session::Mute => format!("{program}\nForceCommand exec sleep 1000\n"),
    }
}

/// A folder of `BusyBox` tools, and the command that stands for a login which has nothing else.
fn busybox_tools(folder: &Path) -> (String, String) {
    require(BUSYBOX, "busybox-static");
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).expect("making a folder for BusyBox");
    let made = Command::new(BUSYBOX)
        .args(["--install", "-s"])
        .arg(&tools)
        .status()
        .expect("running busybox");
    assert!(made.success(), "busybox --install fails");
    let login = folder.join("login");
    let tools = tools.display();
    let script = format!(
        "export PATH={tools} SHELL={tools}/sh\n\
         case \"$SSH_ORIGINAL_COMMAND\" in\n\
         {SFTP_SERVER}) exec {SFTP_SERVER} ;;\n\
         '') exec {tools}/sh ;;\n\
         *) exec {tools}/sh -c \"$SSH_ORIGINAL_COMMAND\" ;;\n\
         esac\n"
    );
    fs::write(&login, script).expect("writing the login script");
    (tools.to_string(), format!("exec {tools}/sh {}", login.display()))
}

fn configuration(folder: &Path, port: u16, shape: &str) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress 127.0.0.1\n\
         Port {port}\n\
         HostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         MaxStartups 100:30:200\n\
         MaxSessions 64\n\
         UseDNS no\n\
         LogLevel VERBOSE\n\
         {shape}"
    )
}

/// A port that is free now, below those that the kernel gives to outgoing connections, so that a server which was
/// stopped gets it again.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(COUNT)).expect("below COUNT");
    loop {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn require(program: &str, package: &str) {
    assert!(
        Path::new(program).exists(),
        "{program} is missing: apt-get install {package}"
    );
}
