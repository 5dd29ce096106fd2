//! The devices to connect to, and how.

use std::path::PathBuf;
use std::time::Duration;

use model::{DeviceName, escaped};

/// How ssh is used, for all devices.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// The client: a name to be found in `PATH`, or an absolute path.
    pub program: PathBuf,
    /// A configuration used in place of the user's and the system's.
    pub config: Option<PathBuf>,
    /// The most time that one hop may take to answer, and then again to authenticate.
    pub connect_timeout: Duration,
    /// Where to create the private folder. If unset, too long for a control socket, or with characters that
    /// are special to a shell: `$XDG_RUNTIME_DIR`, `/run/user/<uid>`, `/tmp`.
    pub runtime_dir: Option<PathBuf>,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            program: PathBuf::from("ssh"),
            config: None,
            connect_timeout: Duration::from_secs(10),
            runtime_dir: None,
        }
    }
}

/// A device as the configuration describes it. Without `host`, `port`, `user`, `identity` and `jump`, its
/// name is an alias that ssh's own configuration defines.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name, and the ssh alias unless the address is given.
    pub name: DeviceName,
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Login user.
    pub user: Option<String>,
    /// Private key file. If set, no other key is offered.
    pub identity: Option<PathBuf>,
    /// Jump hosts as `ProxyJump` takes them, or `none`.
    pub jump: Option<String>,
    /// Whether ssh compresses.
    pub compression: Compression,
    /// The maximum rate of reception, in bytes per second.
    pub bandwidth: Option<u64>,
    /// How long a reply of the device may be pending.
    pub stall_timeout: Duration,
}

/// Whether ssh compresses what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// The one that brings files sooner, as measured while they arrive (`compression.rs`).
    #[default]
    Auto,
    /// Compress.
    Always,
    /// Do not compress.
    Never,
}

impl Target {
    /// A device that ssh's own configuration defines, with the defaults of everything else.
    pub fn alias(name: DeviceName) -> Self {
        Self {
            name,
            host: None,
            port: None,
            user: None,
            identity: None,
            jump: None,
            compression: Compression::default(),
            bandwidth: None,
            stall_timeout: Duration::from_mins(1),
        }
    }

    /// Whether gleaner's configuration must add to the user's.
    pub(crate) fn has_own_block(&self) -> bool {
        self.host.is_some()
            || self.port.is_some()
            || self.user.is_some()
            || self.identity.is_some()
            || self.jump.is_some()
    }

    /// Refuses values that ssh would take for something other than what was meant.
    pub fn check(&self) -> Result<(), TargetError> {
        let refuse = |key, value: &str, problem| {
            Err(TargetError {
                device: self.name.clone(),
                key,
                value: escaped(value.as_bytes()),
                problem,
            })
        };
        let name = self.name.as_str();
        if name.contains(is_pattern_character) && self.has_own_block() {
            return refuse("name", name, "would be a pattern in an ssh configuration");
        }
        let words = [
            ("host", self.host.as_deref()),
            ("user", self.user.as_deref()),
            ("jump", self.jump.as_deref()),
        ];
        for (key, word) in words {
            if let Some((word, problem)) = word.and_then(|word| Some((word, word_problem(word)?))) {
                return refuse(key, word, problem);
            }
        }
        if let Some(jump) = &self.jump
            && jump.split(',').any(|hop| word_problem(hop).is_some())
        {
            return refuse("jump", jump, "has a hop that is empty or begins with '-'");
        }
        match self.identity.as_deref().map(|identity| identity.to_str()) {
            Some(None) => refuse("identity", "", "is not UTF-8"),
            Some(Some(path)) if path.is_empty() || path.contains(|c: char| c == '"' || c.is_control()) => {
                refuse(
                    "identity",
                    path,
                    "is empty or contains a quote or a control character",
                )
            }
            _ => Ok(()),
        }
    }
}

/// A jump host, as ssh's arguments name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct JumpHost {
    /// The jump hosts before it, as `ssh -J` takes them.
    pub(crate) before: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    /// Its name or address.
    pub(crate) host: String,
}

impl JumpHost {
    /// Parses the value of `ProxyJump` in the output of `ssh -G`: `[user@]host[:port]`, several of them
    /// separated by commas, the nearest to the collector first. An IPv6 address is in brackets if a port
    /// follows (`dump_client_config` in OpenSSH's readconf.c). `None` for anything else.
    pub(crate) fn parse(jumps: &str) -> Option<Self> {
        let (before, last) = match jumps.rsplit_once(',') {
            Some((before, last)) => (Some(before.to_owned()), last),
            None => (None, jumps),
        };
        let (user, address) = match last.rsplit_once('@') {
            Some((user, address)) => (Some(user.to_owned()), address),
            None => (None, last),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => match bracketed.split_once(']')? {
                (host, "") => (host, None),
                (host, port) => (host, Some(port.strip_prefix(':')?.parse().ok()?)),
            },
            None => match address.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port.parse().ok()?)),
                _ => (address, None),
            },
        };
        let is_word = |word: &str| {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || "'\"\\$`%;&|<>()".contains(c);
            !word.is_empty() && !word.starts_with('-') && !word.contains(is_odd)
        };
        let are_words =
            is_word(host) && user.as_deref().is_none_or(is_word) && before.as_deref().is_none_or(is_word);
        are_words.then(|| Self {
            before,
            user,
            port,
            host: host.to_owned(),
        })
    }
}

