//! Why a device could not be served, told apart.

/// The class of a failure of a whole pass: same words in messages, ledger and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// ssh cannot resolve the host name: most often an alias that no ssh configuration knows.
    AliasUnknown,
    /// The jump host does not answer, or cannot be routed to.
    JumpUnreachable,
    /// The jump host answers but refuses: its TCP port, its authentication, or its forwarding.
    JumpRefused,
    /// The jump host is well, but nothing listens where the device's tunnel should end.
    TunnelDown,
    /// No answer within the time allowed for connecting.
    TimedOut,
    /// The device answers, and lets no login in until it has started up, or because it shuts down
    /// (`pam_nologin`).
    StartingUp,
    /// No known host key for the device or the jump host.
    HostKeyUnknown,
    /// The host key is not the one that is known: re-flashed, swapped, or an attacker.
    HostKeyChanged,
    /// The device is there, but does not accept the key, or the account.
    AuthenticationRefused,
    /// The device lets us in, and has no SFTP server to run.
    NoSftpServer,
    /// The source folder does not exist on the device.
    SourceMissing,
    /// The source is the folder that another configured name leads to.
    SameDevice,
    /// The device refuses to list or read the source.
    Permission,
    /// The device says something that its protocol does not allow, or ends the connection in between.
    Protocol,
    /// The device owed an answer for longer than `stall_timeout`, or went on without end.
    Stalled,
    /// The collector could not start what reaches the device: it lacks descriptors, processes or a program.
    CollectorFailed,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 16] = [
        Self::AliasUnknown,
        Self::JumpUnreachable,
        Self::JumpRefused,
        Self::TunnelDown,
        Self::TimedOut,
        Self::StartingUp,
        Self::HostKeyUnknown,
        Self::HostKeyChanged,
        Self::AuthenticationRefused,
        Self::NoSftpServer,
        Self::SourceMissing,
        Self::SameDevice,
        Self::Permission,
        Self::Protocol,
        Self::Stalled,
        Self::CollectorFailed,
    ];

    /// The stable code in ledger, JSON and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AliasUnknown => "alias-unknown",
            Self::JumpUnreachable => "jump-unreachable",
            Self::JumpRefused => "jump-refused",
            Self::TunnelDown => "tunnel-down",
            Self::TimedOut => "timed-out",
            Self::StartingUp => "starting-up",
            Self::HostKeyUnknown => "host-key-unknown",
            Self::HostKeyChanged => "host-key-changed",
            Self::AuthenticationRefused => "authentication-refused",
            Self::NoSftpServer => "no-sftp-server",
            Self::SourceMissing => "source-missing",
            Self::SameDevice => "same-device",
            Self::Permission => "permission",
            Self::Protocol => "protocol",
            Self::Stalled => "stalled",
            Self::CollectorFailed => "collector-failed",
        }
    }

    /// The class of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::AliasUnknown => "ssh does not know this host",
            Self::JumpUnreachable => "the jump host cannot be reached",
            Self::JumpRefused => "the jump host refuses us",
            Self::TunnelDown => "nothing listens at the device's address (its tunnel is down)",
            Self::TimedOut => "no answer within the time allowed",
            Self::StartingUp => "the device is starting up or shutting down",
            Self::HostKeyUnknown => "the host key is not known yet",
            Self::HostKeyChanged => "the host key has changed",
            Self::AuthenticationRefused => "the device does not let us in",
            Self::NoSftpServer => "the device has no SFTP server",
            Self::SourceMissing => "the source folder does not exist on the device",
            Self::SameDevice => "the source is the folder that another name leads to; nothing was touched",
            Self::Permission => "the device does not let us read the source",
            Self::Protocol => "the device said something unexpected or hung up",
            Self::Stalled => "the device stopped answering, or came to no end",
            Self::CollectorFailed => "the machine that runs gleaner could not begin to reach it",
        }
    }

    /// What a person can do about it, where the failure itself has no remedy of its own.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AliasUnknown => {
                "add a Host block for it to your ssh configuration, or set `host` for the device"
            }
            Self::JumpUnreachable => "check the network and the jump host, then try `ssh` to it by hand",
            Self::JumpRefused => {
                "try `ssh` to the jump host by hand as the user that runs gleaner; its key or its sshd refuses"
            }
            Self::TunnelDown => {
                "check power and network at the device and its tunnel service; it is gathered when it comes back"
            }
            Self::TimedOut => {
                "check power and network at the device; a tunnel may be half open on the jump host"
            }
            Self::StartingUp => {
                "wait: the next sweep visits it again; if it stays so, remove /run/nologin or /etc/nologin on the device"
            }
            Self::HostKeyUnknown => {
                "connect once by hand with `ssh` (adding `-o HostKeyAlias=NAME` where gleaner.toml gives the device a host or port), compare the fingerprint, and accept it"
            }
            Self::HostKeyChanged => {
                "find out why (re-flashed card, swapped tunnel); if it is right, remove the old key: `ssh-keygen -R HOST`, with a port `ssh-keygen -R '[HOST]:PORT'`, or `ssh-keygen -R NAME` where gleaner.toml gives the device a host or port"
            }
            Self::AuthenticationRefused => "install the public key in the device's authorized_keys",
            Self::NoSftpServer => {
                "install it on the device: Debian, Ubuntu, Raspberry Pi OS `apt install openssh-sftp-server`; Alpine `apk add openssh-sftp-server`; OpenWrt `opkg install openssh-sftp-server`; Fedora `dnf install openssh-server`; for OpenSSH, check the line `Subsystem sftp` in its sshd_config"
            }
            Self::SourceMissing => "check `source` for this device, and that its disk is mounted",
            Self::SameDevice => {
                "compare where the two names lead, `HostName` and `Port` first: `ssh -G NAME` prints them; correct the wrong one, or take one of the two out of gleaner.toml"
            }
            Self::Permission => "let the login user read and write the source folder",
            Self::Protocol => {
                "if the link broke, the next pass goes on where this one stopped; if it happens again, try `sftp` to the device by hand"
            }
            Self::Stalled => {
                "check the link, and the file that is named, if one is: the card may be worn out there; the next pass goes on where this one stopped"
            }
            Self::CollectorFailed => {
                "if open files or processes ran out, raise the limits of gleaner (`LimitNOFILE=`, `TasksMax=` of its unit; `ulimit -Hn`), or lower `fleet.parallel`; otherwise install what the message names"
            }
        }
    }

    /// Whether the device could not be reached at all: such a sweep ends with exit status 5, not 1.
    ///
    /// A host key or a refused key is not among them: somebody has to act on these.
    pub const fn is_unreachable(self) -> bool {
        matches!(
            self,
            Self::JumpUnreachable | Self::TunnelDown | Self::TimedOut | Self::StartingUp
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_comes_back_from_its_code() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_code(class.code()), Some(class));
        }
    }
}
