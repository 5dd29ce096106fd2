//! A session with one device. SFTP reads files; the script does what SFTP cannot do, or does slowly.

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

/// How long a connection that has ended may take to report why.
const END_REASON_GRACE: Duration = Duration::from_secs(3);
/// How long an orderly end may take: the supervisor's grace for ssh, then for the guard, and some more.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A session over one ssh connection. Dropping it ends every process that was started for it.
#[derive(Debug)]
pub struct SshSession {
    files: sftp::Client,
    /// `files`, and a second SFTP channel if one was opened.
    sftp_channels: SftpChannels,
    pool: Option<ShellPool>,
    dialect: Dialect,
    login: Login,
    abilities: Abilities,
    facts: DeviceFacts,
    stall_timeout: Duration,
    budget: sftp::Budget,
    /// Limits the bytes of small files that are read together and not consumed yet. `None` if the device
    /// cannot read them together, or if its rate is limited.
    small_files_budget: Option<Arc<Semaphore>>,
    has_perl: bool,
    /// `None` where the configuration says whether to compress, and in the compressed connection itself.
    compressed_connection: Option<CompressedConnection>,
    session_end: SessionEnd,
    received: Arc<AtomicU64>,
    views: Views,
    /// Folders that this session has made, and that therefore exist.
    made_folders: Mutex<HashSet<Vec<u8>>>,
    shutdown: oneshot::Sender<()>,
    supervisor: Supervisor,
}

/// The task that owns the processes. They end with it.
#[derive(Debug)]
struct Supervisor(JoinHandle<()>);

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

    /// The session over this transport.
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
        // Reads over shell channels are not limited in rate.
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
            let modified = facts
                .folders
                .iter()
                .map(|folder| folder.map(|folder| folder.modified));
            session.views = Views::of(
                &session.files,
                facts_for,
                &modified.collect::<Vec<_>>(),
                facts.clock,
            );
        }
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
        if !self.files.supports(sftp::codec::names::STATVFS) {
            return Ok(None);
        }
        let path = anchored(source.as_bytes());
        let reply = self.session_end.unless_ended(self.files.statvfs(&path)).await?;
        match reply {
            Ok(room) => Ok(Some(DiskUse {
                total: room.total_bytes(),
                available: room.available_bytes(),
            })),
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(self.lost(&error).await),
        }
    }

    /// The path of a file as SFTP and the script take it.
    fn path(source: &SourcePath, path: &RelativePath) -> Vec<u8> {
        anchored(&source.join(path))
    }

    /// The failure of the session after an SFTP error that ended the connection.
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

    /// The failure of the session after a shell channel has failed. Without its shell, the device can no
    /// longer prove what it proved before.
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

    /// Waits a moment for ssh to end and report why. If it does not, the failure has this message.
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

    /// Ends both connections in order. Boxed, because the compressed one is a session too.
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
                // Closes the inputs of the scripts and of SFTP, then the connection: what runs on the device
                // ends with it.
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
