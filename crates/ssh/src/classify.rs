//! Derives the failure class from ssh's standard error and exit status.
//!
//! The texts are those of OpenSSH 8.4 to 10; they have hardly changed in twenty years. With a jump host, two
//! ssh processes write to one stream. The inner process connects to the jump host, the outer one through it
//! to the device. If the inner process fails, the outer one always adds that `UNKNOWN port 65535` closed the
//! connection. This line shows that the lines before it are the inner process's.
//!
//! The stream also carries text from servers: login banners before authentication, messages of the device's
//! programs after it. So a line counts as ssh's own only if it matches the whole form of an ssh message
//! (`forms`). Lines from before the last authentication are never the reason for a failure after it.

mod account;
mod forms;
mod lines;

use engine::ports::device::DeviceFailure;
use model::{FailureClass, escaped};

pub(crate) use forms::{is_chatter, is_refused_session};
pub(crate) use lines::AUTHENTICATED;
use lines::{StderrLines, THROUGH_PROXY};

/// The longest quote of ssh's output in a message, in characters.
const MAX_QUOTE_LENGTH: usize = 300;
/// The exit status of ssh's own failures. Any other status is that of the command on the device.
const SSH_FAILED: i32 = 255;

/// The beginning of an SFTP client's greeting: a packet of five bytes, INIT, version 3.
const SFTP_GREETING: &[u8] = b"\0\0\0\x05\x01\0\0\0\x03";

/// Why a connection failed, and whether another try may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What to report.
    pub failure: DeviceFailure,
    /// The other side hung up before its first message, as an sshd does that has too many unauthenticated
    /// connections (`MaxStartups`). Another try may succeed.
    pub hung_up_at_once: bool,
    /// The device authenticated us, and then ended the connection without a reason.
    pub hung_up_after_login: bool,
}

impl From<DeviceFailure> for Diagnosis {
    /// A failure for which another try does not help.
    fn from(failure: DeviceFailure) -> Self {
        Self {
            failure,
            hung_up_at_once: false,
            hung_up_after_login: false,
        }
    }
}

/// Diagnoses an ssh process that ended, from its standard error.
///
/// `through_jump` is whether a jump host or a proxy command is used. `exit_status` is that of the process,
/// where known.
pub fn diagnose(stderr: &str, through_jump: bool, exit_status: Option<i32>) -> Diagnosis {
    let lines = StderrLines::parse(stderr, through_jump);
    let of_device = exit_status.filter(|status| *status != SSH_FAILED);
    let reason = match of_device {
        Some(status) => lines.reason_of_exit(status),
        None => lines.find_reason(),
    };
    let hung_up_at_once = !lines.authenticated
        && forms::is_hang_up_at_once(reason.quote)
        && (!through_jump || lines.written_by_inner("kex_exchange_identification"));
    let prefix = match reason.class {
        FailureClass::JumpRefused | FailureClass::JumpUnreachable => "jump host: ",
        _ => "",
    };
    let quote: String = reason.quote.chars().take(MAX_QUOTE_LENGTH).collect();
    let message = match (quote.trim(), of_device) {
        ("", Some(status)) => format!("the device ended SFTP with exit status {status}, without a reason"),
        ("", None) => "ssh ended without a message".to_owned(),
        (quote, _) => format!("{prefix}{}", escaped(quote.as_bytes())),
    };
    let mut failure = DeviceFailure::new(reason.class, message);
    failure.remedy = reason.remedy.map(str::to_owned);
    Diagnosis {
        hung_up_at_once,
        hung_up_after_login: lines.authenticated && of_device.is_none() && reason.is_unknown,
        failure,
    }
}

/// Diagnoses a device that sent other bytes in place of SFTP's greeting. `message_of_client` is the SFTP
/// client's description of them.
pub(crate) fn diagnose_not_sftp(first_bytes: &[u8], message_of_client: String) -> DeviceFailure {
    let text = String::from_utf8_lossy(first_bytes);
    let message = if first_bytes.starts_with(SFTP_GREETING) {
        "a program on the device echoes the input of its SFTP server".to_owned()
    } else {
        message_of_client
    };
    let (class, remedy) = account::refusal_of_shell(text.trim_start())
        .unwrap_or((FailureClass::Protocol, account::START_UP_REMEDY));
    DeviceFailure::new(class, message).with_remedy(remedy)
}

