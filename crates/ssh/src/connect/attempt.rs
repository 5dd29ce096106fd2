//! One attempt to connect. Whatever happens to it, nothing of it stays behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::{FailureClass, SourcePath};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::bandwidth::Metered;
use crate::classify::{Judgement, judge};
use crate::facts::Facts;
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::lane::{Lane, LaneError, Opener};
use crate::last_words::LastWords;
use crate::pacing::Turn;
use crate::process::Client;
use crate::resolve::Route;
use crate::script::Knowledge;
use crate::session::{Connected, Reached, SshSession};
use crate::target::Target;
use crate::verdict::text_of;

/// Between two looks whether ssh has made its control socket: the sign that the device has let us in.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A pipe takes 64 KiB by default, which a fast link fills in a millisecond. The kernel lets a user have 64 MiB in all
/// pipes together, and makes new ones tiny beyond that: so not the megabyte that it permits to each.
const PIPE_SIZE: usize = 256 * 1024;
/// How long an ssh process may take to end after it has closed its output, and others to close its standard error.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    pub(super) route: &'a Route,
    pub(super) socket: PathBuf,
    pub(super) connect_timeout: Duration,
    pub(super) facts_for: &'a [SourcePath],
}

/// How the device is reached.
pub(super) enum Way {
    /// As ssh's configuration says.
    Own {
        /// The right to be connecting to the first hop.
        turn: Turn,
        /// How the device kept silent over a shared connection: then all that is to be found out is whether the jump host did.
        silence: Option<DeviceFailure>,
    },
    /// Through a jump connection that others go through, too.
    Shared {
        /// The connection.
        jump: Arc<JumpConnection>,
        /// The right to be connecting through it.
        turn: Turn,
    },
}

impl Way {
    fn jump(&self) -> Option<Arc<JumpConnection>> {
        match self {
            Self::Own { .. } => None,
            Self::Shared { jump, .. } => Some(Arc::clone(jump)),
        }
    }
}

