//! One attempt to connect. Whatever happens to it, nothing of it stays behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::ports::device::{DeviceFailure, NoShell};
use model::{FailureClass, SourcePath};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::bandwidth::Metered;
use crate::classify::{Judgement, judge, not_sftp};
use crate::facts::Facts;
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::lane::{Lane, LaneError, Opener, Over};
use crate::last_words::LastWords;
use crate::pacing::Turn;
use crate::process::Client;
use crate::resolve::{self, Route};
use crate::script::Knowledge;
use crate::session::{Connected, Reached, SshSession, stalled};
use crate::target::Target;
use crate::verdict::text_of;

/// Between two looks whether ssh has made its control socket: the sign that the device has let us in.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A pipe takes 64 KiB by default, which a fast link fills in a millisecond. The kernel lets a user have 64 MiB in all
/// pipes together, and makes new ones tiny beyond that: so not the megabyte that it permits to each.
const PIPE_SIZE: usize = 256 * 1024;
/// How long an ssh process may take to end after it has closed its output, and others to close its standard error.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// What to do where a login's start-up files keep the device from answering.
const HASTEN_START_UP: &str = "make the start-up files of the login end at once without a terminal: `case $- in *i*) ;; *) return ;; esac` as the first line of ~/.bashrc, or the like in what sshd and the login shell run; if the device is only slow, raise `connect_timeout`";

