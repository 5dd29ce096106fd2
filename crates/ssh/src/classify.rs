//! From what ssh wrote to its standard error, and its exit status, to the class of the failure.
//!
//! The texts are OpenSSH's from 8.4 to 10, and have hardly changed in twenty years. With a jump host there are two ssh
//! processes that write to one stream: the one that reaches the jump host, and around it the one that reaches the device
//! through it. When the inner one fails, the outer one always adds that `UNKNOWN port 65535` closed the connection; that
//! tells whose words came before.
//!
//! The stream also carries what servers say: login banners before they let us in, messages of the device's
//! programs after that. So a line counts as ssh's own only in the whole form that ssh gives it (`forms`), and
//! what was said before some hop let us in is no reason of what fails after it.

mod account;
mod forms;

use engine::ports::device::DeviceFailure;
use model::{FailureClass, escaped};

use forms::Form;
pub(crate) use forms::{is_chatter, is_refused_session};

/// Longest piece of ssh's words that becomes part of a message.
const MAX_QUOTE_LENGTH: usize = 300;
/// The exit status of an ssh that failed itself. Any other is that of the command on the device.
const SSH_FAILED: i32 = 255;

/// How SFTP's client begins: a packet of five bytes, INIT, version 3.
const SFTP_GREETING: &[u8] = b"\0\0\0\x05\x01\0\0\0\x03";

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What to report.
    pub failure: DeviceFailure,
    /// The other side hung up before its first word, as an sshd does that has too many unauthenticated connections at
    /// once (`MaxStartups`): worth another try.
    pub hung_up_at_once: bool,
    /// The device let us in, and then ended the connection without a reason.
    pub hung_up_after_login: bool,
}

impl From<DeviceFailure> for Diagnosis {
    /// A failure that is not worth another try.
    fn from(failure: DeviceFailure) -> Self {
        Self {
            failure,
            hung_up_at_once: false,
            hung_up_after_login: false,
        }
    }
}

/// Judges the last words of an ssh process that ended by itself.
///
/// `through_jump` says whether a jump host or a proxy command is in the way; `exit_status` is that of the
/// process, where it is known.
pub fn diagnose(words: &str, through_jump: bool, exit_status: Option<i32>) -> Diagnosis {
    let words = StderrLines::parse(words, through_jump);
    let of_device = exit_status.filter(|status| *status != SSH_FAILED);
    let reason = match of_device {
        Some(status) => words.reason_of_exit(status),
        None => words.find_reason(),
    };
    let hung_up_at_once = !words.authenticated
        && forms::is_hang_up_at_once(reason.quote)
        && (!through_jump || words.written_by_inner("kex_exchange_identification"));
    let prefix = match reason.class {
        FailureClass::JumpRefused | FailureClass::JumpUnreachable => "jump host: ",
        _ => "",
    };
    let quote: String = reason.quote.chars().take(MAX_QUOTE_LENGTH).collect();
    let message = match (quote.trim(), of_device) {
        ("", Some(status)) => format!("the device ended SFTP with exit status {status}, and gave no reason"),
        ("", None) => "ssh ended without a word".to_owned(),
        (quote, _) => format!("{prefix}{}", escaped(quote.as_bytes())),
    };
    Diagnosis {
        hung_up_at_once,
        hung_up_after_login: words.authenticated && of_device.is_none() && reason.is_unknown,
        failure: DeviceFailure {
            class: reason.class,
            message,
            remedy: reason.remedy.map(str::to_owned),
        },
    }
}

/// Judges a device that sent something else in place of SFTP's greeting; `said` is how SFTP's client puts it.
pub(crate) fn diagnose_not_sftp(first_bytes: &[u8], message_of_client: String) -> DeviceFailure {
    let text = String::from_utf8_lossy(first_bytes);
    let message = if first_bytes.starts_with(SFTP_GREETING) {
        "something on the device sends back what is meant for its SFTP server".to_owned()
    } else {
        message_of_client
    };
    let (class, remedy) = account::refusal_of_shell(text.trim_start())
        .unwrap_or((FailureClass::Protocol, account::START_UP_REMEDY));
    DeviceFailure {
        class,
        message,
        remedy: Some(remedy.to_owned()),
    }
}

/// What is behind a failure.
struct FailureReason<'a> {
    class: FailureClass,
    /// The line that says so.
    quote: &'a str,
    /// What helps, where the remedy of the class does not.
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

struct StderrLines<'a> {
    /// What was said before the last hop that let us in did so.
    before_login: Vec<&'a str>,
    /// What was said since.
    lines: Vec<&'a str>,
    /// Those of these lines that may be ssh's own.
    ssh_lines: Vec<&'a str>,
    through_jump: bool,
    /// Some hop has let us in.
    authenticated: bool,
    /// That hop was the device, or at least none that is reached directly while a jump host is in the way.
    device_authenticated: bool,
    inner: InnerSsh,
}

/// The process that reaches the jump host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InnerSsh {
    /// There is none, or it goes on.
    Running,
    /// It has ended, and with it the connection.
    Ended,
    /// It had ended before the outer process came to speak to it: then the outer says one line, of its own.
    EndedFirst,
}

/// How the outer process calls a connection that goes through another process.
const THROUGH_PROXY: &str = "UNKNOWN port 65535";
/// What it says where it finds that process gone when it sends its first line: once in some hundred times, on a busy machine.
const PROXY_GONE: &str = "banner exchange: Connection to UNKNOWN port 65535: Broken pipe";
/// How ssh begins to say that a hop has let us in.
pub(crate) const AUTHENTICATED: &str = "Authenticated to ";
const VIA_PROXY: &str = "(via proxy)";

