//! A session over streams in memory, and the parsers of ssh's output. Only the packages `fuzz` and
//! `instructions` use them.
//!
//! They exercise the code that ships, from the first byte of the device on. Only the processes are missing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::device::{DeviceFailure, NoShell};
use model::{DeviceName, SourcePath};
use tokio::io::{AsyncRead, empty, sink};

use crate::configuration::{BaseConfiguration, text};
use crate::process::SshCommand;
use crate::resolve;
use crate::script::{FactsRequest, ReplyTag};
use crate::session::{SshSession, Transport};
use crate::shell_channel::{ChannelFactory, ConnectionMode, Shell, ShellStreams};
use crate::stderr_tail::StderrTail;
use crate::target::Target;

/// The tag with which the device's script marks its replies.
pub const TAG: &str = "0123456789abcdef0123456789abcdef";

/// A session with a device whose script writes `answers`, whatever it is asked. If they do not begin like the
/// script's, the session has no shell. A second run of the script cannot be started. `early` is a source
/// whose listing is requested while connecting.
pub async fn session(
    device: DeviceName,
    answers: impl AsyncRead + Send + Sync + Unpin + fmt::Debug + 'static,
    files: sftp::Client,
    sources: &[SourcePath],
    early: Option<&SourcePath>,
) -> Result<SshSession, DeviceFailure> {
    let received = Arc::default();
    let factory = ChannelFactory {
        client: SshCommand {
            program: PathBuf::from("/nonexistent/ssh"),
            configuration: PathBuf::new(),
        },
        target: Target::alias(device),
        mode: ConnectionMode::Multiplexed(PathBuf::new()),
        group: 0,
        received: Arc::clone(&received),
        pending: Arc::default(),
    };
    let pending = Arc::clone(&factory.pending);
    let streams = ShellStreams {
        stdin: Box::new(sink()),
        stdout: Box::new(answers),
        stderr: StderrTail::collect(empty()),
        process: None,
    };
    let shell = factory
        .begin(streams, &ReplyTag::new(TAG), FactsRequest::Ask(sources), early)
        .await;
    let transport = Transport {
        stall_timeout: factory.target.stall_timeout,
        bandwidth: None,
        files,
        shell: shell
            .map(|(first, facts)| Shell {
                factory,
                first,
                facts,
            })
            .map_err(|_| NoShell::Refused),
        received,
        pending,
    };
    SshSession::without_process(transport, sources).await
}

/// The tail that is kept of a stream, and whether it reported that a hop has authenticated us.
pub async fn stderr_tail(stream: impl AsyncRead + Unpin + Send + 'static) -> (String, bool) {
    let tail = StderrTail::collect(stream);
    tail.ended().await;
    (tail.text(), tail.has_authenticated())
}

/// The first hop in the output of `ssh -G`, and the number of hops before the device.
pub fn route(explanation: &str) -> (String, u32) {
    let route = resolve::parse(explanation);
    (route.first_hop, route.hops_before)
}

/// The configuration that is written for ssh.
pub fn ssh_config(targets: &[Target]) -> String {
    text(
        &BaseConfiguration::UserAndSystem,
        Duration::from_secs(10),
        None,
        targets,
    )
}
