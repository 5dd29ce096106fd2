//! Opens channels.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::BytesMut;
use model::SourcePath;
use tokio::process::Child;

use super::{BoxedStdin, BoxedStdout, ProgressMark, READ_BUFFER, ShellChannel, ShellError, listing_request};
use crate::bandwidth::Metered;
use crate::facts::Facts;
use crate::process::SshCommand;
use crate::runtime_dir::random_hex;
use crate::script::{COMMAND, FactsRequest, ReplyTag, preamble};
use crate::session::SftpChannel;
use crate::stall::PendingReplies;
use crate::stderr_tail::StderrTail;
use crate::target::Target;

/// Opens the channels of one connection.
#[derive(Debug, Clone)]
pub(crate) struct ChannelFactory {
    pub(crate) client: SshCommand,
    pub(crate) target: Target,
    pub(crate) mode: ConnectionMode,
    pub(crate) group: i32,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) pending: Arc<PendingReplies>,
}

/// The connection that channels use.
#[derive(Debug, Clone)]
pub(crate) enum ConnectionMode {
    /// The connection that owns this control socket.
    Multiplexed(PathBuf),
    /// A connection for each channel: the device permits one session per connection (`MaxSessions 1`).
    Dedicated {
        /// The time to connect and to authenticate.
        connect_timeout: Duration,
    },
}

/// The shell of a device: its first channel, its facts, and the factory of further channels.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) factory: ChannelFactory,
    pub(crate) first: ShellChannel,
    pub(crate) facts: Facts,
}

/// The streams of a script that was just started, and its process if it has one.
#[derive(Debug)]
pub(crate) struct ShellStreams {
    pub(crate) stdin: BoxedStdin,
    pub(crate) stdout: BoxedStdout,
    pub(crate) stderr: StderrTail,
    pub(crate) process: Option<Child>,
}

impl ChannelFactory {
    /// Starts the script and reads its facts about the device, unless they are known.
    ///
    /// If a source is given, its listing is requested at the same time. It follows the facts, a round trip
    /// sooner than if it were requested after them.
    pub(crate) async fn open(
        &self,
        facts_request: FactsRequest<'_>,
        early_listing: Option<&SourcePath>,
    ) -> Result<(ShellChannel, Facts), ShellError> {
        let tag = ReplyTag::new(&random_hex::<16>()?);
        let mut command = match &self.mode {
            ConnectionMode::Multiplexed(socket) => self.client.shell(&self.target, socket, COMMAND),
            ConnectionMode::Dedicated { connect_timeout } => {
                self.client
                    .dedicated_shell(&self.target, COMMAND, *connect_timeout)
            }
        };
        let mut process = command.process_group(self.group).spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        };
        let streams = ShellStreams {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: StderrTail::collect(stderr),
            process: Some(process),
        };
        self.begin(streams, &tag, facts_request, early_listing).await
    }

    /// Opens one more SFTP channel over the connection.
    pub(crate) async fn sftp_channel(&self) -> Result<SftpChannel, sftp::Error> {
        let ended = || sftp::Error::Connection(Arc::new(sftp::ConnectionError::Ended));
        let ConnectionMode::Multiplexed(socket) = &self.mode else {
            return Err(ended());
        };
        let mut command = self.client.sftp_channel(&self.target, socket);
        let spawned = command.process_group(self.group).spawn();
        let mut process = spawned.map_err(|_| ended())?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(ended());
        };
        // Reads it to its end, so that ssh never blocks on writing to it.
        StderrTail::collect(stderr);
        let stdout = Metered::new(stdout, None, self.received.clone());
        Ok(SftpChannel {
            files: sftp::Client::connect(stdout, stdin).await?,
            _process: process,
        })
    }

    /// Sends the script, and reads its facts.
    pub(crate) async fn begin(
        &self,
        streams: ShellStreams,
        tag: &ReplyTag,
        facts_request: FactsRequest<'_>,
        early_listing: Option<&SourcePath>,
    ) -> Result<(ShellChannel, Facts), ShellError> {
        let mut channel = ShellChannel {
            stdin: streams.stdin,
            stdout: Metered::new(streams.stdout, None, self.received.clone()),
            buffer: BytesMut::with_capacity(READ_BUFFER),
            stderr: streams.stderr,
            tag: tag.whole().into(),
            stall_timeout: self.target.stall_timeout,
            received: self.received.clone(),
            pending: self.pending.clone(),
            mark: ProgressMark::new(&self.received),
            early_listing: early_listing.cloned(),
            _process: streams.process,
        };
        let mut input = preamble(tag, facts_request);
        input.extend(early_listing.into_iter().flat_map(listing_request));
        channel.write(&input).await?;
        channel.skip_start_up_output().await?;
        let facts = channel.facts().await?;
        Ok((channel, facts))
    }
}
