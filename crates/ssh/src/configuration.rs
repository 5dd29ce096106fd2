//! The private configuration that every ssh process receives by `-F`.
//!
//! ssh takes the first value of each option. So forced options come first, then what gleaner knows of its
//! devices, then the user's and the system's files. The file goes by `-F` and not by `-o`, because
//! `ProxyJump` hands only the file on to the hop before.
//!
//! ssh treats a file given by `-F` as a user's: relative paths of `Include`, in it and in the files that it
//! includes, are taken from `~/.ssh`, as in the user's own file. (In the system's file they would be taken
//! from `/etc/ssh`; Debian's and Fedora's have absolute paths.)

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::target::Target;

/// Seconds between two keepalive messages, and how many may stay unanswered: together a minute, the default
/// of `stall_timeout`.
const ALIVE_INTERVAL: u32 = 15;
const ALIVE_COUNT: u32 = 4;

/// Options that the user's configuration must not change.
///
/// - A user's `ControlPersist` would leave masters behind, also those of jump hosts. gleaner's own masters
///   are named on the command line.
/// - `LogLevel VERBOSE` reports when each hop has authenticated us, and why a jump host refused a forwarding.
/// - `ClearAllForwardings` removes the user's forwardings, but not the `-W` of a jump.
const FORCED: &str = "
    BatchMode yes
    StrictHostKeyChecking yes
    UpdateHostKeys no
    CheckHostIP no
    VisualHostKey no
    NumberOfPasswordPrompts 0
    ConnectionAttempts 1
    TCPKeepAlive yes
    ControlMaster no
    ControlPath none
    ControlPersist no
    RemoteCommand none
    RequestTTY no
    EscapeChar none
    ClearAllForwardings yes
    ExitOnForwardFailure no
    ForwardAgent no
    ForwardX11 no
    Tunnel no
    PermitLocalCommand no
    LogLevel VERBOSE
";

/// Options that ssh knows since 8.7 (2021). An older ssh would refuse the file because of them.
const FORCED_SINCE_8_7: &str = "
    ForkAfterAuthentication no
    StdinNull no
    SessionType default
";

/// The configuration that follows gleaner's own.
#[derive(Debug, Clone)]
pub(crate) enum BaseConfiguration {
    /// The user's, then the system's.
    UserAndSystem,
    /// One file in place of both, as an absolute path.
    File(PathBuf),
}

/// The text of the configuration.
pub(crate) fn text(
    base: &BaseConfiguration,
    connect_timeout: Duration,
    version: Option<(u32, u32)>,
    targets: &[Target],
) -> String {
    let mut text = String::from("Host *\n");
    push_lines(&mut text, FORCED);
    if version.is_none_or(|version| version >= (8, 7)) {
        push_lines(&mut text, FORCED_SINCE_8_7);
    }
    push(
        &mut text,
        "ConnectTimeout",
        &connect_timeout.as_secs().max(1).to_string(),
    );
    push(&mut text, "ServerAliveInterval", &ALIVE_INTERVAL.to_string());
    push(&mut text, "ServerAliveCountMax", &ALIVE_COUNT.to_string());
    for target in targets.iter().filter(|target| target.has_own_block()) {
        push_block(&mut text, target);
    }
    text.push_str("Match all\n");
    match base {
        BaseConfiguration::UserAndSystem => {
            push(&mut text, "Include", "~/.ssh/config");
            push(&mut text, "Include", "/etc/ssh/ssh_config");
        }
        BaseConfiguration::File(path) => push(&mut text, "Include", &quoted_pattern(path)),
    }
    text
}

fn push_block(text: &mut String, target: &Target) {
    text.push_str("Host ");
    text.push_str(target.name.as_str());
    text.push('\n');
    if let Some(host) = &target.host {
        push(text, "HostName", &host.replace('%', "%%"));
    }
    if let Some(port) = target.port {
        push(text, "Port", &port.to_string());
    }
    if target.host.is_some() || target.port.is_some() {
        // gleaner defines this address, and many devices may share it (localhost on the jump host): so the
        // host key belongs to the name. Where the user defines the address, the entries in known_hosts are
        // the user's too.
        push(text, "HostKeyAlias", target.name.as_str());
    }
    if let Some(user) = &target.user {
        push(text, "User", user);
    }
    if let Some(identity) = target.identity.as_deref().and_then(Path::to_str) {
        push(
            text,
            "IdentityFile",
            &format!("\"{}\"", identity.replace('%', "%%")),
        );
        push(text, "IdentitiesOnly", "yes");
    }
    if let Some(jump) = &target.jump {
        push(text, "ProxyJump", jump);
    }
}

fn push_lines(text: &mut String, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
}

fn push(text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "  {key} {value}").unwrap_or_default();
}

/// The path as a pattern of glob(7), which `Include` takes.
fn quoted_pattern(path: &Path) -> String {
    let mut pattern = String::from("\"");
    for character in path.to_string_lossy().chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('"');
    pattern
}

/// The version in the output of `ssh -V`, such as `OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19`.
pub(crate) fn version(answer: &str) -> Option<(u32, u32)> {
    let (_, rest) = answer.split_once("OpenSSH_")?;
    let (major, rest) = rest.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::DeviceName;

    fn text_for(version: Option<(u32, u32)>, targets: &[Target]) -> String {
        text(
            &BaseConfiguration::UserAndSystem,
            Duration::from_secs(7),
            version,
            targets,
        )
    }

    #[test]
    fn forced_options_come_before_the_users() {
        let text = text_for(None, &[]);
        let position = |needle: &str| text.find(needle).unwrap();
        assert!(position("BatchMode yes") < position("Include ~/.ssh/config"));
        assert!(position("ConnectTimeout 7") < position("Include ~/.ssh/config"));
        assert!(position("Include ~/.ssh/config") < position("Include /etc/ssh/ssh_config"));
    }

    #[test]
    fn options_that_an_old_ssh_does_not_know_are_kept_from_it() {
        assert!(!text_for(Some((8, 4)), &[]).contains("SessionType"));
        assert!(text_for(Some((8, 7)), &[]).contains("SessionType"));
        assert!(text_for(Some((10, 0)), &[]).contains("SessionType"));
        assert_eq!(version("OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1"), Some((8, 4)));
        assert_eq!(version("OpenSSH_for_Windows_9.5p1"), None);
    }

    #[test]
    fn a_host_key_alias_is_given_only_where_the_address_is_ours() {
        let alias = Target::alias(DeviceName::new("hive").unwrap());
        let with_port = Target {
            port: Some(5031),
            ..alias.clone()
        };
        let with_user = Target {
            user: Some("pi".to_owned()),
            ..alias.clone()
        };
        assert!(!text_for(None, &[alias]).contains("Host hive"));
        assert!(text_for(None, &[with_port]).contains("HostKeyAlias hive"));
        let text = text_for(None, &[with_user]);
        assert!(text.contains("User pi") && !text.contains("HostKeyAlias"));
    }
}