impl<'a> StderrLines<'a> {
    fn parse(words: &'a str, through_jump: bool) -> Self {
        let all: Vec<&str> = words.split('\n').collect();
        // ssh ends its own lines in carriage return and line feed; most banners, and programs on the device,
        // end theirs in the latter.
        let is_marked = all.iter().any(|line| line.ends_with('\r'));
        let is_own = |line: &&&str| !is_marked || line.ends_with('\r');
        let is_login = |line: &&str| line.starts_with(AUTHENTICATED) && is_own(&line);
        let last_login = all.iter().rposition(is_login);
        let (before_login, since) = all.split_at(last_login.unwrap_or(0));
        let informative = |lines: &mut dyn Iterator<Item = &&'a str>| -> Vec<&'a str> {
            let lines = lines.map(|line| line.trim());
            lines.filter(|line| !is_chatter(line)).collect()
        };
        let ssh_lines = informative(&mut since.iter().filter(is_own));
        let has = |needle| ssh_lines.iter().any(|line: &&str| line.contains(needle));
        let inner = if through_jump && has(PROXY_GONE) {
            InnerSsh::EndedFirst
        } else if through_jump && has("closed by UNKNOWN port 65535") {
            InnerSsh::Ended
        } else {
            InnerSsh::Running
        };
        Self {
            before_login: informative(&mut before_login.iter()),
            lines: informative(&mut since.iter()),
            ssh_lines,
            through_jump,
            authenticated: last_login.is_some(),
            device_authenticated: since.first().is_some_and(|line| {
                line.starts_with(AUTHENTICATED) && (!through_jump || line.contains(VIA_PROXY))
            }),
            inner,
        }
    }

    /// Why the connection ended, by what ssh says.
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
            .or_else(|| self.refusal_in_other_words())
            .unwrap_or_else(|| FailureReason {
                is_unknown: true,
                ..FailureReason::new(
                    FailureClass::Protocol,
                    self.lines.last().copied().unwrap_or_default(),
                )
            })
    }

    /// Why the command on the device ended by itself, as what serves SFTP does not.
    fn reason_of_exit(&self, status: i32) -> FailureReason<'a> {
        let last = self.lines.last().copied().unwrap_or_default();
        match status {
            // A shell's: found, but cannot be run; not found.
            126 | 127 if last.is_empty() => FailureReason::new(
                FailureClass::NoSftpServer,
                if status == 127 {
                    "the program that should serve SFTP is not there (exit status 127)"
                } else {
                    "the program that should serve SFTP cannot be run (exit status 126)"
                },
            ),
            126 | 127 => FailureReason::new(FailureClass::NoSftpServer, last),
            // sshd's, where PAM does not see to it.
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

    /// What the jump host's sshd answers when it is asked to connect to the device's tunnel.
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
                "let both sides have an algorithm in common: update the older one, or name it in your ssh configuration",
            ));
        }
        let line = self.line(forms::is_hang_up_at_once)?;
        let class = match (self.through_jump, self.authenticated) {
            (false, _) => FailureClass::Protocol,
            // The jump host let us in and connected us; then the far end of the tunnel was not there.
            (true, true) => FailureClass::TunnelDown,
            (true, false) if self.written_by_inner("kex_exchange_identification: ") => {
                FailureClass::JumpRefused
            }
            (true, false) => FailureClass::JumpUnreachable,
        };
        Some(FailureReason::new(class, line))
    }

    /// The device's sshd knows of no program to serve SFTP.
    fn no_subsystem(&self) -> Option<FailureReason<'a>> {
        let line = self.line(forms::is_refused_subsystem)?;
        Some(FailureReason::new(FailureClass::NoSftpServer, line))
    }

    /// Whom a server does not let in now, or not as this user. PAM's words come as a banner, and sshd hangs
    /// up then.
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

    /// The device hung up before it let us in, and said something that may be the reason.
    fn refusal_in_other_words(&self) -> Option<FailureReason<'a>> {
        self.line(forms::is_hang_up)?;
        let message_of_client = self.lines.iter().rev().find(|line| !forms::is_hang_up(line))?;
        (!self.device_authenticated && !self.is_end_of_jump()).then(|| {
            FailureReason::new(FailureClass::Protocol, message_of_client).with_remedy(account::HANG_UP_REMEDY)
        })
    }

    /// Whether the jump host hung up: the inner process names its address, the outer one none.
    fn is_end_of_jump(&self) -> bool {
        let mut ends = self.ssh_lines.iter().filter(|line| forms::is_hang_up(line));
        self.through_jump && ends.any(|line| !line.contains(THROUGH_PROXY))
    }

    fn inner_has_ended(&self) -> bool {
        self.inner != InnerSsh::Running
    }

    /// A failure of the jump host's if the inner process spoke, else of the device's.
    fn blame(&self, jump: FailureClass, device: FailureClass) -> FailureClass {
        if self.inner_has_ended() { jump } else { device }
    }

    /// Whether the line comes twice: the outer process says it when the inner has ended, so once is the outer's alone.
    fn written_by_inner(&self, needle: &str) -> bool {
        let by_outer = usize::from(self.inner != InnerSsh::EndedFirst);
        self.ssh_lines.iter().filter(|line| line.contains(needle)).count() > by_outer
    }

    /// The last line of that form.
    fn line(&self, is_of_form: Form) -> Option<&'a str> {
        self.ssh_lines.iter().rev().find(|line| is_of_form(line)).copied()
    }
}

#[cfg(test)]
mod tests;
