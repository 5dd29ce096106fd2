//! A session with one device: SFTP for what concerns files, the script for what SFTP cannot tell.

mod abilities;
mod causes;
mod compressed;
mod confirm;
mod digest;
mod fault;
mod fetch;
mod inspect;
mod moving;
mod sftp_channels;
mod supervise;
mod survey;
mod together;
mod trial;
mod views;
mod withdraw;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use engine::ports::device::{
    Abilities, ChunkSender, ConfirmResult, DeviceFacts, DeviceFailure, DigestRequest, DiskUse, FileFault,
    InspectResult, ListingEnd, Move, NoShell, RenameResult, Session, SmallFileRequest, SurveySender,
};
use model::{Digest, FailureClass, Identity, RelativePath, SourcePath};
use tokio::process::Child;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::facts::{Dialect, Facts};
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::open_files::Login;
use crate::script::anchored;
use crate::session_end::SessionEnd;
use crate::shell_channel::{Shell, ShellError, ShellPool};
use crate::stall::PendingReplies;
use crate::stderr_tail::StderrTail;
use compressed::CompressedConnection;
pub(crate) use compressed::Reconnect;
use engine::recourse::error_chain;
pub(crate) use sftp_channels::SftpChannel;
use sftp_channels::SftpChannels;
pub(crate) use supervise::stalled;
use views::Views;

/// How long a connection that has ended may take to say why.
const END_REASON_GRACE: Duration = Duration::from_secs(3);
/// How long an orderly end may take: the supervisor's patience with ssh, then with the guard, and some more.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A session over one ssh connection. Dropping it ends every process that was started for it.
#[derive(Debug)]
pub struct SshSession {
    files: sftp::Client,
    /// The same, and whatever else files are read over.
    sftp_channels: SftpChannels,
    pool: Option<ShellPool>,
    dialect: Dialect,
    login: Login,
    abilities: Abilities,
    facts: DeviceFacts,
    stall_timeout: Duration,
    budget: sftp::Budget,
    /// The budget of small files that are read together; none where the device cannot, or where what it sends is metered.
    small_files_budget: Option<Arc<Semaphore>>,
    has_perl: bool,
    /// None where it is said whether to compress, and in the second connection itself.
    compressed_connection: Option<CompressedConnection>,
    session_end: SessionEnd,
    received: Arc<AtomicU64>,
    views: Views,
    /// Folders known to be there, because this session has made them.
    made_folders: Mutex<HashSet<Vec<u8>>>,
    shutdown: oneshot::Sender<()>,
    supervisor: Supervisor,
}

/// The task that owns the processes: they end with it.
#[derive(Debug)]
struct Supervisor(JoinHandle<()>);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a successful attempt has made.
pub(crate) struct Connection {
    pub(crate) through_jump: bool,
    pub(crate) jump: Option<Arc<JumpConnection>>,
    pub(crate) process: Child,
    pub(crate) stderr: StderrTail,
    pub(crate) transport: Transport,
}

