//! The lines of ssh's standard error, and which process printed them.

use model::FailureClass;

use super::forms::{self, Form, is_chatter};

/// ssh's standard error, taken apart.
pub(super) struct StderrLines<'a> {
    /// Lines from before the last hop authenticated us.
    pub(super) before_login: Vec<&'a str>,
    /// Lines since then.
    pub(super) lines: Vec<&'a str>,
    /// Those of `lines` that may be ssh's own.
    pub(super) ssh_lines: Vec<&'a str>,
    pub(super) through_jump: bool,
    /// At least one hop has authenticated us.
    pub(super) authenticated: bool,
    /// The last hop that authenticated us was the device. False for a hop reached directly while a jump host
    /// is used.
    pub(super) device_authenticated: bool,
    inner: InnerSsh,
}

/// The ssh process that connects to the jump host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InnerSsh {
    /// There is none, or it still runs.
    Running,
    /// It has ended, and the connection with it.
    Ended,
    /// It ended before the outer process wrote to it. The outer process then prints a single line.
    EndedFirst,
}

/// The outer process's name for a connection through another process.
pub(super) const THROUGH_PROXY: &str = "UNKNOWN port 65535";
/// Printed by the outer process if the inner one is gone when it sends its first line. On a busy machine this
/// happens about once in a hundred times.
const PROXY_GONE: &str = "banner exchange: Connection to UNKNOWN port 65535: Broken pipe";
/// The beginning of ssh's message that a hop has authenticated us.
pub(crate) const AUTHENTICATED: &str = "Authenticated to ";
const VIA_PROXY: &str = "(via proxy)";

impl<'a> StderrLines<'a> {
    pub(super) fn parse(stderr: &'a str, through_jump: bool) -> Self {
        let all: Vec<&str> = stderr.split('\n').collect();
        // ssh ends its own lines with CR LF. Most banners, and programs on the device, end theirs with LF
        // only.
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

    /// Whether the jump host hung up: the inner process prints an address, the outer one prints none.
    pub(super) fn is_end_of_jump(&self) -> bool {
        let mut ends = self.ssh_lines.iter().filter(|line| forms::is_hang_up(line));
        self.through_jump && ends.any(|line| !line.contains(THROUGH_PROXY))
    }

    pub(super) fn inner_has_ended(&self) -> bool {
        self.inner != InnerSsh::Running
    }

    /// `jump` if the inner process failed, otherwise `device`.
    pub(super) fn blame(&self, jump: FailureClass, device: FailureClass) -> FailureClass {
        if self.inner_has_ended() { jump } else { device }
    }

    /// Whether the inner process printed the line. The outer process prints it once when the inner one ends,
    /// so the inner one's makes it two.
    pub(super) fn written_by_inner(&self, needle: &str) -> bool {
        let by_outer = usize::from(self.inner != InnerSsh::EndedFirst);
        self.ssh_lines.iter().filter(|line| line.contains(needle)).count() > by_outer
    }

    /// The last line of that form.
    pub(super) fn line(&self, is_of_form: Form) -> Option<&'a str> {
        self.ssh_lines.iter().rev().find(|line| is_of_form(line)).copied()
    }
}
