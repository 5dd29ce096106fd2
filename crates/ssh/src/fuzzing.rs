//! A session over streams in memory, and the readers of what ssh says, for the packages `fuzz` and `instructions` and nobody else.
//!
//! What is fuzzed and counted is the code that ships, from the first byte that a device says on; only the processes are missing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::device::{DeviceFailure, NoShell};
use model::{DeviceName, SourcePath};
use tokio::io::{AsyncRead, empty, sink};

use crate::configuration::{Following, text};
use crate::lane::{Opener, Over, Streams};
use crate::last_words::LastWords;
use crate::process::Client;
use crate::resolve;
use crate::script::{Knowledge, Tag};
use crate::session::{Reached, SshSession};
use crate::target::Target;

/// What the device's script is told to mark its answers with.
pub const TAG: &str = "0123456789abcdef0123456789abcdef";

/// A session with a device whose script says `answers`, whatever it is asked. Without a shell where they do not begin as the
/// script's do. A second run of the script, where one is needed, cannot be started. The listing of a source may be asked for while connecting.
pub async fn session(
    device: DeviceName,
    answers: impl AsyncRead + Send + Sync + Unpin + fmt::Debug + 'static,
    files: sftp::Client,
    sources: &[SourcePath],
    early: Option<&SourcePath>,
) -> Result<SshSession, DeviceFailure> {
    let received = Arc::default();
    let opener = Opener {
        client: Client {
            program: PathBuf::from("/nonexistent/ssh"),
            configuration: PathBuf::new(),
        },
        target: Target::alias(device),
        over: Over::Connection(PathBuf::new()),
        group: 0,
        received: Arc::clone(&received),
        debt: Arc::default(),
    };
    let debt = Arc::clone(&opener.debt);
    let streams = Streams {
        stdin: Box::new(sink()),
        stdout: Box::new(answers),
        words: LastWords::collect(empty()),
        process: None,
    };
    let shell = opener
        .begin(streams, &Tag::new(TAG), Knowledge::None(sources), early)
        .await;
    let reached = Reached {
        stall_timeout: opener.target.stall_timeout,
        bandwidth: None,
        files,
        shell: shell
            .map(|(lane, facts)| (opener, lane, facts))
            .map_err(|_| NoShell::Refused),
        received,
        debt,
    };
    SshSession::without_process(reached, sources).await
}

/// What is kept of a stream of errors, and whether it told that a hop has let us in.
pub async fn last_words(stream: impl AsyncRead + Unpin + Send + 'static) -> (String, bool) {
    let words = LastWords::collect(stream);
    words.ended().await;
    (words.text(), words.has_authenticated())
}

/// The first hop in what `ssh -G` prints, and how many hops there are before the device.
pub fn route(explanation: &str) -> (String, u32) {
    let route = resolve::read(explanation);
    (route.first_hop, route.hops_before)
}

/// The configuration that is written for ssh.
pub fn ssh_config(targets: &[Target]) -> String {
    text(&Following::UserAndSystem, Duration::from_secs(10), None, targets)
}
