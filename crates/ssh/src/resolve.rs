//! What ssh's configuration makes of a name.

use std::process::Stdio;
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;

use crate::classify::diagnose;
use crate::guard::Guard;
use crate::process::SshCommand;
use crate::target::{JumpHost, Target};

/// `ssh -G` reads files and runs what `Match exec` names: it is local, and a matter of milliseconds.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The host that the first TCP connection goes to, as text that is equal for devices that share it.
    pub(crate) first_hop: String,
    /// How many hops there are before the device; 1 for a proxy command.
    pub(crate) hops_before: u32,
    /// Whether the first hop is an ssh process whose words we read, so that its authentication can be seen.
    pub(crate) reports_progress: bool,
    /// The jump host next to the device, where ssh's own `ProxyJump` leads there.
    pub(crate) jump: Option<JumpHost>,
}

/// Asks ssh for the way to a device.
pub(crate) async fn route(client: &SshCommand, target: &Target) -> Result<Route, DeviceFailure> {
    // What `Match exec` starts may hang, and must not outlive us.
    let guard = Guard::start().map_err(|error| local_failure("cannot start a shell", &error))?;
    let mut command = client.explain(target);
    command.stdin(Stdio::null()).process_group(guard.group());
    let output = tokio::time::timeout(RESOLVE_TIMEOUT, command.output()).await;
    // ssh has ended, or was killed for taking too long. What it started has nothing to put in order.
    guard.end().await;
    match output {
        Ok(Ok(output)) if output.status.success() => Ok(parse(&String::from_utf8_lossy(&output.stdout))),
        Ok(Ok(output)) => Err(diagnose(&String::from_utf8_lossy(&output.stderr), false, None).failure),
        Ok(Err(error)) => Err(local_failure("cannot start ssh", &error)),
        Err(_) => Err(DeviceFailure {
            class: FailureClass::AliasUnknown,
            message: "ssh -G does not end; a `Match exec` of its configuration may hang".to_owned(),
            remedy: Some("try `ssh -G` with the device's name by hand, and mend the `Match exec`".to_owned()),
        }),
    }
}

/// What this machine refuses is no fault of the device.
pub(crate) fn local_failure(attempted: &str, error: &std::io::Error) -> DeviceFailure {
    DeviceFailure {
        class: FailureClass::CollectorFailed,
        message: format!("{attempted}: {error}"),
        remedy: None,
    }
}

pub(crate) fn parse(output: &str) -> Route {
    let value = |key: &str| {
        output
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
            reports_progress: true,
            jump: JumpHost::parse(jumps),
        };
    }
    if let Some(command) = value("proxycommand") {
        return Route {
            // The command has the device's address in it, most often. What stays without its numbers is the same for
            // devices that go the same way.
            first_hop: command.chars().filter(|c| !c.is_ascii_digit()).collect(),
            hops_before: 1,
            reports_progress: false,
            jump: None,
        };
    }
    let host = value("hostname").unwrap_or_default();
    let port = value("port").unwrap_or_default();
    Route {
        first_hop: format!("{host}:{port}"),
        hops_before: 0,
        reports_progress: true,
        jump: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_behind_one_jump_host_share_their_first_hop() {
        let one = parse("hostname localhost\nport 5031\nproxyjump awi@jump\n");
        let other = parse("hostname localhost\nport 5032\nproxyjump awi@jump\n");
        assert_eq!(one, other);
        assert_eq!((one.first_hop.as_str(), one.hops_before), ("awi@jump", 1));
        assert_eq!(parse("proxyjump a,b\n").hops_before, 2);
        let direct = parse("hostname hive\nport 22\nproxycommand none\n");
        assert_eq!((direct.first_hop.as_str(), direct.hops_before), ("hive:22", 0));
        let command = |port| parse(&format!("proxycommand ssh -W localhost:{port} jump\n"));
        assert_eq!(command(5031), command(5032));
    }
}
