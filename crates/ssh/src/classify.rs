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
const OF_SSH: i32 = 255;

/// How SFTP's client begins: a packet of five bytes, INIT, version 3.
const OUR_GREETING: &[u8] = b"\0\0\0\x05\x01\0\0\0\x03";

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What to report.
    pub failure: DeviceFailure,
    /// The other side hung up before its first word, as an sshd does that has too many unauthenticated connections at
    /// once (`MaxStartups`): worth another try.
    pub hung_up_at_once: bool,
    /// The device let us in, and then ended the connection without a reason.
    pub hung_up_after_login: bool,
}

/// Judges the last words of an ssh process that ended by itself.
///
/// `through_jump` says whether a jump host or a proxy command is in the way; `exit_status` is that of the
/// process, where it is known.
pub fn judge(words: &str, through_jump: bool, exit_status: Option<i32>) -> Judgement {
    let words = Words::read(words, through_jump);
    let of_device = exit_status.filter(|status| *status != OF_SSH);
    let cause = match of_device {
        Some(status) => words.ended_on_device(status),
        None => words.find(),
    };
    let hung_up_at_once = !words.authenticated
        && forms::is_hang_up_at_once(cause.quote)
        && (!through_jump || words.spoken_by_inner("kex_exchange_identification"));
    let whose = match cause.class {
        FailureClass::JumpRefused | FailureClass::JumpUnreachable => "jump host: ",
        _ => "",
    };
    let quote: String = cause.quote.chars().take(MAX_QUOTE_LENGTH).collect();
    let message = match (quote.trim(), of_device) {
        ("", Some(status)) => format!("the device ended SFTP with exit status {status}, and gave no reason"),
        ("", None) => "ssh ended without a word".to_owned(),
        (quote, _) => format!("{whose}{}", escaped(quote.as_bytes())),
    };
    Judgement {
        hung_up_at_once,
        hung_up_after_login: words.authenticated && of_device.is_none() && cause.is_unknown,
        failure: DeviceFailure {
            class: cause.class,
            message,
            remedy: cause.remedy.map(str::to_owned),
        },
    }
}

/// Judges a device that sent something else in place of SFTP's greeting; `said` is how SFTP's client puts it.
pub(crate) fn not_sftp(first_bytes: &[u8], said: String) -> DeviceFailure {
    let text = String::from_utf8_lossy(first_bytes);
    let message = if first_bytes.starts_with(OUR_GREETING) {
        "something on the device sends back what is meant for its SFTP server".to_owned()
    } else {
        said
    };
    let (class, remedy) =
        account::of_shell(text.trim_start()).unwrap_or((FailureClass::Protocol, account::SILENCE_START_UP));
    DeviceFailure {
        class,
        message,
        remedy: Some(remedy.to_owned()),
    }
}

/// What is behind a failure.
struct Cause<'a> {
    class: FailureClass,
    /// The line that says so.
    quote: &'a str,
    /// What helps, where the remedy of the class does not.
    remedy: Option<&'static str>,
    /// No line is known to be the reason.
    is_unknown: bool,
}

impl<'a> Cause<'a> {
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

struct Words<'a> {
    /// What was said before the last hop that let us in did so.
    before: Vec<&'a str>,
    /// What was said since.
    lines: Vec<&'a str>,
    /// Those of these lines that may be ssh's own.
    own: Vec<&'a str>,
    through_jump: bool,
    /// Some hop has let us in.
    authenticated: bool,
    /// That hop was the device, or at least none that is reached directly while a jump host is in the way.
    is_in: bool,
    inner: Inner,
}

/// The process that reaches the jump host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inner {
    /// There is none, or it goes on.
    GoesOn,
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
pub(crate) const LET_IN: &str = "Authenticated to ";
const VIA_PROXY: &str = "(via proxy)";