/// What is talked to, and how.
pub(crate) struct Transport {
    pub(crate) stall_timeout: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) files: sftp::Client,
    /// Or why there is none.
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
        let supervisor = supervise::ConnectionWatch {
            guard,
            process: connection.process,
            stderr: connection.stderr,
            files: sftp_channels.clone(),
            stall_watch: supervise::StallWatch {
                stall_timeout: connection.transport.stall_timeout,
                bandwidth: connection.transport.bandwidth,
                received: connection.transport.received.clone(),
                shells: connection.transport.pending.clone(),
            },
            through_jump: connection.through_jump,
            jump: connection.jump,
        };
        let supervisor = Supervisor(tokio::spawn(
            supervisor.run(session_end.clone(), shutdown_requested),
        ));
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

    /// The session over what was reached, whoever watches over it.
    async fn over(
        transport: Transport,
        sftp_channels: SftpChannels,
        session_end: SessionEnd,
        shutdown: oneshot::Sender<()>,
        supervisor: Supervisor,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let (pool, facts, no_shell) = match transport.shell {
            Ok(shell) => (
                Some(ShellPool::new(shell.factory, shell.first, shell.facts.clone())),
                shell.facts,
                None,
            ),
            Err(why) => (None, Facts::default(), Some(why)),
        };
        // What is read over lanes is not metered.
        let reads_together = facts.dialect == Dialect::Gnu && facts.perl && transport.bandwidth.is_none();
        let mut session = Self {
            abilities: Abilities {
                reads_together,
                no_shell,
                ..abilities::of(&facts, &transport.files)
            },
            small_files_budget: reads_together.then(together::budget),
            has_perl: facts.perl,
            views: Views::default(),
            compressed_connection: None,
            dialect: facts.dialect,
            login: Login {
                user: facts.user,
                leases: facts.leases,
            },
            facts: DeviceFacts::default(),
            files: transport.files,
            sftp_channels,
            pool: pool.filter(|_| facts.dialect != Dialect::Unsupported),
            stall_timeout: transport.stall_timeout,
            budget: sftp::Budget::new(abilities::budget(transport.bandwidth)),
            session_end,
            received: transport.received,
            made_folders: Mutex::default(),
            shutdown,
            supervisor,
        };
        if session.pool.is_some() {
            let seen = facts
                .folders
                .iter()
                .map(|folder| folder.map(|folder| folder.modified));
            session.views = Views::of(&session.files, facts_for, &seen.collect::<Vec<_>>(), facts.clock);
        }
        match session.device_facts(facts, facts_for).await {
            Ok(facts) => session.facts = facts,
            Err(failure) => {
                // Dropped, it would leave its guard to end by itself.
                session.close().await;
                return Err(failure);
            }
        }
        Ok(session)
    }

    /// A session that no process stands behind: it ends when it is dropped.
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
        let mut told = facts.disks.into_iter();
        let mut seen = facts.folders.into_iter();
        let (mut disks, mut folders) = (Vec::new(), Vec::new());
        for source in sources {
            let folder = seen.next().flatten();
            folders.push((source.clone(), folder.map(|folder| folder.numbers)));
            let disk = match told.next().flatten() {
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
        if !self.files.supports(sftp::codec::names::STATVFS) {
            return Ok(None);
        }
        let path = anchored(source.as_bytes());
        let told = self.session_end.unless_ended(self.files.statvfs(&path)).await?;
        match told {
            Ok(told) => Ok(Some(DiskUse {
                total: told.total_bytes(),
                available: told.available_bytes(),
            })),
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(self.lost(&error).await),
        }
    }

    /// The path of a file as SFTP and the script take it.
    fn path(source: &SourcePath, path: &RelativePath) -> Vec<u8> {
        anchored(&source.join(path))
    }

    /// What an SFTP error that ended the connection means for the session.
    async fn lost(&self, error: &sftp::Error) -> DeviceFailure {
        if let sftp::Error::Connection(cause) = error
            && matches!(cause.as_ref(), sftp::ConnectionError::Protocol(_))
        {
            return self.session_end.end(DeviceFailure {
                class: FailureClass::Protocol,
                message: error_chain(cause.as_ref()),
                remedy: None,
            });
        }
        self.ended(error_chain(error)).await
    }

    /// What the end of a lane means for the session: without its shell the device cannot prove what it proved before.
    async fn shell_lost(&self, error: ShellError) -> DeviceFailure {
        match error {
            ShellError::Stalled(_) => self.session_end.end(self.stalled()),
            ShellError::Unexpected(_) | ShellError::Excess(_) => self.session_end.end(DeviceFailure {
                class: FailureClass::Protocol,
                message: error_chain(&error),
                remedy: None,
            }),
            ShellError::SessionLimit | ShellError::Ended(_) | ShellError::Stream(_) => {
                self.ended(error_chain(&error)).await
            }
        }
    }

    /// Waits a moment for ssh to end and say why; else the given words must do.
    async fn ended(&self, message: String) -> DeviceFailure {
        match timeout(END_REASON_GRACE, self.session_end.ended()).await {
            Ok(failure) => failure,
            Err(_) => self.session_end.end(DeviceFailure {
                class: FailureClass::Protocol,
                message,
                remedy: None,
            }),
        }
    }

    fn stalled(&self) -> DeviceFailure {
        stalled(self.stall_timeout)
    }

    /// Ends both connections in order. Boxed, because the second one is a session, too.
    fn end(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self {
            files,
            sftp_channels,
            pool,
            compressed_connection,
            shutdown,
            mut supervisor,
            ..
        } = self;
        Box::pin(async move {
            let end_compressed = async {
                if let Some(compressed_connection) = compressed_connection {
                    compressed_connection.close().await;
                }
            };
            let end_main = async {
                // The ends of the scripts' and of SFTP's input, and then of the connection: what runs on the device ends with it.
                drop((pool, files, sftp_channels));
                shutdown.send(()).ok();
                timeout(SHUTDOWN_GRACE, &mut supervisor.0).await.ok();
            };
            tokio::join!(end_main, end_compressed);
        })
    }
}

impl Session for SshSession {
    fn abilities(&self) -> Abilities {
        if self.views.differ() {
            abilities::by_sftp_alone(self.abilities)
        } else {
            self.abilities
        }
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        self.session_end.unless_ended(self.list(source, items)).await?
    }

    fn has_ended(&self) -> bool {
        self.session_end.has_ended()
    }

    fn has_early_listing(&self, source: &SourcePath) -> bool {
        let pool = self.shell().filter(|_| self.dialect.lists());
        pool.is_some_and(|pool| pool.has_early_listing(source))
    }

    async fn rename(&self, source: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        self.session_end
            .unless_ended(self.rename_all(source, moves))
            .await?
    }

    async fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        self.session_end
            .unless_ended(self.inspect_all(source, paths))
            .await?
    }

    async fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        self.session_end
            .unless_ended(self.confirm_all(source, files))
            .await?
    }

    async fn fetch(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let fetched = self.read_file(source, path, offset, expected_size, chunks);
        self.session_end.unless_ended(fetched).await?
    }

    async fn fetch_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        self.session_end
            .unless_ended(self.read_together(source, files))
            .await?
    }

    async fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        self.session_end
            .unless_ended(self.digest_all(source, requests))
            .await?
    }

    async fn remove(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let removed = self.remove_all(source, files, folders);
        self.session_end.unless_ended(removed).await?
    }

    fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
            + self
                .compressed_connection
                .as_ref()
                .map_or(0, CompressedConnection::received)
    }

    fn compression_paid(&self) -> Option<bool> {
        self.has_compression_paid()
    }

    async fn close(self) {
        self.end().await;
    }
}