/// The reason for a failure.
struct FailureReason<'a> {
    class: FailureClass,
    /// The line that states it.
    quote: &'a str,
    /// The remedy, where that of the class does not help.
    remedy: Option<&'static str>,
    /// No line is known to be the reason.
    is_unknown: bool,
}

impl<'a> FailureReason<'a> {
    fn new(class: FailureClass, quote: &'a str) -> Self {
        Self {
            class,
            quote,
            remedy: None,
            is_unknown: false,
        }
    }

    fn with_remedy(self, remedy: &'static str) -> Self {
        Self {
            remedy: Some(remedy),
            ..self
        }
    }
}

impl<'a> StderrLines<'a> {
    /// The reason why the connection ended, from ssh's output.
    fn find_reason(&self) -> FailureReason<'a> {
        self.configuration()
            .or_else(|| self.host_key())
            .or_else(|| self.forwarding())
            .or_else(|| self.authentication())
            .or_else(|| self.address())
            .or_else(|| self.silence())
            .or_else(|| self.account())
            .or_else(|| self.hang_up())
            .or_else(|| self.no_subsystem())
            .or_else(|| self.unknown_refusal())
            .unwrap_or_else(|| FailureReason {
                is_unknown: true,
                ..FailureReason::new(
                    FailureClass::Protocol,
                    self.lines.last().copied().unwrap_or_default(),
                )
            })
    }

    /// The reason why the command on the device exited: an SFTP server does not exit on its own.
    fn reason_of_exit(&self, status: i32) -> FailureReason<'a> {
        let last = self.lines.last().copied().unwrap_or_default();
        match status {
            // A shell's status: 126 is found but not executable, 127 is not found.
            126 | 127 if last.is_empty() => FailureReason::new(
                FailureClass::NoSftpServer,
                if status == 127 {
                    "the program that should serve SFTP is not there (exit status 127)"
                } else {
                    "the program that should serve SFTP cannot be run (exit status 126)"
                },
            ),
            126 | 127 => FailureReason::new(FailureClass::NoSftpServer, last),
            // sshd's status, where PAM does not handle nologin.
            254 if last.is_empty() => FailureReason::new(
                FailureClass::StartingUp,
                "the device ended SFTP with exit status 254, as sshd does while there is /etc/nologin",
            ),
            _ => account::last_known_refusal(&self.lines)
                .or_else(|| account::password_to_be_changed(&self.before_login))
                .unwrap_or(FailureReason::new(FailureClass::Protocol, last)),
        }
    }

    fn configuration(&self) -> Option<FailureReason<'a>> {
        let line = forms::CONFIGURATION.iter().find_map(|form| self.line(*form))?;
        Some(FailureReason::new(FailureClass::AliasUnknown, line))
    }

    fn host_key(&self) -> Option<FailureReason<'a>> {
        if let Some(banner) = self.line(forms::is_changed_key) {
            let names_host = self.line(forms::is_host_of_changed_key);
            return Some(FailureReason::new(
                FailureClass::HostKeyChanged,
                names_host.unwrap_or(banner),
            ));
        }
        let line = self
            .line(forms::is_unknown_key)
            .or_else(|| self.line(forms::is_failed_verification))?;
        Some(FailureReason::new(FailureClass::HostKeyUnknown, line))
    }

    /// The answer of the jump host's sshd to the request to connect to the device's tunnel.
    fn forwarding(&self) -> Option<FailureReason<'a>> {
        let line = self
            .line(forms::is_refused_forwarding)
            .filter(|_| self.through_jump)?;
        let class = match line.split_once("connect failed: ").map(|(_, reason)| reason) {
            Some("Connection refused") => FailureClass::TunnelDown,
            Some(reason) if forms::is_unknown_name(reason) => FailureClass::AliasUnknown,
            Some(_) => FailureClass::TimedOut,
            None => FailureClass::JumpRefused,
        };
        Some(FailureReason::new(class, line))
    }

    fn authentication(&self) -> Option<FailureReason<'a>> {
        let line = self
            .line(forms::is_refused_authentication)
            .or_else(|| self.line(forms::is_too_many_keys))?;
        let class = self.blame(FailureClass::JumpRefused, FailureClass::AuthenticationRefused);
        Some(FailureReason::new(class, line))
    }

    fn address(&self) -> Option<FailureReason<'a>> {
        if let Some(line) = self.line(forms::is_unresolved) {
            let class = if line.contains("Temporary failure") {
                FailureClass::TimedOut
            } else {
                FailureClass::AliasUnknown
            };
            return Some(FailureReason::new(
                self.blame(FailureClass::JumpUnreachable, class),
                line,
            ));
        }
        let line = self.line(forms::is_unconnected)?;
        let class = if line.ends_with("Connection refused") {
            self.blame(FailureClass::JumpRefused, FailureClass::TunnelDown)
        } else {
            self.blame(FailureClass::JumpUnreachable, FailureClass::TimedOut)
        };
        Some(FailureReason::new(class, line))
    }

    fn silence(&self) -> Option<FailureReason<'a>> {
        if let Some(line) = self.line(forms::is_keepalive_unanswered) {
            let class = self.blame(FailureClass::JumpUnreachable, FailureClass::Stalled);
            return Some(FailureReason::new(class, line));
        }
        let line = self
            .ssh_lines
            .iter()
            .find(|line| forms::is_timeout(line))
            .copied()?;
        let class = if self.inner_has_ended() || (self.through_jump && !self.authenticated) {
            FailureClass::JumpUnreachable
        } else {
            FailureClass::TimedOut
        };
        Some(FailureReason::new(class, line))
    }

    fn hang_up(&self) -> Option<FailureReason<'a>> {
        if let Some(line) = self.line(forms::is_without_common_algorithm) {
            let class = if !self.through_jump || line.contains(THROUGH_PROXY) {
                FailureClass::Protocol
            } else {
                FailureClass::JumpRefused
            };
            return Some(FailureReason::new(class, line).with_remedy(
                "the two sides need an algorithm in common: update the older one, or enable one in your ssh configuration",
            ));
        }
        let line = self.line(forms::is_hang_up_at_once)?;
        let class = match (self.through_jump, self.authenticated) {
            (false, _) => FailureClass::Protocol,
            // The jump host authenticated us and connected us, but the far end of the tunnel was not there.
            (true, true) => FailureClass::TunnelDown,
            (true, false) if self.written_by_inner("kex_exchange_identification: ") => {
                FailureClass::JumpRefused
            }
            (true, false) => FailureClass::JumpUnreachable,
        };
        Some(FailureReason::new(class, line))
    }

    /// The device's sshd has no program configured to serve SFTP.
    fn no_subsystem(&self) -> Option<FailureReason<'a>> {
        let line = self.line(forms::is_refused_subsystem)?;
        Some(FailureReason::new(FailureClass::NoSftpServer, line))
    }

    /// A server that refuses all logins now, or this account. PAM's message comes as a banner, then sshd
    /// hangs up.
    fn account(&self) -> Option<FailureReason<'a>> {
        self.line(forms::is_hang_up)?;
        let reason = account::last_known_refusal(&self.lines)?;
        let class = match reason.class {
            class if !self.is_end_of_jump() => class,
            FailureClass::StartingUp => FailureClass::JumpUnreachable,
            _ => FailureClass::JumpRefused,
        };
        Some(FailureReason { class, ..reason })
    }

    /// The device hung up before authentication, and its last other line may be the reason.
    fn unknown_refusal(&self) -> Option<FailureReason<'a>> {
        self.line(forms::is_hang_up)?;
        let line = self.lines.iter().rev().find(|line| !forms::is_hang_up(line))?;
        (!self.device_authenticated && !self.is_end_of_jump())
            .then(|| FailureReason::new(FailureClass::Protocol, line).with_remedy(account::HANG_UP_REMEDY))
    }
}

#[cfg(test)]
mod tests;