/// Characters that are special in ssh's patterns, or in its lists of patterns.
fn is_pattern_character(character: char) -> bool {
    matches!(character, '*' | '?' | '!' | ',' | '#')
}

/// Why a word must not be written into ssh's configuration, from which it may reach shell command lines of
/// `ProxyJump`.
fn word_problem(word: &str) -> Option<&'static str> {
    let is_odd = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || matches!(
                c,
                '"' | '\''
                    | '`'
                    | '$'
                    | '\\'
                    | ';'
                    | '&'
                    | '<'
                    | '>'
                    | '|'
                    | '('
                    | ')'
                    | '{'
                    | '}'
                    | '#'
                    | '*'
                    | '?'
                    | '!'
            )
    };
    if word.is_empty() {
        return Some("is empty");
    }
    if word.starts_with('-') {
        return Some("begins with '-', which ssh would take for an option");
    }
    word.contains(is_odd)
        .then_some("contains a blank, a quote, a control character or one that means something to a shell")
}

/// A value that must not be handed to ssh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device {device}: {key} '{value}' {problem}")]
pub struct TargetError {
    /// The device.
    pub device: DeviceName,
    /// The key.
    pub key: &'static str,
    /// The value, escaped.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::alias(DeviceName::new("hive").unwrap())
    }

    #[test]
    fn a_value_that_is_special_to_ssh_or_a_shell_is_refused() {
        for host in [
            "",
            "-oProxyCommand=reboot",
            "a b",
            "a\nProxyCommand reboot",
            "$(reboot)",
            "a;b",
            "\"",
            "*",
        ] {
            let host = Some(host.to_owned());
            assert!(
                Target {
                    host: host.clone(),
                    ..target()
                }
                .check()
                .is_err(),
                "{host:?}"
            );
            assert!(
                Target {
                    user: host.clone(),
                    ..target()
                }
                .check()
                .is_err(),
                "{host:?}"
            );
            assert!(
                Target {
                    jump: host.clone(),
                    ..target()
                }
                .check()
                .is_err(),
                "{host:?}"
            );
        }
        assert!(
            Target {
                jump: Some("a,-b".to_owned()),
                ..target()
            }
            .check()
            .is_err()
        );
        assert!(
            Target {
                identity: Some("/a\"b".into()),
                ..target()
            }
            .check()
            .is_err()
        );
        let pattern = DeviceName::new("hive*").unwrap();
        assert!(
            Target {
                port: Some(1),
                ..Target::alias(pattern)
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn ordinary_values_are_accepted() {
        let ordinary = Target {
            host: Some("fe80::1%eth0".to_owned()),
            port: Some(5031),
            user: Some("pi".to_owned()),
            identity: Some("~/.ssh/id field".into()),
            jump: Some("awi@jump.example.org:22,inner".to_owned()),
            ..target()
        };
        assert_eq!(ordinary.check(), Ok(()));
    }

    #[test]
    fn a_jump_host_is_parsed_as_ssh_prints_it() {
        let parse = |jumps| JumpHost::parse(jumps).map(|jump| (jump.before, jump.user, jump.host, jump.port));
        let some = |text: &str| Some(text.to_owned());
        let host = || "jump".to_owned();
        assert_eq!(parse("jump"), Some((None, None, host(), None)));
        assert_eq!(
            parse("awi@jump:2222"),
            Some((None, some("awi"), host(), Some(2222)))
        );
        assert_eq!(
            parse("a@b,c@d:9,jump"),
            Some((some("a@b,c@d:9"), None, host(), None))
        );
        let address = "fd00::1".to_owned();
        assert_eq!(
            parse("a@[fd00::1]:22"),
            Some((None, some("a"), address.clone(), Some(22)))
        );
        assert_eq!(parse("[fd00::1]"), Some((None, None, address.clone(), None)));
        assert_eq!(parse("fd00::1"), Some((None, None, address, None)));
        for odd in [
            "",
            "-oProxyCommand=x",
            "a@",
            "a,",
            ",jump",
            "jump:ssh",
            "a b",
            "$(id)",
            "a;b",
            "[a]b",
            "-l@jump",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
