//! Begins a session over the channels that an attempt has opened.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use engine::ports::device::{Abilities, DeviceFacts, DeviceFailure, DiskUse, NoShell, Session as _};
use model::SourcePath;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::failures::Failures;
use super::sftp::SftpFiles;
use super::sftp_channels::SftpChannels;
use super::shell::{ShellFiles, stream};
use super::supervise::{ConnectionWatch, StallWatch};
use super::views::Views;
use super::{SshSession, abilities};
use crate::facts::{Dialect, Facts};
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::open_files::Login;
use crate::script::anchored;
use crate::session_end::SessionEnd;
use crate::shell_channel::{Shell, ShellPool};
use crate::stall::PendingReplies;
use crate::stderr_tail::StderrTail;

/// The task that owns the processes. They end with it.
#[derive(Debug)]
pub(super) struct Supervisor(pub(super) JoinHandle<()>);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A successful attempt to connect.
pub(crate) struct Connection {
    pub(crate) through_jump: bool,
    pub(crate) jump: Option<Arc<JumpConnection>>,
    pub(crate) process: Child,
    pub(crate) stderr: StderrTail,
    pub(crate) transport: Transport,
}

/// The channels to the device, and their limits.
pub(crate) struct Transport {
    pub(crate) stall_timeout: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) files: sftp::Client,
    /// Or why there is no shell.
    pub(crate) shell: Result<Shell, NoShell>,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) pending: Arc<PendingReplies>,
}

impl SshSession {
    pub(crate) async fn begin(
        guard: Guard,
        connection: Connection,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let session_end = SessionEnd::open();
        let (shutdown, shutdown_requested) = oneshot::channel();
        let sftp_channels = SftpChannels::new(connection.transport.files.clone());
        let watch = ConnectionWatch {
            guard,
            process: connection.process,
            stderr: connection.stderr,
            files: sftp_channels.clone(),
            stall_watch: StallWatch {
                stall_timeout: connection.transport.stall_timeout,
                bandwidth: connection.transport.bandwidth,
                received: connection.transport.received.clone(),
                shells: connection.transport.pending.clone(),
            },
            through_jump: connection.through_jump,
            jump: connection.jump,
        };
        let supervisor = Supervisor(tokio::spawn(watch.run(session_end.clone(), shutdown_requested)));
        Self::over(
            connection.transport,
            sftp_channels,
            session_end,
            shutdown,
            supervisor,
            facts_for,
        )
        .await
    }

    /// The session over this transport.
    async fn over(
        transport: Transport,
        channels: SftpChannels,
        session_end: SessionEnd,
        shutdown: oneshot::Sender<()>,
        supervisor: Supervisor,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let failures = Failures {
            session_end,
            stall_timeout: transport.stall_timeout,
        };
        let (facts, no_shell) = match &transport.shell {
            Ok(shell) => (shell.facts.clone(), None),
            Err(why) => (Facts::default(), Some(*why)),
        };
        // Reads over shell channels are not limited in rate.
        let reads_together = facts.dialect == Dialect::Gnu && facts.perl && transport.bandwidth.is_none();
        let sftp = Arc::new(SftpFiles::new(transport.files, facts.user, failures.clone()));
        let shell = transport
            .shell
            .ok()
            .filter(|_| facts.dialect != Dialect::Unsupported);
        let views = Arc::new(match &shell {
            Some(_) => views_while_connecting(&sftp, facts_for, &facts),
            None => Views::default(),
        });
        let mut session = Self {
            abilities: Abilities {
                reads_together,
                no_shell,
                ..abilities::of(&facts, &sftp.client)
            },
            shell: shell.map(|shell| ShellFiles {
                pool: ShellPool::new(shell.factory, shell.first, shell.facts),
                dialect: facts.dialect,
                login: Login {
                    user: facts.user,
                    read_leases: facts.read_leases,
                },
                has_perl: facts.perl,
                digests: facts.digests.is_some(),
                small_files_budget: reads_together.then(stream::budget),
                sftp: Arc::clone(&sftp),
                views: Arc::clone(&views),
                failures: failures.clone(),
            }),
            sftp,
            channels,
            compressed_connection: None,
            facts: DeviceFacts::default(),
            budget: sftp::Budget::new(abilities::budget(transport.bandwidth)),
            failures,
            received: transport.received,
            views,
            shutdown,
            supervisor,
        };
        match session.device_facts(facts, facts_for).await {
            Ok(facts) => session.facts = facts,
            Err(failure) => {
                // If the session was only dropped, its guard would take longer to end.
                session.close().await;
                return Err(failure);
            }
        }
        Ok(session)
    }

    /// A session without a process. It ends when it is dropped.
    #[cfg(feature = "fuzzing")]
    pub(crate) async fn without_process(
        transport: Transport,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let (shutdown, shutdown_requested) = oneshot::channel();
        let supervisor = Supervisor(tokio::spawn(async move { drop(shutdown_requested.await) }));
        let sftp_channels = SftpChannels::new(transport.files.clone());
        Self::over(
            transport,
            sftp_channels,
            SessionEnd::open(),
            shutdown,
            supervisor,
            facts_for,
        )
        .await
    }

    async fn device_facts(&self, facts: Facts, sources: &[SourcePath]) -> Result<DeviceFacts, DeviceFailure> {
        let mut disk_facts = facts.disks.into_iter();
        let mut folder_facts = facts.folders.into_iter();
        let (mut disks, mut folders) = (Vec::new(), Vec::new());
        for source in sources {
            let folder = folder_facts.next().flatten();
            folders.push((source.clone(), folder.map(|folder| folder.numbers)));
            let disk = match disk_facts.next().flatten() {
                Some(disk) => Some(disk),
                None => self.disk_by_sftp(source).await?,
            };
            disks.push((source.clone(), disk));
        }
        Ok(DeviceFacts {
            clock: facts.clock,
            boot_id: facts.boot_id,
            uptime: facts.uptime,
            disks,
            folders,
        })
    }

    async fn disk_by_sftp(&self, source: &SourcePath) -> Result<Option<DiskUse>, DeviceFailure> {
        if !self.sftp.client.supports(sftp::codec::names::STATVFS) {
            return Ok(None);
        }
        let path = anchored(source.as_bytes());
        let reply = self
            .failures
            .session_end
            .unless_ended(self.sftp.client.statvfs(&path))
            .await?;
        match reply {
            Ok(room) => Ok(Some(DiskUse {
                total: room.total_bytes(),
                available: room.available_bytes(),
            })),
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(self.failures.of_sftp(&error).await),
        }
    }
}

/// The views of the shell and of SFTP on the sources, as both saw them while connecting.
fn views_while_connecting(sftp: &SftpFiles, sources: &[SourcePath], facts: &Facts) -> Views {
    let modified = facts.folders.iter();
    let modified: Vec<_> = modified
        .map(|folder| folder.map(|folder| folder.modified))
        .collect();
    Views::of(&sftp.client, sources, &modified, facts.clock)
}
