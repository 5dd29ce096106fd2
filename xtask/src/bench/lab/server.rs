//! One OpenSSH server.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::meter::{Group, kill_process_group, plain_command};
use crate::command;

const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";
const START_DEADLINE: Duration = Duration::from_secs(20);

/// Ended with its process group when dropped; sessions end with their connections.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// None where each connection has one of its own.
    process: Option<Child>,
}

/// For root the login's home is an empty folder, so that nobody's start-up files are measured.
const WITH_EMPTY_HOME: &str = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;

impl Server {
    /// Its key, and that of the client, are in `folder/keys`.
    pub(super) fn start(
        folder: &Path,
        name: &'static str,
        group: Option<&Group>,
        root: bool,
    ) -> Result<Self> {
        const TRIES: usize = 5;
        // A free port may be somebody's by the time that the server wants it.
        let mut last = Self::start_once(folder, name, group, root);
        for _ in 1..TRIES {
            if last.is_ok() {
                break;
            }
            last = Self::start_once(folder, name, group, root);
        }
        last
    }

    fn start_once(folder: &Path, name: &'static str, group: Option<&Group>, root: bool) -> Result<Self> {
        let program = command::find("sshd").context("sshd is missing")?;
        if root {
            // The folder for privilege separation, which only the service's own unit makes.
            fs::create_dir_all("/run/sshd")?;
        }
        let port = free_port()?;
        let config = folder.join(format!("sshd_config_{name}"));
        let log = folder.join(format!("sshd_{name}.log"));
        fs::write(&config, configuration(folder, name, port))?;
        let mut words: Vec<OsString> = vec!["setpriv".into(), "--pdeathsig".into(), "KILL".into()];
        if root {
            words.extend(["unshare", "--mount"].map(Into::into));
            words.extend(with_empty_home(folder)?);
        }
        words.push(program.into());
        words.extend(["-D".into(), "-E".into(), log.clone().into()]);
        words.extend(["-f".into(), config.into()]);
        let mut starting = match group {
            Some(group) => group.command(&words),
            None => plain_command(&words),
        };
        std::os::unix::process::CommandExt::process_group(&mut starting, 0);
        let process = starting
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start the server {name}"))?;
        let mut server = Self {
            name,
            port,
            process: Some(process),
        };
        server.wait_until_it_listens(&log)?;
        Ok(server)
    }

    /// One that gives each connection processes of its own, and a view of no others. For root only. It
    /// listens as long as this program runs.
    pub(super) fn start_apart(folder: &Path, name: &'static str, group: Option<&Group>) -> Result<Self> {
        let program = command::find("sshd").context("sshd is missing")?;
        fs::create_dir_all("/run/sshd")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a port for the devices")?;
        let port = listener.local_addr()?.port();
        let config = folder.join(format!("sshd_config_{name}"));
        fs::write(&config, configuration(folder, name, port))?;
        let mut words: Vec<OsString> = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid"]
            .map(Into::into)
            .to_vec();
        words.extend(["--fork", "--kill-child", "--mount-proc"].map(Into::into));
        words.extend(with_empty_home(folder)?);
        words.extend([program.into(), "-i".into(), "-f".into(), config.into()]);
        let group = group.map(|group| group.folder().to_owned());
        thread::spawn(move || serve_apart(&listener, &words, group.as_deref()));
        Ok(Self {
            name,
            port,
            process: None,
        })
    }

    fn wait_until_it_listens(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let said = fs::read_to_string(log).unwrap_or_default();
            if said.contains("Server listening on") {
                return Ok(());
            }
            let process = self.process.as_mut().map(Child::try_wait).transpose()?;
            if process.flatten().is_some() || Instant::now() > deadline {
                bail!("the server {} does not start:\n{said}", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve_apart(listener: &TcpListener, words: &[OsString], group: Option<&Path>) {
    // They die with the thread that has started them, which is this one.
    let mut sessions: Vec<Child> = Vec::new();
    for stream in listener.incoming().flatten() {
        let mut command = match group {
            Some(group) => Group::command_in(group, words),
            None => plain_command(words),
        };
        let Ok(second) = stream.try_clone() else { continue };
        command
            .stdin(OwnedFd::from(stream))
            .stdout(OwnedFd::from(second))
            .stderr(Stdio::null());
        // If it fails, the client says that nothing answers.
        sessions.extend(command.spawn());
        sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            kill_process_group(process.id());
            drop(process.wait());
        }
    }
}

/// What runs the words that follow where the login's home is empty.
fn with_empty_home(folder: &Path) -> Result<Vec<OsString>> {
    let words = ["sh", "-c", WITH_EMPTY_HOME, "sh"].map(Into::into).into_iter();
    Ok(words
        .chain([folder.join("home").into(), home()?.into()])
        .collect())
}

/// A port that nobody listens on now.
pub(in crate::bench) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The home folder that ssh finds: that of the account, whatever the environment says.
fn home() -> Result<String> {
    let user = command::output(Command::new("id").arg("-un"))?;
    let entry = command::output(Command::new("getent").args(["passwd", user.trim()]))?;
    let home = entry
        .split(':')
        .nth(5)
        .context("read the account's home folder")?;
    Ok(home.to_owned())
}

fn configuration(folder: &Path, name: &str, port: u16) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress 127.0.0.1\n\
         Port {port}\n\
         HostKey {folder}/keys/{name}\n\
         AuthorizedKeysFile {folder}/keys/client.pub\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         MaxStartups 1000:30:2000\n\
         MaxSessions 1000\n\
         UseDNS no\n\
         Subsystem sftp {SFTP_SERVER}\n"
    )
}
