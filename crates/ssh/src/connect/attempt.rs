//! One attempt to connect. Whatever happens, it leaves nothing behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::ports::device::{DeviceFailure, NoShell};
use engine::recourse::error_chain;
use model::{FailureClass, SourcePath};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::bandwidth::Metered;
use crate::classify::{Diagnosis, diagnose, diagnose_not_sftp};
use crate::facts::Facts;
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::pacing::ConnectPermit;
use crate::process::{SshCommand, wait_for_socket};
use crate::resolve::{self, Route};
use crate::script::FactsRequest;
use crate::session::{Connection, SshSession, Transport, stalled};
use crate::shell_channel::{ChannelFactory, ConnectionMode, Shell, ShellChannel, ShellError};
use crate::stderr_tail::StderrTail;
use crate::target::Target;

/// A pipe holds 64 KiB by default, which a fast link fills in a millisecond. The kernel lets a user have 64
/// MiB in all pipes together, and makes new pipes tiny beyond that. So this is less than the megabyte
/// permitted to each pipe.
const PIPE_SIZE: usize = 256 * 1024;
/// How long an ssh process may take to exit after it has closed its output, and other processes to close its
/// standard error.
const EXIT_GRACE: Duration = Duration::from_secs(2);
/// The remedy where a login's start-up files keep the device from answering.
const START_UP_REMEDY: &str = "make the login's start-up files end at once without a terminal: `case $- in *i*) ;; *) return ;; esac` as the \
     first line of ~/.bashrc, and similarly in other files that sshd and the login shell run; if the device is only \
     slow, raise `connect_timeout`";

/// Whether, and when, a command is requested beside SFTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShellPolicy {
    /// At once.
    WithSftp,
    /// Once SFTP has answered. Used if the device hung up before, to find out whether the command is the
    /// reason.
    AfterSftp,
    /// Never: the device hangs up on it.
    Never,
}

/// The parameters of an attempt.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a SshCommand,
    pub(super) target: &'a Target,
    pub(super) route: &'a Route,
    pub(super) socket: PathBuf,
    pub(super) connect_timeout: Duration,
    pub(super) facts_for: &'a [SourcePath],
    pub(super) shell_policy: ShellPolicy,
    /// Whether the device has authenticated us.
    pub(super) has_logged_in: AtomicBool,
}

/// How to reach the device.
pub(super) enum ConnectVia {
    /// As ssh's configuration says.
    Configuration {
        /// The permit to connect to the first hop.
        permit: ConnectPermit,
        /// The failure of a device that was silent over a shared connection. Then this attempt only finds out
        /// whether the jump host is silent too.
        silence: Option<DeviceFailure>,
    },
    /// Through a jump connection shared with other devices.
    SharedJump {
        /// The connection.
        jump: Arc<JumpConnection>,
        /// The permit to connect through it.
        permit: ConnectPermit,
    },
}

impl ConnectVia {
    fn jump(&self) -> Option<Arc<JumpConnection>> {
        match self {
            Self::Configuration { .. } => None,
            Self::SharedJump { jump, .. } => Some(Arc::clone(jump)),
        }
    }
}

