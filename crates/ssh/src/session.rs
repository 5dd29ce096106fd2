//! A session with one device: SFTP for what concerns files, the script for what SFTP cannot tell.

mod abilities;
mod causes;
mod channels;
mod confirm;
mod digest;
mod fault;
mod fetch;
mod inspect;
mod moving;
mod second;
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
use crate::lane::{Lane, LaneError, Lanes, Opener};
use crate::last_words::LastWords;
use crate::open_files::Login;
use crate::patience::LaneDebt;
use crate::script::anchored;
use crate::verdict::{Verdict, text_of};
pub(crate) use channels::Channel;
use channels::Channels;
pub(crate) use second::Reconnect;
use second::Second;
pub(crate) use supervise::stalled;
use views::Views;

/// How long a connection that has ended may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long an orderly end may take: the supervisor's patience with ssh, then with the guard, and some more.
const FAREWELL: Duration = Duration::from_secs(5);

/// A session over one ssh connection. Dropping it ends every process that was started for it.
#[derive(Debug)]
pub struct SshSession {
    files: sftp::Client,
    /// The same, and whatever else files are read over.
    channels: Channels,
    lanes: Option<Lanes>,
    dialect: Dialect,
    login: Login,
    abilities: Abilities,
    facts: DeviceFacts,
    stall_timeout: Duration,
    budget: sftp::Budget,
    /// The budget of small files that are read together; none where the device cannot, or where what it sends is metered.
    together: Option<Arc<Semaphore>>,
    renames_together: bool,
    /// None where it is said whether to compress, and in the second connection itself.
    second: Option<Second>,
    verdict: Verdict,
    received: Arc<AtomicU64>,
    views: Views,
    /// Folders known to be there, because this session has made them.
    made_folders: Mutex<HashSet<Vec<u8>>>,
    farewell: oneshot::Sender<()>,
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
pub(crate) struct Connected {
    pub(crate) through_jump: bool,
    pub(crate) jump: Option<Arc<JumpConnection>>,
    pub(crate) process: Child,
    pub(crate) words: LastWords,
    pub(crate) reached: Reached,
}

/// What is talked to, and how.
pub(crate) struct Reached {
    pub(crate) stall_timeout: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) files: sftp::Client,
    /// Or why there is none.
    pub(crate) shell: Result<(Opener, Lane, Facts), NoShell>,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) debt: Arc<LaneDebt>,
}

impl SshSession {
    pub(crate) async fn begin(
        guard: Guard,
        connected: Connected,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let verdict = Verdict::open();
        let (farewell, farewells) = oneshot::channel();
        let channels = Channels::new(connected.reached.files.clone());
        let supervisor = supervise::Supervised {
            guard,
            process: connected.process,
            words: connected.words,
            files: channels.clone(),
            owed: supervise::Owed {
                stall_timeout: connected.reached.stall_timeout,
                bandwidth: connected.reached.bandwidth,
                received: connected.reached.received.clone(),
                lanes: connected.reached.debt.clone(),
            },
            through_jump: connected.through_jump,
            jump: connected.jump,
        };
        let supervisor = Supervisor(tokio::spawn(supervisor.run(verdict.clone(), farewells)));
        Self::over(
            (connected.reached, channels),
            verdict,
            farewell,
            supervisor,
            facts_for,
        )
        .await
    }

