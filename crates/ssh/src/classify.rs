//! From what ssh wrote to its standard error to the class of the failure.
//!
//! The texts are OpenSSH's from 8.4 to 10, and have hardly changed in twenty years. With a jump host there are two ssh
//! processes that write to one stream: the one that reaches the jump host, and around it the one that reaches the device
//! through it. When the inner one fails, the outer one always adds that `UNKNOWN port 65535` closed the connection; that
//! tells whose words came before.

use engine::ports::device::DeviceFailure;
use model::{FailureClass, escaped};

/// Longest piece of ssh's words that becomes part of a message.
const LONGEST_QUOTE: usize = 300;

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What to report.
    pub failure: DeviceFailure,
    /// The other side hung up before its first word, as an sshd does that has too many unauthenticated connections at
    /// once (`MaxStartups`): worth another try.
    pub hung_up_at_once: bool,
}

/// Judges the last words of an ssh process that ended by itself.
///
/// `through_jump` says whether a jump host or a proxy command is in the way.
pub fn judge(words: &str, through_jump: bool) -> Judgement {
    let words = Words::read(words, through_jump);
    let (class, quote) = words.find();
    let hung_up_at_once = !words.authenticated
        && quote.contains("kex_exchange_identification")
        && (!through_jump || words.spoken_by_inner("kex_exchange_identification"));
    let whose = match class {
        FailureClass::JumpRefused | FailureClass::JumpUnreachable => "jump host: ",
        _ => "",
    };
    let quote: String = quote.chars().take(LONGEST_QUOTE).collect();
    let message = match quote.trim() {
        "" => "ssh ended without a word".to_owned(),
        quote => format!("{whose}{}", escaped(quote.as_bytes())),
    };
    Judgement {
        failure: DeviceFailure { class, message },
        hung_up_at_once,
    }
}

struct Words<'a> {
    lines: Vec<&'a str>,
    through_jump: bool,
    /// Some hop has let us in.
    authenticated: bool,
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

impl<'a> Words<'a> {
    fn read(words: &'a str, through_jump: bool) -> Self {
        let is_chatter = |line: &&str| {
            line.is_empty()
                || line.starts_with("Authenticated to ")
                || line.starts_with("Transferred: ")
                || line.starts_with("Bytes per second: ")
                || line.starts_with("Killed by signal ")
                || line.starts_with("Warning: Permanently added")
        };
        let lines: Vec<_> = words
            .lines()
            .map(str::trim)
            .filter(|line| !is_chatter(line))
            .collect();
        let has = |needle| lines.iter().any(|line: &&str| line.contains(needle));
        Self {
            through_jump,
            authenticated: words.lines().any(|line| line.starts_with("Authenticated to ")),
            inner: match through_jump {
                true if has(PROXY_GONE) => Inner::EndedFirst,
                true if has("closed by UNKNOWN port 65535") => Inner::Ended,
                _ => Inner::GoesOn,
            },
            lines,
        }
    }

    /// The class, and the line that says so.
    fn find(&self) -> (FailureClass, &'a str) {
        self.configuration()
            .or_else(|| self.host_key())
            .or_else(|| self.forwarding())
            .or_else(|| self.authentication())
            .or_else(|| self.address())
            .or_else(|| self.silence())
            .or_else(|| self.hang_up())
            .unwrap_or_else(|| {
                (
                    FailureClass::Protocol,
                    self.lines.last().copied().unwrap_or_default(),
                )
            })
    }

    fn configuration(&self) -> Option<(FailureClass, &'a str)> {
        let line = self
            .line("Bad configuration option")
            .or_else(|| self.line("Bad owner or permissions on"))
            .or_else(|| self.line("unsupported option"))
            .or_else(|| self.line("Unsupported option"))
            .or_else(|| self.line(": terminating, "))?;
        Some((FailureClass::AliasUnknown, line))
    }