impl<'a> Words<'a> {
    fn read(words: &'a str, through_jump: bool) -> Self {
        let all: Vec<&str> = words.split('\n').collect();
        // ssh ends its own lines in carriage return and line feed; most banners, and programs on the device,
        // end theirs in the latter.
        let is_marked = all.iter().any(|line| line.ends_with('\r'));
        let is_own = |line: &&&str| !is_marked || line.ends_with('\r');
        let is_let_in = |line: &&str| line.starts_with(LET_IN) && is_own(&line);
        let let_in = all.iter().rposition(is_let_in);
        let (before, since) = all.split_at(let_in.unwrap_or(0));
        let telling = |lines: &mut dyn Iterator<Item = &&'a str>| -> Vec<&'a str> {
            let lines = lines.map(|line| line.trim());
            lines.filter(|line| !is_chatter(line)).collect()
        };
        let own = telling(&mut since.iter().filter(is_own));
        let has = |needle| own.iter().any(|line: &&str| line.contains(needle));
        let inner = if through_jump && has(PROXY_GONE) {
            Inner::EndedFirst
        } else if through_jump && has("closed by UNKNOWN port 65535") {
            Inner::Ended
        } else {
            Inner::GoesOn
        };
        Self {
            before: telling(&mut before.iter()),
            lines: telling(&mut since.iter()),
            own,
            through_jump,
            authenticated: let_in.is_some(),
            is_in: since
                .first()
                .is_some_and(|line| line.starts_with(LET_IN) && (!through_jump || line.contains(VIA_PROXY))),
            inner,
        }
    }

