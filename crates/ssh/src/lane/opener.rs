//! How a lane comes to be.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::BytesMut;
use model::SourcePath;
use tokio::process::Child;

use super::{Hearing, Lane, LaneError, Mark, READ_BUFFER, Saying, survey_request};
use crate::bandwidth::Metered;
use crate::facts::Facts;
use crate::last_words::LastWords;
use crate::patience::LaneDebt;
use crate::process::Client;
use crate::script::{COMMAND, Knowledge, Tag, opening};
use crate::session::Channel;
use crate::target::Target;
use crate::workplace::chance;

/// How lanes are opened.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(crate) client: Client,
    pub(crate) target: Target,
    pub(crate) over: Over,
    pub(crate) group: i32,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) debt: Arc<LaneDebt>,
}

/// What lanes go over.
#[derive(Debug, Clone)]
pub(crate) enum Over {
    /// The connection that owns this control socket.
    Connection(PathBuf),
    /// Each over a connection of its own: the device permits one session in each (`MaxSessions 1`).
    ConnectionOfItsOwn {
        /// To be reached and let in.
        connect_timeout: Duration,
    },
}

/// The streams of a script that has just been started, and its process where it has one of its own.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Box<dyn Hearing>,
    pub(crate) stdout: Box<dyn Saying>,
    pub(crate) words: LastWords,
    pub(crate) process: Option<Child>,
}

impl Opener {
    /// Starts the script and hears what it has to say about the device, beyond what is known.
    ///
    /// Where a source is given, the script is asked for its listing in the same breath: it comes right behind the facts, a round trip
    /// sooner than whoever waits for the facts could ask for it.
    pub(crate) async fn open(
        &self,
        knowledge: Knowledge<'_>,
        survey: Option<&SourcePath>,
    ) -> Result<(Lane, Facts), LaneError> {
        let tag = Tag::new(&chance::<16>()?);
        let mut command = match &self.over {
            Over::Connection(socket) => self.client.over(&self.target, socket, COMMAND),
            Over::ConnectionOfItsOwn { connect_timeout } => {
                self.client.apart(&self.target, COMMAND, *connect_timeout)
            }
        };
        let mut process = command.process_group(self.group).spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        };
        let streams = Streams {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            words: LastWords::collect(stderr),
            process: Some(process),
        };
        self.begin(streams, &tag, knowledge, survey).await
    }

    /// Opens one more SFTP channel over the connection.
    pub(crate) async fn sftp_channel(&self) -> Result<Channel, sftp::Error> {
        let ended = || sftp::Error::Connection(Arc::new(sftp::ConnectionError::Ended));
        let Over::Connection(socket) = &self.over else {
            return Err(ended());
        };
        let mut command = self.client.sftp_over(&self.target, socket);
        let spawned = command.process_group(self.group).spawn();
        let mut process = spawned.map_err(|_| ended())?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(ended());
        };
        // Read to its end, so that ssh never waits to say something.
        LastWords::collect(stderr);
        let stdout = Metered::new(stdout, None, self.received.clone());
        Ok(Channel {
            files: sftp::Client::connect(stdout, stdin).await?,
            _process: process,
        })
    }

    /// Sends the script, and hears what it has to say.
    pub(crate) async fn begin(
        &self,
        streams: Streams,
        tag: &Tag,
        knowledge: Knowledge<'_>,
        survey: Option<&SourcePath>,
    ) -> Result<(Lane, Facts), LaneError> {
        let mut lane = Lane {
            stdin: streams.stdin,
            stdout: Metered::new(streams.stdout, None, self.received.clone()),
            buffer: BytesMut::with_capacity(READ_BUFFER),
            words: streams.words,
            tag: tag.whole().into(),
            patience: self.target.stall_timeout,
            received: self.received.clone(),
            debt: self.debt.clone(),
            mark: Mark::new(&self.received),
            surveys: survey.cloned(),
            _process: streams.process,
        };
        let mut words = opening(tag, knowledge);
        words.extend(survey.into_iter().flat_map(survey_request));
        lane.write(&words).await?;
        lane.skip_noise().await?;
        let facts = lane.facts().await?;
        Ok((lane, facts))
    }
}