impl Attempt<'_> {
    /// Connects. Returns the permit as soon as the first hop has authenticated us.
    pub(super) async fn run(self, via: ConnectVia) -> Result<SshSession, Diagnosis> {
        let guard = Guard::start().map_err(|error| local(&error))?;
        match self.handshake(guard.group(), via).await {
            Ok(connected) => SshSession::begin(guard, connected, self.facts_for)
                .await
                .map_err(Diagnosis::from),
            Err(diagnosis) => {
                guard.end().await;
                Err(diagnosis)
            }
        }
    }

    /// Starts ssh in the group, and waits for the device's reply. On failure, ssh has ended or is killed.
    async fn handshake(&self, group: i32, via: ConnectVia) -> Result<Connection, Diagnosis> {
        let received = Arc::new(AtomicU64::new(0));
        let jump = via.jump();
        let through = jump.as_deref().map(JumpConnection::endpoint);
        let mut command = self
            .client
            .master(self.target, &self.socket, through, self.login_timeout() * 2);
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
        let stderr = StderrTail::collect(stderr);
        let stdout = Metered::new(stdout, self.target.bandwidth, received.clone());
        let factory = ChannelFactory {
            client: self.client.clone(),
            target: self.target.clone(),
            mode: ConnectionMode::Multiplexed(self.socket.clone()),
            group,
            received: received.clone(),
            pending: Arc::default(),
        };
        let pending = factory.pending.clone();
        let greeting = async {
            tokio::select! {
                files = sftp::Client::connect(stdout, stdin) => files.map_err(HandshakeError::Ended),
                failure = self.watch_timeouts(&stderr, via) => Err(HandshakeError::Silent(failure)),
            }
        };
        match self.open_channels(greeting, &factory).await {
            Ok((files, shell)) => Ok(Connection {
                through_jump: self.route.hops_before > 0,
                jump,
                process,
                stderr,
                transport: Transport {
                    stall_timeout: self.target.stall_timeout,
                    bandwidth: self.target.bandwidth,
                    files,
                    shell,
                    received,
                    pending,
                },
            }),
            Err(HandshakeError::Silent(failure)) => Err(failure.into()),
            Err(HandshakeError::Ended(error)) => {
                let mut diagnosis = self.diagnose_exit(process, &stderr, &error).await;
                // The command was not requested yet.
                diagnosis.hung_up_after_login &= self.shell_policy == ShellPolicy::WithSftp;
                Err(diagnosis)
            }
            Err(HandshakeError::EndedOverCommand(error)) => {
                Err(self.diagnose_exit(process, &stderr, &error).await)
            }
        }
    }

    /// Waits for SFTP's greeting, and runs the script beside it or after it.
    async fn open_channels(
        &self,
        greeting: impl Future<Output = Result<sftp::Client, HandshakeError>>,
        factory: &ChannelFactory,
    ) -> Result<(sftp::Client, Result<Shell, NoShell>), HandshakeError> {
        let shell = async { Ok(self.shell(factory).await) };
        let (files, shell) = match self.shell_policy {
            ShellPolicy::WithSftp => tokio::try_join!(greeting, shell)?,
            ShellPolicy::AfterSftp => (greeting.await?, shell.await?),
            ShellPolicy::Never => (greeting.await?, Err(NoShell::HangsUp)),
        };
        if shell.is_err() && self.shell_policy != ShellPolicy::Never {
            // Some servers end the whole connection when asked for a command.
            match timeout(self.target.stall_timeout, files.stat(b"/")).await {
                Ok(Err(error)) if error.status().is_none() => {
                    return Err(HandshakeError::EndedOverCommand(error));
                }
                Ok(_) => {}
                Err(_) => return Err(HandshakeError::Silent(stalled(self.target.stall_timeout))),
            }
        }
        Ok((files, shell))
    }

    /// Waits until the device has authenticated us, then runs the script. Without a shell, the device is
    /// served by SFTP alone.
    async fn shell(&self, factory: &ChannelFactory) -> Result<Shell, NoShell> {
        self.wait_for_login().await;
        let mut factory = factory.clone();
        let mut shell = self.open(&factory, self.connect_timeout).await;
        if matches!(shell, Err(ShellError::SessionLimit)) {
            // The proofs that a shell gives are worth a connection of its own.
            let connect_timeout = self.login_timeout() * 2;
            factory.mode = ConnectionMode::Dedicated { connect_timeout };
            shell = self.open(&factory, connect_timeout + self.connect_timeout).await;
        }
        match shell {
            Ok((first, facts)) => Ok(Shell {
                factory,
                first,
                facts,
            }),
            Err(error) => {
                tracing::debug!(device = %self.target.name, error = error_chain(&error), "no shell: SFTP only");
                Err(match error {
                    ShellError::Stalled(_) => NoShell::Silent,
                    ShellError::Unexpected(_) | ShellError::Excess(_) => NoShell::Chatters,
                    ShellError::SessionLimit => NoShell::OneSession,
                    ShellError::Ended(_) | ShellError::Stream(_) => NoShell::Refused,
                })
            }
        }
    }

    async fn open(
        &self,
        factory: &ChannelFactory,
        timeout_after: Duration,
    ) -> Result<(ShellChannel, Facts), ShellError> {
        // A caller that asks for facts about sources will list the first of them next.
        let opening = factory.open(FactsRequest::Ask(self.facts_for), self.facts_for.first());
        match timeout(timeout_after, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(ShellError::Stalled(timeout_after)),
        }
    }

    async fn wait_for_login(&self) {
        wait_for_socket(&self.socket).await;
        self.has_logged_in.store(true, Ordering::Relaxed);
    }

    /// Returns a failure once a stage has taken too long.
    async fn watch_timeouts(&self, stderr: &StderrTail, via: ConnectVia) -> DeviceFailure {
        let permit = match via {
            ConnectVia::SharedJump { permit, .. } => Some(permit),
            ConnectVia::Configuration { permit, silence } => {
                if let Some(failure) = self.jump_timeout(stderr).await.or(silence) {
                    return failure;
                }
                drop(permit);
                None
            }
        };
        if timeout(self.login_timeout(), self.wait_for_login())
            .await
            .is_err()
        {
            return self.timed_out(FailureClass::TimedOut, "the device does not complete the login");
        }
        drop(permit);
        sleep(self.connect_timeout + Duration::from_secs(1)).await;
        let message = "the login succeeded, but the device's SFTP server does not answer: the login's start-up files may be waiting";
        self.timed_out(FailureClass::Stalled, message)
            .with_remedy(START_UP_REMEDY)
    }

    /// Waits until the first hop has authenticated us. `None` if it did, otherwise the failure. If the hop
    /// cannot be reached, ssh reports it earlier.
    async fn jump_timeout(&self, stderr: &StderrTail) -> Option<DeviceFailure> {
        if !self.route.reports_progress {
            return None;
        }
        // The time to connect and to authenticate.
        let authenticated = timeout(self.connect_timeout * 2, stderr.authenticated());
        authenticated
            .await
            .is_err()
            .then(|| match self.route.hops_before {
                0 => self.timed_out(FailureClass::TimedOut, "the device does not complete the login"),
                _ => self.timed_out(
                    FailureClass::JumpUnreachable,
                    "the jump host does not complete the login",
                ),
            })
    }

    /// The time from the first hop's authentication, or from the beginning, until the device must have
    /// authenticated us.
    fn login_timeout(&self) -> Duration {
        match self.route.hops_before {
            // The time to connect and to authenticate.
            0 => self.connect_timeout * 2,
            1 if self.route.reports_progress => self.connect_timeout,
            hops => self.connect_timeout * (hops.min(8) + 1),
        }
    }

    fn timed_out(&self, class: FailureClass, what: &str) -> DeviceFailure {
        DeviceFailure::new(
            class,
            format!(
                "{what} (connect_timeout is {} s)",
                self.connect_timeout.as_secs_f64()
            ),
        )
    }

    /// Finds out why the stream ended, or why it began with other bytes than SFTP's.
    async fn diagnose_exit(&self, mut process: Child, stderr: &StderrTail, error: &sftp::Error) -> Diagnosis {
        if let sftp::Error::Connection(cause) = error {
            match cause.as_ref() {
                sftp::ConnectionError::NotSftp { first_bytes } => {
                    return diagnose_not_sftp(first_bytes, error_chain(cause.as_ref())).into();
                }
                sftp::ConnectionError::Version { .. } | sftp::ConnectionError::Protocol(_) => {
                    return Diagnosis::from(DeviceFailure::new(
                        FailureClass::Protocol,
                        error_chain(cause.as_ref()),
                    ));
                }
                _ => {}
            }
        }
        let end = async {
            let status = process.wait().await;
            stderr.ended().await;
            status
        };
        let status = timeout(EXIT_GRACE, end).await;
        let status = status.ok().and_then(Result::ok).and_then(|status| status.code());
        let diagnosis = diagnose(&stderr.text(), self.route.hops_before > 0, status);
        Diagnosis {
            hung_up_after_login: diagnosis.hung_up_after_login && self.has_logged_in.load(Ordering::Relaxed),
            ..diagnosis
        }
    }
}

/// Why there is no session.
enum HandshakeError {
    Silent(DeviceFailure),
    /// The SFTP stream ended.
    Ended(sftp::Error),
    /// The SFTP stream ended once a command was requested.
    EndedOverCommand(sftp::Error),
}

fn local(error: &std::io::Error) -> Diagnosis {
    resolve::local_failure("cannot start ssh", error).into()
}
