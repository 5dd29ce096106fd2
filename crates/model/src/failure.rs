//! The classes of failures of a device.

/// The class of a failure of a whole pass: the same code in messages, ledger and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// ssh cannot resolve the host name: usually an alias that no ssh configuration defines.
    AliasUnknown,
    /// The jump host does not reply, or there is no route to it.
    JumpUnreachable,
    /// The jump host is reachable but refuses the TCP connection, the authentication or the forwarding.
    JumpRefused,
    /// The jump host works, but nothing listens on it at the end of the device's tunnel.
    TunnelDown,
    /// No reply within `connect_timeout`.
    TimedOut,
    /// The device replies but refuses every login while it starts up or shuts down (`pam_nologin`).
    StartingUp,
    /// No known host key for the device or the jump host.
    HostKeyUnknown,
    /// The host key differs from the known one: a re-flashed card, a swapped device, or an attacker.
    HostKeyChanged,
    /// The device is reachable, but does not accept the key or the account.
    AuthenticationRefused,
    /// The device accepts the login, but has no SFTP server.
    NoSftpServer,
    /// The source folder does not exist on the device.
    SourceMissing,
    /// Another configured name leads to the same source folder.
    SameDevice,
    /// The device refuses to list or read the source.
    Permission,
    /// The device violates the protocol, or closes the connection before the end.
    Protocol,
    /// A reply of the device was pending for longer than `stall_timeout`, or did not end within its limit.
    Stalled,
    /// The collector could not start the connection: it lacks descriptors, processes or a program.
    LocalFailure,
    /// A later pass over the device has begun elsewhere, so this pass may no longer write to the ledger.
    TakenOver,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 17] = [
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
        Self::LocalFailure,
        Self::TakenOver,
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
            Self::LocalFailure => "local-failure",
            Self::TakenOver => "taken-over",
        }
    }

    /// The class with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// Its meaning in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::AliasUnknown => "ssh does not know this host",
            Self::JumpUnreachable => "the jump host cannot be reached",
            Self::JumpRefused => "the jump host refuses the connection",
            Self::TunnelDown => "nothing listens at the device's address (its tunnel is down)",
            Self::TimedOut => "no reply within the time limit",
            Self::StartingUp => "the device is starting up or shutting down",
            Self::HostKeyUnknown => "the host key is not known yet",
            Self::HostKeyChanged => "the host key has changed",
            Self::AuthenticationRefused => "the device refuses the login",
            Self::NoSftpServer => "the device has no SFTP server",
            Self::SourceMissing => "the source folder does not exist on the device",
            Self::SameDevice => {
                "another configured name leads to the same source folder; gleaner touched nothing"
            }
            Self::Permission => "the login may not read the source",
            Self::Protocol => "the device sent an unexpected reply or closed the connection",
            Self::Stalled => "the device stopped replying, or never finished",
            Self::LocalFailure => "the collector could not start a connection to it",
            Self::TakenOver => "another pass of this ledger serves this device now",
        }
    }

    /// What the operator can do about it, unless the failure itself has a remedy.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AliasUnknown => {
                "add a Host block for it to your ssh configuration, or set `host` for the device"
            }
            Self::JumpUnreachable => "check the network and the jump host, then try `ssh` to it by hand",
            Self::JumpRefused => {
                "try `ssh` to the jump host by hand as the user that runs gleaner; check its key and the jump host's sshd"
            }
            Self::TunnelDown => {
                "check the device's power, network and tunnel service; gleaner gathers it when it is back"
            }
            Self::TimedOut => {
                "check the device's power and network; a tunnel may be half open on the jump host"
            }
            Self::StartingUp => {
                "wait: the next sweep tries again; if this persists, remove /run/nologin or /etc/nologin on the device"
            }
            Self::HostKeyUnknown => {
                "connect once by hand with `ssh` (adding `-o HostKeyAlias=NAME` where gleaner.toml gives the device a host or port), compare the fingerprint, and accept it"
            }
            Self::HostKeyChanged => {
                "find out why (re-flashed card, swapped tunnel); if the new key is right, remove the old one: `ssh-keygen -R HOST`, with a port `ssh-keygen -R '[HOST]:PORT'`, or `ssh-keygen -R NAME` where gleaner.toml gives the device a host or port"
            }
            Self::AuthenticationRefused => "install the public key in the device's authorized_keys",
            Self::NoSftpServer => {
                "install it on the device: Debian, Ubuntu, Raspberry Pi OS `apt install openssh-sftp-server`; Alpine `apk add openssh-sftp-server`; OpenWrt `opkg install openssh-sftp-server`; Fedora `dnf install openssh-server`; for OpenSSH, check the line `Subsystem sftp` in its sshd_config"
            }
            Self::SourceMissing => "check `source` for this device, and that its disk is mounted",
            Self::SameDevice => {
                "compare where the two names lead, beginning with `HostName` and `Port` (`ssh -G NAME` prints them); correct the wrong one, or remove one of the two from gleaner.toml"
            }
            Self::Permission => "let the login user read and write the source folder",
            Self::Protocol => {
                "if the link broke, the next pass continues where this one stopped; if this repeats, try `sftp` to the device by hand"
            }
            Self::Stalled => {
                "check the link, and the file if the message names one: the card may be worn out there; the next pass continues where this one stopped"
            }
            Self::LocalFailure => {
                "if open files or processes ran out, raise gleaner's limits (`LimitNOFILE=`, `TasksMax=` of its unit; `ulimit -Hn`), or lower `fleet.parallel`; otherwise install the program that the message names"
            }
            Self::TakenOver => {
                "find the other gleaner that uses this ledger, and let only one of them serve the device"
            }
        }
    }

    /// Whether the device could not be reached at all: such a sweep ends with exit status 5, not 1.
    ///
    /// A changed host key or a refused login does not count: the operator has to act on these.
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
    fn the_code_of_each_class_identifies_it() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_code(class.code()), Some(class));
        }
    }
}