    fn host_key(&self) -> Option<(FailureClass, &'a str)> {
        let changed = self
            .line("REMOTE HOST IDENTIFICATION HAS CHANGED")
            .or_else(|| self.line("REVOKED HOST KEY DETECTED"));
        if let Some(banner) = changed {
            let names_host = self.line(" has changed and you have requested strict checking");
            return Some((FailureClass::HostKeyChanged, names_host.unwrap_or(banner)));
        }
        let line = self
            .line("host key is known for")
            .or_else(|| self.line("Host key verification failed"))?;
        Some((FailureClass::HostKeyUnknown, line))
    }

    /// What the jump host's sshd answers when it is asked to connect to the device's tunnel.
    fn forwarding(&self) -> Option<(FailureClass, &'a str)> {
        let line = self.line("open failed: ").filter(|_| self.through_jump)?;
        let class = match line.split_once("connect failed: ").map(|(_, reason)| reason) {
            Some("Connection refused") => FailureClass::TunnelDown,
            Some(reason) if is_unknown_name(reason) => FailureClass::AliasUnknown,
            Some(_) => FailureClass::TimedOut,
            None => FailureClass::JumpRefused,
        };
        Some((class, line))
    }

    fn authentication(&self) -> Option<(FailureClass, &'a str)> {
        let line = self
            .line(": Permission denied (")
            .or_else(|| self.line("Too many authentication failures"))?;
        Some((
            self.by_whom(FailureClass::JumpRefused, FailureClass::AuthenticationRefused),
            line,
        ))
    }

    fn address(&self) -> Option<(FailureClass, &'a str)> {
        if let Some(line) = self.line("Could not resolve hostname ") {
            let class = match line.contains("Temporary failure") {
                true => FailureClass::TimedOut,
                false => FailureClass::AliasUnknown,
            };
            return Some((self.by_whom(FailureClass::JumpUnreachable, class), line));
        }
        let line = self.line("connect to host ")?;
        let class = match line.ends_with("Connection refused") {
            true => self.by_whom(FailureClass::JumpRefused, FailureClass::TunnelDown),
            false => self.by_whom(FailureClass::JumpUnreachable, FailureClass::TimedOut),
        };
        Some((class, line))
    }

    fn silence(&self) -> Option<(FailureClass, &'a str)> {
        if let Some(line) = self.line("Timeout, server ") {
            return Some((
                self.by_whom(FailureClass::JumpUnreachable, FailureClass::Stalled),
                line,
            ));
        }
        let line = self
            .lines
            .iter()
            .find(|line| line.contains("timed out"))
            .copied()?;
        let is_jump = self.inner_has_ended() || (self.through_jump && !self.authenticated);
        let class = match is_jump {
            true => FailureClass::JumpUnreachable,
            false => FailureClass::TimedOut,
        };
        Some((class, line))
    }

    fn hang_up(&self) -> Option<(FailureClass, &'a str)> {
        if let Some(line) = self.line("Unable to negotiate with ") {
            let is_outer = !self.through_jump || line.contains(THROUGH_PROXY);
            let class = match is_outer {
                true => FailureClass::Protocol,
                false => FailureClass::JumpRefused,
            };
            return Some((class, line));
        }
        let line = self.line("kex_exchange_identification: ")?;
        let class = match (self.through_jump, self.authenticated) {
            (false, _) => FailureClass::Protocol,
            // The jump host let us in and connected us; then the far end of the tunnel was not there.
            (true, true) => FailureClass::TunnelDown,
            (true, false) if self.spoken_by_inner("kex_exchange_identification: ") => {
                FailureClass::JumpRefused
            }
            (true, false) => FailureClass::JumpUnreachable,
        };
        Some((class, line))
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
        self.lines.iter().filter(|line| line.contains(needle)).count() > by_outer
    }

    fn line(&self, needle: &str) -> Option<&'a str> {
        self.lines
            .iter()
            .rev()
            .find(|line| line.contains(needle))
            .copied()
    }
}

/// The reasons of getaddrinfo(3) that no waiting cures.
fn is_unknown_name(reason: &str) -> bool {
    reason.starts_with("Name or service not known")
        || reason.starts_with("No address associated with hostname")
        || reason.starts_with("nodename nor servname provided")
}

#[cfg(test)]
mod tests;
