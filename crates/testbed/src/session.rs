//! What a login to a server comes to.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where OpenSSH's SFTP server is, for commands that are forced upon a login.
pub const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

const BUSYBOX: &str = "/bin/busybox";

/// What a server gives to a client that has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// The login shell of the user, GNU tools, SFTP as a program of its own.
    Gnu,
    /// The same, with a start-up file that chatters on both outputs.
    Noisy,
    /// As `Gnu`, but as the user nobody where the tests run as root: may not read or write everything, and
    /// does not see what files other users have open.
    Unprivileged,
    /// `BusyBox` is all there is: no GNU tools, no `openssl`.
    Busybox,
    /// `ForceCommand internal-sftp`.
    SftpOnly,
    /// The same with another root, which a line `ChrootDirectory` in the settings must name. Needs root.
    Chroot,
    /// As `Gnu`, but the program that sshd should serve SFTP by is not installed.
    WithoutSftpServer,
    /// As `Gnu`, but sshd is not told of any program to serve SFTP by.
    WithoutSubsystem,
    /// Lets in and then says nothing, whatever is asked for.
    Mute,
}

impl Session {
    /// Makes its files in `folder`, of which `home` is there already. Returns its lines for `sshd_config`.
    pub(crate) fn prepare(self, folder: &Path) -> String {
        let home = folder.join("home");
        // A start-up file of the machine's own user does not matter: the home is ours.
        let program = format!("Subsystem sftp {SFTP_SERVER}\nSetEnv HOME={}", home.display());
        match self {
            Self::Gnu => program,
            Self::Noisy => {
                let chatter = "echo 'Welcome to raspberry!'\nprintf 'no newline'\necho 'low voltage' >&2\n";
                fs::write(home.join(".bashrc"), chatter).expect("writing .bashrc");
                // The shell that starts an external server would chatter into the SFTP stream.
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

/// A folder of `BusyBox` tools, and the command that stands for a login which has nothing more.
fn busybox_tools(folder: &Path) -> (String, String) {
    crate::sshd::require(BUSYBOX, "busybox-static");
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).expect("making a folder for BusyBox");
    let made = Command::new(BUSYBOX)
        .args(["--install", "-s"])
        .arg(&tools)
        .status()
        .expect("running busybox");
    assert!(made.success(), "busybox --install fails");
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
