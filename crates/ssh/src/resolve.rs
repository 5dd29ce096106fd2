//! What ssh's configuration makes of a name.

use std::process::Stdio;
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;

use crate::classify::judge;
use crate::guard::Guard;
use crate::process::Client;
use crate::target::Target;

/// `ssh -G` reads files and runs what `Match exec` names: it is local, and a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The host that the first TCP connection goes to, as text that is equal for devices that share it.
    pub(crate) first_hop: String,
    /// How many hops there are before the device; 1 for a proxy command.
    pub(crate) hops_before: u32,
    /// Whether the first hop is an ssh process whose words we read, so that its authentication can be seen.
    pub(crate) tells_progress: bool,
    /// The jump host next to the device, where ssh's own `ProxyJump` leads there.
    pub(crate) jump: Option<JumpHost>,
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
    /// Takes apart what `ssh -G` says of `ProxyJump`: `[user@]host[:port]`, several of them with commas between, the nearest to us first; an
    /// address of IPv6 in brackets where a port follows (`dump_client_config` in OpenSSH's readconf.c). `None` for what is anything else.
    fn read(jumps: &str) -> Option<Self> {
        let (before, last) = match jumps.rsplit_once(',') {
            Some((before, last)) => (Some(before.to_owned()), last),
            None => (None, jumps),
        };
        let (user, place) = match last.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, last),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => match bracketed.split_once(']')? {
                (host, "") => (host, None),
                (host, port) => (host, Some(port.strip_prefix(':')?.parse().ok()?)),
            },
            None => match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port.parse().ok()?)),
                _ => (place, None),
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

/// Asks ssh for the way to a device.
pub(crate) async fn route(client: &Client, target: &Target) -> Result<Route, DeviceFailure> {
    // What `Match exec` starts may hang, and must not outlive us.
    let guard = Guard::start().map_err(|error| local("cannot start a shell", &error))?;
    let mut command = client.explain(target);
    command.stdin(Stdio::null()).process_group(guard.group());
    let explained = tokio::time::timeout(PATIENCE, command.output()).await;
    // ssh has ended, or was killed for taking too long. What it started has nothing to put in order.
    guard.end().await;
    match explained {
        Ok(Ok(output)) if output.status.success() => Ok(read(&String::from_utf8_lossy(&output.stdout))),
        Ok(Ok(output)) => Err(judge(&String::from_utf8_lossy(&output.stderr), false, None).failure),
        Ok(Err(error)) => Err(local("cannot start ssh", &error)),
        Err(_) => Err(DeviceFailure {
            class: FailureClass::AliasUnknown,
            message: "ssh -G does not end; a `Match exec` of its configuration may hang".to_owned(),
            remedy: Some("try `ssh -G` with the device's name by hand, and mend the `Match exec`".to_owned()),
        }),
    }
}

/// What this machine refuses is no fault of the device.
pub(crate) fn local(attempted: &str, error: &std::io::Error) -> DeviceFailure {
    DeviceFailure {
        class: FailureClass::CollectorFailed,
        message: format!("{attempted}: {error}"),
        remedy: None,
    }
}

pub(crate) fn read(explanation: &str) -> Route {
    let value = |key: &str| {
        explanation
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim())
            .filter(|value| *value != "none")
    };
    if let Some(jumps) = value("proxyjump") {
        let hops: Vec<_> = jumps.split(',').collect();
        return Route {
            first_hop: hops.first().copied().unwrap_or_default().to_owned(),
            hops_before: u32::try_from(hops.len()).unwrap_or(u32::MAX),
            tells_progress: true,
            jump: JumpHost::read(jumps),
        };
    }
    if let Some(command) = value("proxycommand") {
        return Route {
            // The command has the device's address in it, most often. What stays without its numbers is the same for
            // devices that go the same way.
            first_hop: command.chars().filter(|c| !c.is_ascii_digit()).collect(),
            hops_before: 1,
            tells_progress: false,
            jump: None,
        };
    }
    let host = value("hostname").unwrap_or_default();
    let port = value("port").unwrap_or_default();
    Route {
        first_hop: format!("{host}:{port}"),
        hops_before: 0,
        tells_progress: true,
        jump: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_behind_one_jump_host_share_their_first_hop() {
        let one = read("hostname localhost\nport 5031\nproxyjump awi@jump\n");
        let other = read("hostname localhost\nport 5032\nproxyjump awi@jump\n");
        assert_eq!(one, other);
        assert_eq!((one.first_hop.as_str(), one.hops_before), ("awi@jump", 1));
        assert_eq!(read("proxyjump a,b\n").hops_before, 2);
        let direct = read("hostname hive\nport 22\nproxycommand none\n");
        assert_eq!((direct.first_hop.as_str(), direct.hops_before), ("hive:22", 0));
        let command = |port| read(&format!("proxycommand ssh -W localhost:{port} jump\n"));
        assert_eq!(command(5031), command(5032));
    }

    #[test]
    fn a_jump_host_is_taken_apart_as_ssh_names_it() {
        let read = |jumps| JumpHost::read(jumps).map(|jump| (jump.before, jump.user, jump.host, jump.port));
        let some = |text: &str| Some(text.to_owned());
        let host = || "jump".to_owned();
        assert_eq!(read("jump"), Some((None, None, host(), None)));
        assert_eq!(
            read("awi@jump:2222"),
            Some((None, some("awi"), host(), Some(2222)))
        );
        assert_eq!(
            read("a@b,c@d:9,jump"),
            Some((some("a@b,c@d:9"), None, host(), None))
        );
        let address = "fd00::1".to_owned();
        assert_eq!(
            read("a@[fd00::1]:22"),
            Some((None, some("a"), address.clone(), Some(22)))
        );
        assert_eq!(read("[fd00::1]"), Some((None, None, address.clone(), None)));
        assert_eq!(read("fd00::1"), Some((None, None, address, None)));
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
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