    /// The session over what was reached, whoever watches over it.
    async fn over(
        (reached, channels): (Reached, Channels),
        verdict: Verdict,
        farewell: oneshot::Sender<()>,
        supervisor: Supervisor,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let (lanes, facts, no_shell) = match reached.shell {
            Ok((opener, lane, facts)) => (Some(Lanes::new(opener, lane, facts.clone())), facts, None),
            Err(why) => (None, Facts::default(), Some(why)),
        };
        // What is read over lanes is not metered.
        let reads_together = facts.dialect == Dialect::Gnu && facts.perl && reached.bandwidth.is_none();
        let mut session = Self {
            abilities: Abilities {
                reads_together,
                no_shell,
                ..abilities::of(&facts, &reached.files)
            },
            together: reads_together.then(together::budget),
            renames_together: facts.perl,
            views: Views::default(),
            second: None,
            dialect: facts.dialect,
            login: Login {
                user: facts.user,
                leases: facts.leases,
            },
            facts: DeviceFacts::default(),
            files: reached.files,
            channels,
            lanes: lanes.filter(|_| facts.dialect != Dialect::Mute),
            stall_timeout: reached.stall_timeout,
            budget: sftp::Budget::new(abilities::budget(reached.bandwidth)),
            verdict,
            received: reached.received,
            made_folders: Mutex::default(),
            farewell,
            supervisor,
        };
        if session.lanes.is_some() {
            let seen = facts
                .folders
                .iter()
                .map(|folder| folder.map(|folder| folder.modified));
            session.views = Views::of(
                &session.files,
                facts_for,
                (&seen.collect::<Vec<_>>(), facts.clock),
            );
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
        reached: Reached,
        facts_for: &[SourcePath],
    ) -> Result<Self, DeviceFailure> {
        let (farewell, farewells) = oneshot::channel();
        let supervisor = Supervisor(tokio::spawn(async move { drop(farewells.await) }));
        let channels = Channels::new(reached.files.clone());
        Self::over(
            (reached, channels),
            Verdict::open(),
            farewell,
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
        let told = self.verdict.unless_ended(self.files.statvfs(&path)).await?;
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
            return self.verdict.end(DeviceFailure {
                class: FailureClass::Protocol,
                message: text_of(cause.as_ref()),
                remedy: None,
            });
        }
        self.ended(text_of(error)).await
    }

    /// What the end of a lane means for the session: without its shell the device cannot prove what it proved before.
    async fn lane_lost(&self, error: LaneError) -> DeviceFailure {
        match error {
            LaneError::Silent(_) => self.verdict.end(self.stalled()),
            LaneError::Nonsense(_) | LaneError::Excess(_) => self.verdict.end(DeviceFailure {
                class: FailureClass::Protocol,
                message: text_of(&error),
                remedy: None,
            }),
            LaneError::OneSession | LaneError::Ended(_) | LaneError::Stream(_) => {
                self.ended(text_of(&error)).await
            }
        }
    }

    /// Waits a moment for ssh to end and say why; else the given words must do.
    async fn ended(&self, message: String) -> DeviceFailure {
        match timeout(LAST_WORDS, self.verdict.ended()).await {
            Ok(failure) => failure,
            Err(_) => self.verdict.end(DeviceFailure {
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
            channels,
            lanes,
            second,
            farewell,
            mut supervisor,
            ..
        } = self;
        Box::pin(async move {
            let end_second = async {
                if let Some(second) = second {
                    second.close().await;
                }
            };
            let end_first = async {
                // The ends of the scripts' and of SFTP's input, and then of the connection: what runs on the device ends with it.
                drop((lanes, files, channels));
                farewell.send(()).ok();
                timeout(FAREWELL, &mut supervisor.0).await.ok();
            };
            tokio::join!(end_first, end_second);
        })
    }
}

impl Session for SshSession {
    fn abilities(&self) -> Abilities {
        match self.views.differ() {
            true => abilities::by_sftp_alone(self.abilities),
            false => self.abilities,
        }
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        self.verdict.unless_ended(self.list(source, items)).await?
    }

    fn has_ended(&self) -> bool {
        self.verdict.has_ended()
    }

    fn has_early_listing(&self, source: &SourcePath) -> bool {
        let lanes = self.shell().filter(|_| self.dialect.lists());
        lanes.is_some_and(|lanes| lanes.bring_listing_of(source))
    }

    async fn rename(&self, source: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        self.verdict.unless_ended(self.move_all(source, moves)).await?
    }

    async fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        self.verdict.unless_ended(self.look_at(source, paths)).await?
    }

    async fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        self.verdict.unless_ended(self.confirm_all(source, files)).await?
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
        self.verdict.unless_ended(fetched).await?
    }

    async fn fetch_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        self.verdict
            .unless_ended(self.read_together(source, files))
            .await?
    }

    async fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        self.verdict
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
        self.verdict.unless_ended(removed).await?
    }

    fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.second.as_ref().map_or(0, Second::received)
    }

    fn compression_paid(&self) -> Option<bool> {
        self.has_compression_paid()
    }

    async fn close(self) {
        self.end().await;
    }
}
