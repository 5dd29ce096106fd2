//! The route to a device, as ssh's configuration resolves its name.

use std::process::Stdio;
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;

use crate::classify::diagnose;
use crate::guard::Guard;
use crate::process::SshCommand;
use crate::target::{JumpHost, Target};

/// `ssh -G` reads files and runs the commands of `Match exec`: it is local, and takes milliseconds.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The route to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The target of the first TCP connection, as text that is equal for devices that share it.
    pub(crate) first_hop: String,
    /// The number of hops before the device; 1 for a proxy command.
    pub(crate) hops_before: u32,
    /// Whether the first hop is an ssh process whose output gleaner reads, so that its authentication is
    /// visible.
    pub(crate) reports_progress: bool,
    /// The last jump host before the device, where ssh's own `ProxyJump` is used.
    pub(crate) jump: Option<JumpHost>,
}

/// Asks ssh for the route to a device.
pub(crate) async fn route(client: &SshCommand, target: &Target) -> Result<Route, DeviceFailure> {
    // A command of `Match exec` may hang, and must not outlive gleaner.
    let guard = Guard::start().map_err(|error| local_failure("cannot start a shell", &error))?;
    let mut command = client.explain(target);
    command.stdin(Stdio::null()).process_group(guard.group());
    let output = tokio::time::timeout(RESOLVE_TIMEOUT, command.output()).await;
    // ssh has ended, or was killed for taking too long. Its children need no orderly end.
    guard.end().await;
    match output {
        Ok(Ok(output)) if output.status.success() => Ok(parse(&String::from_utf8_lossy(&output.stdout))),
        Ok(Ok(output)) => Err(diagnose(&String::from_utf8_lossy(&output.stderr), false, None).failure),
        Ok(Err(error)) => Err(local_failure("cannot start ssh", &error)),
        Err(_) => Err(DeviceFailure::new(
            FailureClass::AliasUnknown,
            "ssh -G does not end: a `Match exec` in its configuration may hang",
        )
        .with_remedy("run `ssh -G` with the device's name by hand, and fix the `Match exec`")),
    }
}

/// A failure of the collector, which is not the device's fault.
pub(crate) fn local_failure(attempted: &str, error: &std::io::Error) -> DeviceFailure {
    DeviceFailure::new(FailureClass::LocalFailure, format!("{attempted}: {error}"))
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
            // The command usually contains the device's address. Without its digits it is the same for
            // devices with the same route.
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