    /// Why the connection ended, by what ssh says.
    fn find(&self) -> Cause<'a> {
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
            .unwrap_or_else(|| Cause {
                is_unknown: true,
                ..Cause::new(
                    FailureClass::Protocol,
                    self.lines.last().copied().unwrap_or_default(),
                )
            })
    }

    /// Why the command on the device ended by itself, as what serves SFTP does not.
    fn ended_on_device(&self, status: i32) -> Cause<'a> {
        let last = self.lines.last().copied().unwrap_or_default();
        match status {
            // A shell's: found, but cannot be run; not found.
            126 | 127 if last.is_empty() => Cause::new(
                FailureClass::NoSftpServer,
                if status == 127 {
                    "the program that should serve SFTP is not there (exit status 127)"
                } else {
                    "the program that should serve SFTP cannot be run (exit status 126)"
                },
            ),
            126 | 127 => Cause::new(FailureClass::NoSftpServer, last),
            // sshd's, where PAM does not see to it.
            254 if last.is_empty() => Cause::new(
                FailureClass::StartingUp,
                "the device ended SFTP with exit status 254, as sshd does while there is /etc/nologin",
            ),
            _ => account::found_in(&self.lines)
                .or_else(|| account::password_to_be_changed(&self.before))
                .unwrap_or(Cause::new(FailureClass::Protocol, last)),
        }
    }

    fn configuration(&self) -> Option<Cause<'a>> {
        let line = forms::CONFIGURATION.iter().find_map(|form| self.line(*form))?;
        Some(Cause::new(FailureClass::AliasUnknown, line))
    }

    fn host_key(&self) -> Option<Cause<'a>> {
        if let Some(banner) = self.line(forms::is_changed_key) {
            let names_host = self.line(forms::is_host_of_changed_key);
            return Some(Cause::new(
                FailureClass::HostKeyChanged,
                names_host.unwrap_or(banner),
            ));
        }
        let line = self
            .line(forms::is_unknown_key)
            .or_else(|| self.line(forms::is_failed_verification))?;
        Some(Cause::new(FailureClass::HostKeyUnknown, line))
    }

    /// What the jump host's sshd answers when it is asked to connect to the device's tunnel.
    fn forwarding(&self) -> Option<Cause<'a>> {
        let line = self
            .line(forms::is_refused_forwarding)
            .filter(|_| self.through_jump)?;
        let class = match line.split_once("connect failed: ").map(|(_, reason)| reason) {
            Some("Connection refused") => FailureClass::TunnelDown,
            Some(reason) if forms::is_unknown_name(reason) => FailureClass::AliasUnknown,
            Some(_) => FailureClass::TimedOut,
            None => FailureClass::JumpRefused,
        };
        Some(Cause::new(class, line))
    }

    fn authentication(&self) -> Option<Cause<'a>> {
        let line = self
            .line(forms::is_refused_authentication)
            .or_else(|| self.line(forms::is_too_many_keys))?;
        let class = self.by_whom(FailureClass::JumpRefused, FailureClass::AuthenticationRefused);
        Some(Cause::new(class, line))
    }

    fn address(&self) -> Option<Cause<'a>> {
        if let Some(line) = self.line(forms::is_unresolved) {
            let class = if line.contains("Temporary failure") {
                FailureClass::TimedOut
            } else {
                FailureClass::AliasUnknown
            };
            return Some(Cause::new(
                self.by_whom(FailureClass::JumpUnreachable, class),
                line,
            ));
        }
        let line = self.line(forms::is_unconnected)?;
        let class = if line.ends_with("Connection refused") {
            self.by_whom(FailureClass::JumpRefused, FailureClass::TunnelDown)
        } else {
            self.by_whom(FailureClass::JumpUnreachable, FailureClass::TimedOut)
        };
        Some(Cause::new(class, line))
    }

    fn silence(&self) -> Option<Cause<'a>> {
        if let Some(line) = self.line(forms::is_keepalive_unanswered) {
            let class = self.by_whom(FailureClass::JumpUnreachable, FailureClass::Stalled);
            return Some(Cause::new(class, line));
        }
        let line = self.own.iter().find(|line| forms::is_timeout(line)).copied()?;
        let class = if self.inner_has_ended() || (self.through_jump && !self.authenticated) {
            FailureClass::JumpUnreachable
        } else {
            FailureClass::TimedOut
        };
        Some(Cause::new(class, line))
    }

    fn hang_up(&self) -> Option<Cause<'a>> {
        if let Some(line) = self.line(forms::is_without_common_algorithm) {
            let class = if !self.through_jump || line.contains(THROUGH_PROXY) {
                FailureClass::Protocol
            } else {
                FailureClass::JumpRefused
            };
            return Some(Cause::new(class, line).with_remedy(
                "let both sides have an algorithm in common: update the older one, or name it in your ssh configuration",
            ));
        }
        let line = self.line(forms::is_hang_up_at_once)?;
        let class = match (self.through_jump, self.authenticated) {
            (false, _) => FailureClass::Protocol,
            // The jump host let us in and connected us; then the far end of the tunnel was not there.
            (true, true) => FailureClass::TunnelDown,
            (true, false) if self.spoken_by_inner("kex_exchange_identification: ") => {
                FailureClass::JumpRefused
            }
            (true, false) => FailureClass::JumpUnreachable,
        };
        Some(Cause::new(class, line))
    }

    /// The device's sshd knows of no program to serve SFTP.
    fn no_subsystem(&self) -> Option<Cause<'a>> {
        let line = self.line(forms::is_refused_subsystem)?;
        Some(Cause::new(FailureClass::NoSftpServer, line))
    }

    /// Whom a server does not let in now, or not as this user. PAM's words come as a banner, and sshd hangs
    /// up then.
    fn account(&self) -> Option<Cause<'a>> {
        self.line(forms::is_hang_up)?;
        let cause = account::found_in(&self.lines)?;
        let class = match cause.class {
            class if !self.is_end_of_jump() => class,
            FailureClass::StartingUp => FailureClass::JumpUnreachable,
            _ => FailureClass::JumpRefused,
        };
        Some(Cause { class, ..cause })
    }

    /// The device hung up before it let us in, and said something that may be the reason.
    fn refusal_in_other_words(&self) -> Option<Cause<'a>> {
        self.line(forms::is_hang_up)?;
        let said = self.lines.iter().rev().find(|line| !forms::is_hang_up(line))?;
        (!self.is_in && !self.is_end_of_jump())
            .then(|| Cause::new(FailureClass::Protocol, said).with_remedy(account::HUNG_UP_UNNAMED))
    }

    /// Whether the jump host hung up: the inner process names its address, the outer one none.
    fn is_end_of_jump(&self) -> bool {
        let mut ends = self.own.iter().filter(|line| forms::is_hang_up(line));
        self.through_jump && ends.any(|line| !line.contains(THROUGH_PROXY))
    }

    fn inner_has_ended(&self) -> bool {
        self.inner != Inner::GoesOn
    }

    /// A failure of the jump host's if the inner process spoke, else of the device's.
    fn by_whom(&self, jump: FailureClass, device: FailureClass) -> FailureClass {
        if self.inner_has_ended() { jump } else { device }
    }

    /// Whether the line comes twice: the outer process says it when the inner has ended, so once is the outer's alone.
    fn spoken_by_inner(&self, needle: &str) -> bool {
        let by_outer = usize::from(self.inner != Inner::EndedFirst);
        self.own.iter().filter(|line| line.contains(needle)).count() > by_outer
    }

    /// The last line of that form.
    fn line(&self, is_of_form: Form) -> Option<&'a str> {
        self.own.iter().rev().find(|line| is_of_form(line)).copied()
    }
}

#[cfg(test)]
mod tests;