/// Whether, and when, a command is asked for beside SFTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commands {
    /// At once.
    Beside,
    /// Once SFTP has answered: where the device hung up before, and it is to be found out over what.
    AfterSftp,
    /// Never: the device hangs up over it.
    Never,
}

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
    pub(super) route: &'a Route,
    pub(super) socket: PathBuf,
    pub(super) connect_timeout: Duration,
    pub(super) facts_for: &'a [SourcePath],
    pub(super) commands: Commands,
    /// Whether the device has let us in.
    pub(super) is_in: AtomicBool,
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
            over: Over::Connection(self.socket.clone()),
            group,
            received: received.clone(),
            debt: Arc::default(),
        };
        let debt = opener.debt.clone();
        let greeted = async {
            tokio::select! {
                files = sftp::Client::connect(stdout, stdin) => files.map_err(Unmet::Ended),
                failure = self.out_of_patience(&words, way) => Err(Unmet::Silent(failure)),
            }
        };
        match self.ask(greeted, &opener).await {
            Ok((files, shell)) => Ok(Connected {
                through_jump: self.route.hops_before > 0,
                jump,
                process,
                words,
                reached: Reached {
                    stall_timeout: self.target.stall_timeout,
                    bandwidth: self.target.bandwidth,
                    files,
                    shell,
                    received,
                    debt,
                },
            }),
            Err(Unmet::Silent(failure)) => Err(only(failure)),
            Err(Unmet::Ended(error)) => {
                let mut judgement = self.post_mortem(process, &words, &error).await;
                // The command was not asked for yet.
                judgement.hung_up_after_login &= self.commands == Commands::Beside;
                Err(judgement)
            }
            Err(Unmet::EndedOverCommand(error)) => Err(self.post_mortem(process, &words, &error).await),
        }
    }

    /// Waits for SFTP's greeting, and runs the script beside it or after it.
    async fn ask(
        &self,
        greeted: impl Future<Output = Result<sftp::Client, Unmet>>,
        opener: &Opener,
    ) -> Result<(sftp::Client, Result<Shell, NoShell>), Unmet> {
        let shell = async { Ok(self.shell(opener).await) };
        let (files, shell) = match self.commands {
            Commands::Beside => tokio::try_join!(greeted, shell)?,
            Commands::AfterSftp => (greeted.await?, shell.await?),
            Commands::Never => (greeted.await?, Err(NoShell::HangsUp)),
        };
        if shell.is_err() && self.commands != Commands::Never {
            // There are servers that end the whole connection when they are asked for a command.
            match timeout(self.target.stall_timeout, files.stat(b"/")).await {
                Ok(Err(error)) if error.status().is_none() => return Err(Unmet::EndedOverCommand(error)),
                Ok(_) => {}
                Err(_) => return Err(Unmet::Silent(stalled(self.target.stall_timeout))),
            }
        }
        Ok((files, shell))
    }

    /// Waits for the device to let us in, then runs the script. A device without a shell for us is served by
    /// SFTP alone.
    async fn shell(&self, opener: &Opener) -> Result<Shell, NoShell> {
        self.let_in().await;
        let mut way = opener.clone();
        let mut shell = self.open(&way, self.connect_timeout).await;
        if matches!(shell, Err(LaneError::OneSession)) {
            // The proofs that a shell gives are worth a connection of its own.
            let connect_timeout = self.patience() * 2;
            way.over = Over::ConnectionOfItsOwn { connect_timeout };
            shell = self.open(&way, connect_timeout + self.connect_timeout).await;
        }
        match shell {
            Ok((lane, facts)) => Ok((way, lane, facts)),
            Err(error) => {
                tracing::debug!(device = %self.target.name, error = text_of(&error), "no shell: SFTP only");
                Err(match error {
                    LaneError::Silent(_) => NoShell::Silent,
                    LaneError::Nonsense(_) | LaneError::Excess(_) => NoShell::Chatters,
                    LaneError::OneSession => NoShell::OneSession,
                    LaneError::Ended(_) | LaneError::Stream(_) => NoShell::Refused,
                })
            }
        }
    }

    async fn open(&self, opener: &Opener, patience: Duration) -> Result<(Lane, Facts), LaneError> {
        // Who asks for facts about sources will list the first of them.
        let opening = opener.open(Knowledge::None(self.facts_for), self.facts_for.first());
        match timeout(patience, opening).await {
            Ok(answer) => answer,
            Err(_) => Err(LaneError::Silent(patience)),
        }
    }

    async fn let_in(&self) {
        while !self.socket.exists() {
            sleep(LOOK_EVERY).await;
        }
        self.is_in.store(true, Ordering::Relaxed);
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
        sleep(self.connect_timeout + Duration::from_secs(1)).await;
        DeviceFailure {
            remedy: Some(HASTEN_START_UP.to_owned()),
            ..self.silent(
                FailureClass::Stalled,
                "the device let us in, but its SFTP server does not answer: the start-up files of the login may wait for something",
            )
        }
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
            remedy: None,
        }
    }

    /// Why the stream ended, or began with something that is no SFTP.
    async fn post_mortem(&self, mut process: Child, words: &LastWords, error: &sftp::Error) -> Judgement {
        if let sftp::Error::Connection(cause) = error {
            match cause.as_ref() {
                sftp::ConnectionError::NotSftp { first_bytes } => {
                    return only(not_sftp(first_bytes, text_of(cause.as_ref())));
                }
                sftp::ConnectionError::Version { .. } | sftp::ConnectionError::Protocol(_) => {
                    return only(DeviceFailure {
                        class: FailureClass::Protocol,
                        message: text_of(cause.as_ref()),
                        remedy: None,
                    });
                }
                _ => {}
            }
        }
        let end = async {
            let status = process.wait().await;
            words.ended().await;
            status
        };
        let status = timeout(LAST_BREATH, end).await;
        let status = status.ok().and_then(Result::ok).and_then(|status| status.code());
        let judgement = judge(&words.text(), self.route.hops_before > 0, status);
        Judgement {
            hung_up_after_login: judgement.hung_up_after_login && self.is_in.load(Ordering::Relaxed),
            ..judgement
        }
    }
}

/// The shell of a device, with what opens more of its like.
type Shell = (Opener, Lane, Facts);

/// Why there is no session.
enum Unmet {
    Silent(DeviceFailure),
    /// The stream of SFTP ended.
    Ended(sftp::Error),
    /// It ended once a command was asked for.
    EndedOverCommand(sftp::Error),
}

pub(super) fn only(failure: DeviceFailure) -> Judgement {
    Judgement {
        failure,
        hung_up_at_once: false,
        hung_up_after_login: false,
    }
}

fn local(error: &std::io::Error) -> Judgement {
    only(resolve::local("cannot start ssh", error))
}
