//! The kinds of sessions that a server offers.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The path of OpenSSH's SFTP server, for forced commands.
pub const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

const BUSYBOX: &str = "/bin/busybox";

/// The session of a client that has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// The user's login shell, GNU tools, and SFTP as a separate program.
    Gnu,
    /// As `Gnu`, with a start-up file that prints to both outputs.
    Noisy,
    /// As `Gnu`, but as the user `nobody` if the tests run as root: cannot read or write every file, and
    /// cannot see which files other users have open.
    Unprivileged,
    /// Only `BusyBox`: no GNU tools, no `openssl`.
    Busybox,
    /// `ForceCommand internal-sftp`.
    SftpOnly,
    /// As `SftpOnly`, with another root folder, which a line `ChrootDirectory` in the settings must name.
    /// Needs root.
    Chroot,
    /// As `Gnu`, but sshd's SFTP server is not installed.
    WithoutSftpServer,
    /// As `Gnu`, but sshd has no SFTP server configured.
    WithoutSubsystem,
    /// Accepts the login and then never replies to any request.
    Mute,
}

impl Session {
    /// Creates the files of the session in `folder`, where `home` exists already. Returns its lines for
    /// `sshd_config`.
    pub(crate) fn prepare(self, folder: &Path) -> String {
        let home = folder.join("home");
        // HOME is a folder of the test, so that no start-up file of the machine's user runs.
        let program = format!("Subsystem sftp {SFTP_SERVER}\nSetEnv HOME={}", home.display());
        match self {
            Self::Gnu => program,
            Self::Noisy => {
                let start_up = "echo 'Welcome to raspberry!'\nprintf 'no newline'\necho 'low voltage' >&2\n";
                fs::write(home.join(".bashrc"), start_up).expect("writing .bashrc");
                // The shell that starts an external server would print into the SFTP stream.
                format!("Subsystem sftp internal-sftp\nSetEnv HOME={}", home.display())
            }
            Self::Busybox => {
                let (tools, login) = busybox_tools(folder);
                format!("{program} PATH={tools}\nForceCommand {login}")
            }
            Self::Unprivileged => format!("{program}\nForceCommand {}", login_as_nobody(folder)),
            Self::SftpOnly | Self::Chroot => {
                "Subsystem sftp internal-sftp\nForceCommand internal-sftp".to_owned()
            }
            Self::WithoutSftpServer => {
                format!(
                    "Subsystem sftp /nonexistent/sftp-server\nSetEnv HOME={}",
                    home.display()
                )
            }
            Self::WithoutSubsystem => format!("SetEnv HOME={}", home.display()),
            Self::Mute => format!("{program}\nForceCommand exec sleep 1000"),
        }
    }
}

/// Creates a folder of `BusyBox` tools. Returns it, and the forced command of a login that has only these
/// tools.
fn busybox_tools(folder: &Path) -> (String, String) {
    crate::programs::require(BUSYBOX, "busybox-static");
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).expect("making a folder for BusyBox");
    let status = Command::new(BUSYBOX)
        .args(["--install", "-s"])
        .arg(&tools)
        .status()
        .expect("running busybox");
    assert!(status.success(), "busybox --install fails");
    let tools = tools.display().to_string();
    let script = format!(
        "export PATH={tools} SHELL={tools}/sh\n\
         case \"$SSH_ORIGINAL_COMMAND\" in\n\
         {SFTP_SERVER}) exec {SFTP_SERVER} ;;\n\
         '') exec {tools}/sh ;;\n\
         *) exec {tools}/sh -c \"$SSH_ORIGINAL_COMMAND\" ;;\n\
         esac\n"
    );
    let login = format!("exec {tools}/sh {}", write_login(folder, &script));
    (tools, login)
}

fn login_as_nobody(folder: &Path) -> String {
    let become_nobody = if rustix::process::getuid().is_root() {
        "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs"
    } else {
        "env"
    };
    let script = format!("cd /\nexec {become_nobody} sh -c \"${{SSH_ORIGINAL_COMMAND:-sh}}\"\n");
    format!("exec sh {}", write_login(folder, &script))
}

fn write_login(folder: &Path, script: &str) -> String {
    let file = folder.join("login");
    fs::write(&file, script).expect("writing the login script");
    file.display().to_string()
}