impl Attempt<'_> {
    /// Connects, and lets others have their turn as soon as the first hop has authenticated us.
    pub(super) async fn run(self, way: Way) -> Result<SshSession, Judgement> {
        let guard = Guard::start().map_err(|error| local(&error))?;
        match self.meet(guard.group(), way).await {
            Ok(connected) => SshSession::begin(guard, connected, self.facts_for)
                .await
                .map_err(only),
            Err(judgement) => {
                guard.end().await;
                Err(judgement)
            }
        }
    }

    /// Starts ssh in the group, and waits until the device has answered. Where it does not, ssh has ended or is killed.
    async fn meet(&self, group: i32, way: Way) -> Result<Connected, Judgement> {
        let received = Arc::new(AtomicU64::new(0));
        let jump = way.jump();
        let by_way_of = jump.as_deref().map(JumpConnection::way);
        let mut command = self
            .client
            .master(self.target, &self.socket, by_way_of, self.patience() * 2);
        let mut process = command
            .process_group(group)
            .spawn()
            .map_err(|error| local(&error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(local(&std::io::ErrorKind::BrokenPipe.into()));
        };
        // A smaller pipe is only slower.
        rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_SIZE).ok();
        let words = LastWords::collect(stderr);
        let stdout = Metered::new(stdout, self.target.bandwidth, received.clone());
        let opener = Opener {
            client: self.client.clone(),
            target: self.target.clone(),
            socket: self.socket.clone(),
            group,
            received: received.clone(),
            debt: Arc::default(),
        };
        let debt = opener.debt.clone();
        let answers = async {
            let shell = async { Ok(self.shell(&opener).await) };
            tokio::try_join!(sftp::Client::connect(stdout, stdin), shell)
        };
        let met = tokio::select! {
            met = answers => met,
            failure = self.out_of_patience(&words, way) => return Err(only(failure)),
        };
        match met {
            Ok((files, shell)) => Ok(Connected {
                through_jump: self.route.hops_before > 0,
                jump,
                process,
                words,
                reached: Reached {
                    stall_timeout: self.target.stall_timeout,
                    bandwidth: self.target.bandwidth,
                    files,
                    shell: self.usable(shell, opener),
                    received,
                    debt,
                },
            }),
            Err(error) => Err(self.post_mortem(process, &words, &error).await),
        }
    }

    /// Waits for the device to let us in, then runs the script beside SFTP's greeting.
    async fn shell(&self, opener: &Opener) -> Result<(Lane, Facts), LaneError> {
        self.let_in().await;
        let patience = self.connect_timeout;
        // Who asks for facts about sources will list the first of them.
        let opening = opener.open(Knowledge::None(self.facts_for), self.facts_for.first());
        match timeout(patience, opening).await {
            Ok(answer) => answer,
            Err(_) => Err(LaneError::Silent(patience)),
        }
    }

    /// A device without a shell for us is served by SFTP alone.
    fn usable(
        &self,
        shell: Result<(Lane, Facts), LaneError>,
        opener: Opener,
    ) -> Option<(Opener, Lane, Facts)> {
        match shell {
            Ok((lane, facts)) => Some((opener, lane, facts)),
            Err(error) => {
                tracing::debug!(device = %self.target.name, error = text_of(&error), "no shell: SFTP only");
                None
            }
        }
    }

    async fn let_in(&self) {
        while !self.socket.exists() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Ends with a failure once some stage has taken too long.
    async fn out_of_patience(&self, words: &LastWords, way: Way) -> DeviceFailure {
        let turn = match way {
            Way::Shared { turn, .. } => Some(turn),
            Way::Own { turn, silence } => {
                if let Some(failure) = self.silent_jump(words).await.or(silence) {
                    return failure;
                }
                drop(turn);
                None
            }
        };
        if timeout(self.patience(), self.let_in()).await.is_err() {
            return self.silent(FailureClass::TimedOut, "the device does not let us in");
        }
        drop(turn);
        // A shell that does not answer is given up after `connect_timeout`; then SFTP must have answered.
        sleep(self.connect_timeout + Duration::from_secs(1)).await;
        self.silent(
            FailureClass::TimedOut,
            "the device let us in, but its SFTP server does not answer",
        )
    }

    /// Waits until the first hop has authenticated us; how it failed, if it did not. Where it cannot be reached ssh says so itself, sooner.
    async fn silent_jump(&self, words: &LastWords) -> Option<DeviceFailure> {
        if !self.route.tells_progress {
            return None;
        }
        // To be reached, and to authenticate us.
        let authenticated = timeout(self.connect_timeout * 2, words.authenticated());
        authenticated
            .await
            .is_err()
            .then(|| match self.route.hops_before {
                0 => self.silent(FailureClass::TimedOut, "the device does not let us in"),
                _ => self.silent(FailureClass::JumpUnreachable, "the jump host does not let us in"),
            })
    }

    /// The time from the first hop's consent, or from the beginning, to the device's.
    fn patience(&self) -> Duration {
        match self.route.hops_before {
            // To be reached, and to authenticate us.
            0 => self.connect_timeout * 2,
            1 if self.route.tells_progress => self.connect_timeout,
            hops => self.connect_timeout * (hops.min(8) + 1),
        }
    }

    fn silent(&self, class: FailureClass, what: &str) -> DeviceFailure {
        DeviceFailure {
            class,
            message: format!(
                "{what} (connect_timeout is {} s)",
                self.connect_timeout.as_secs_f64()
            ),
        }
    }

    /// Why the stream ended, or began with something that is no SFTP.
    async fn post_mortem(&self, mut process: Child, words: &LastWords, error: &sftp::Error) -> Judgement {
        if let sftp::Error::Connection(cause) = error
            && matches!(
                cause.as_ref(),
                sftp::ConnectionError::NotSftp { .. }
                    | sftp::ConnectionError::Version { .. }
                    | sftp::ConnectionError::Protocol(_)
            )
        {
            return only(DeviceFailure {
                class: FailureClass::Protocol,
                message: text_of(cause.as_ref()),
            });
        }
        let end = async {
            process.wait().await.ok();
            words.ended().await;
        };
        timeout(LAST_BREATH, end).await.ok();
        judge(&words.text(), self.route.hops_before > 0)
    }
}

fn only(failure: DeviceFailure) -> Judgement {
    Judgement {
        failure,
        hung_up_at_once: false,
    }
}

fn local(error: &std::io::Error) -> Judgement {
    only(DeviceFailure {
        class: FailureClass::Protocol,
        message: format!("cannot start ssh: {error}"),
    })
}
