//! Messages with which servers refuse all logins, or this account: those of PAM's modules and of sshd.

use model::FailureClass;

use super::FailureReason;

/// The other side hung up before authentication, and printed a line that is no known reason. It may be just a
/// banner.
pub(super) const HANG_UP_REMEDY: &str = "check the device's log (`journalctl -u ssh`): /etc/nologin, an expired account, or PAM rules (pam_access, \
     pam_time) can make it hang up";

/// Other bytes than SFTP's come first.
pub(super) const START_UP_REMEDY: &str = "make the login's start-up files (.bashrc) print nothing and start no program in non-interactive shells: \
     `case $- in *i*) ;; *) return ;; esac` as the first line";

const RENEW_ACCOUNT: &str =
    "renew the account on the device: `chage -E -1 USER`; if its password has expired, `passwd USER`";
const CHANGE_PASSWORD: &str =
    "change the password on the device (`passwd USER`), or let it never expire: `chage -M -1 USER`";
const GIVE_SHELL: &str = "give the login a shell (`usermod -s /bin/sh USER`), or serve it SFTP only (`ForceCommand \
     internal-sftp` in the device's sshd_config)";

/// The last line that is a known reason.
pub(super) fn last_known_refusal<'a>(lines: &[&'a str]) -> Option<FailureReason<'a>> {
    lines.iter().rev().find_map(|line| classify_line(line))
}

/// PAM prints before authentication that the password must be changed. Then sshd runs passwd(1) in place of
/// any command, which exits at once without a terminal.
pub(super) fn password_to_be_changed<'a>(lines: &[&'a str]) -> Option<FailureReason<'a>> {
    let line = lines.iter().rev().find(|line| is_password_to_be_changed(line))?;
    Some(FailureReason::new(FailureClass::AuthenticationRefused, line).with_remedy(CHANGE_PASSWORD))
}

/// The standard output of a login shell that refuses logins, such as nologin(8).
pub(crate) fn refusal_of_shell(text: &str) -> Option<(FailureClass, &'static str)> {
    text.starts_with("This account is currently not available")
        .then_some((FailureClass::AuthenticationRefused, GIVE_SHELL))
}

fn classify_line(line: &str) -> Option<FailureReason<'_>> {
    if is_starting_up(line) {
        Some(FailureReason::new(FailureClass::StartingUp, line))
    } else if is_expired(line) {
        Some(FailureReason::new(FailureClass::AuthenticationRefused, line).with_remedy(RENEW_ACCOUNT))
    } else if is_password_to_be_changed(line) {
        Some(FailureReason::new(FailureClass::AuthenticationRefused, line).with_remedy(CHANGE_PASSWORD))
    } else {
        refusal_of_shell(line).map(|(class, remedy)| FailureReason::new(class, line).with_remedy(remedy))
    }
}

/// systemd writes these into /run/nologin; shutdown(8) writes a similar message.
fn is_starting_up(line: &str) -> bool {
    let line = line.trim_start_matches('"');
    line.starts_with("System is booting up.")
        || line.starts_with("System is going down.")
        || line.starts_with("The system is going down ")
        || line.contains("see pam_nologin(8)")
}

fn is_expired(line: &str) -> bool {
    line.starts_with("Your account has expired")
        || line.starts_with("Your login access has expired")
        || (line.starts_with("Account ") && line.ends_with(" has expired"))
}

fn is_password_to_be_changed(line: &str) -> bool {
    line.starts_with("You are required to change your password immediately")
        || line.starts_with("WARNING: Your password has expired")
        || line.starts_with("Your password has expired")
        || line.starts_with("Password change required but no TTY available")
}
