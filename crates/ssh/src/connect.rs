//! From a name to a session: start ssh, wait for the device's first words, find out what it can do.

mod attempt;

use std::collections::{HashMap, HashSet};
use std::path::{Path, absolute};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::ports::device::{ConnectHints, DeviceFailure, Devices};
use model::{DeviceName, FailureClass, SourcePath};

use crate::classify::Judgement;
use crate::configuration::{self, Following};
use crate::jump::{JumpConnection, Jumps};
use crate::pacing::Pacing;
use crate::process::Client;
use crate::resolve::{Route, route};
use crate::session::{Reconnect, SshSession};
use crate::target::{Compression, SshOptions, Target};
use crate::workplace::{SetupError, Workplace};
use attempt::{Attempt, Commands, Way};

/// How often a connection is tried that the other side's sshd hangs up on at once, because it has too many
/// unauthenticated ones (`MaxStartups`).
const TRIES: u32 = 4;
/// Before the second try; twice that before the third, and so on. Those that crowd the door need a second or two.
const PAUSE: Duration = Duration::from_millis(400);

/// The devices of a fleet, reached by the system's ssh.
#[derive(Debug)]
pub struct SshDevices {
    targets: HashMap<DeviceName, Target>,
    reach: Arc<Reach>,
}

/// What all connections have in common. The sessions share it: they may come to make a second one.
#[derive(Debug)]
struct Reach {
    routes: Mutex<HashMap<DeviceName, Route>>,
    pacing: Pacing,
    jumps: Jumps,
    /// One device alone would gain little by sharing a connection with itself, and its failures would be told later.
    shares_jumps: bool,
    client: Client,
    connect_timeout: Duration,
    workplace: Workplace,
    /// Those that hang up on the whole connection when a command is asked for beside SFTP.
    without_commands: Mutex<HashSet<DeviceName>>,
}

/// One device, to be connected to once more.
struct Again {
    reach: Arc<Reach>,
    target: Target,
}

impl SshDevices {
    /// Makes the private folder and writes ssh's configuration into it. Connects to nothing.
    ///
    /// The folder goes when this is dropped, and with it the last session.
    pub fn new(options: &SshOptions, targets: Vec<Target>) -> Result<Self, SetupError> {
        targets.iter().try_for_each(Target::check)?;
        let following = match &options.config {
            Some(path) => Following::File(readable(path)?),
            None => Following::UserAndSystem,
        };
        let version = version(&options.program)?;
        let workplace = Workplace::make(options.runtime_dir.as_deref())?;
        let text = configuration::text(&following, options.connect_timeout, version, &targets);
        workplace.write_configuration(&text)?;
        let reach = Reach {
            routes: Mutex::default(),
            pacing: Pacing::default(),
            jumps: Jumps::default(),
            shares_jumps: targets.len() > 1,
            client: Client {
                program: options.program.clone(),
                configuration: workplace.configuration(),
            },
            connect_timeout: options.connect_timeout,
            workplace,
            without_commands: Mutex::default(),
        };
        Ok(Self {
            targets: targets
                .into_iter()
                .map(|target| (target.name.clone(), target))
                .collect(),
            reach: Arc::new(reach),
        })
    }
}

impl Devices for SshDevices {
    type Session = SshSession;

    async fn connect(
        &self,
        device: &DeviceName,
        facts_for: &[SourcePath],
        hints: ConnectHints,
    ) -> Result<SshSession, DeviceFailure> {
        let Some(target) = self.targets.get(device) else {
            return Err(DeviceFailure {
                class: FailureClass::AliasUnknown,
                message: format!("no device is called {device}"),
                remedy: None,
            });
        };
        if hints.hangs_up_on_commands {
            self.reach.known_without_commands().insert(device.clone());
        }
        if !may_compress(target) {
            return self.reach.connect(target, facts_for).await;
        }
        if hints.compression_paid == Some(true) {
            match self.reach.connect(&compressed(target), facts_for).await {
                Ok(session) => return Ok(session.with_compression()),
                // It may be the compression that the device, or something on the way, cannot cope with.
                Err(failure) if failure.class == FailureClass::Protocol => {
                    tracing::debug!(device = %target.name, %failure, "not over a connection that compresses");
                }
                Err(failure) => return Err(failure),
            }
        }
        let session = self.reach.connect(target, facts_for).await?;
        Ok(session.with_second(Arc::new(Again {
            reach: Arc::clone(&self.reach),
            target: target.clone(),
        })))
    }
}

fn compressed(target: &Target) -> Target {
    Target {
        compression: Compression::Always,
        ..target.clone()
    }
}

/// Whether a second connection may be made. It would not know of the bandwidth that the first one uses.
fn may_compress(target: &Target) -> bool {
    target.compression == Compression::Auto && target.bandwidth.is_none()
}

impl Reconnect for Again {
    fn compressed(&self) -> Pin<Box<dyn Future<Output = Result<SshSession, DeviceFailure>> + Send>> {
        let reach = Arc::clone(&self.reach);
        let target = compressed(&self.target);
        Box::pin(async move { reach.connect(&target, &[]).await })
    }
}

impl Reach {
    /// Connects. A device that hangs up when it is asked for a command is asked for SFTP alone, from then on:
    /// but only after it has done so twice, the second time once SFTP had answered. A link that breaks must
    /// not cost the proofs that a shell gives.
    async fn connect(&self, target: &Target, facts_for: &[SourcePath]) -> Result<SshSession, DeviceFailure> {
        let mut commands = if self.known_without_commands().contains(&target.name) {
            Commands::Never
        } else {
            Commands::Beside
        };
        loop {
            let judgement = match Box::pin(self.connect_asking(target, facts_for, commands)).await {
                Ok(session) => return Ok(session),
                Err(judgement) => judgement,
            };
            commands = match commands {
                Commands::Beside if judgement.hung_up_after_login => Commands::AfterSftp,
                Commands::AfterSftp if judgement.hung_up_after_login => {
                    tracing::debug!(device = %target.name, failure = %judgement.failure, "hangs up over a command");
                    self.known_without_commands().insert(target.name.clone());
                    Commands::Never
                }
                _ => return Err(judgement.failure),
            };
        }
    }

    fn known_without_commands(&self) -> MutexGuard<'_, HashSet<DeviceName>> {
        self.without_commands.lock()
    }

    async fn connect_asking(
        &self,
        target: &Target,
        facts_for: &[SourcePath],
        commands: Commands,
    ) -> Result<SshSession, Judgement> {
        let route = self.route(target).await.map_err(attempt::only)?;
        let attempt = || Attempt {
            client: &self.client,
            target,
            route: &route,
            socket: self.workplace.socket(),
            connect_timeout: self.connect_timeout,
            facts_for,
            commands,
            is_in: AtomicBool::new(false),
        };
        let silence = match self.shared_jump(&route).await {
            None => None,
            Some(jump) => {
                let turn = self.pacing.turn_through(&route.first_hop).await;
                let way = Way::Shared {
                    jump: Arc::clone(&jump),
                    turn,
                };
                match attempt().run(way).await {
                    Ok(session) => return Ok(session),
                    Err(judgement) => {
                        jump.leave().await;
                        if judgement.hung_up_after_login || is_of_the_device(judgement.failure.class) {
                            return Err(judgement);
                        }
                        tracing::debug!(device = %target.name, failure = %judgement.failure, "not over the shared jump connection");
                        Some(judgement.failure).filter(|failure| failure.class == FailureClass::TimedOut)
                    }
                }
            }
        };
        let mut tries = 1;
        loop {
            let turn = self.pacing.turn(&route.first_hop).await;
            let silence = silence.clone();
            match attempt().run(Way::Own { turn, silence }).await {
                Ok(session) => return Ok(session),
                Err(judgement) if judgement.hung_up_at_once && tries < TRIES => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(judgement) => return Err(judgement),
            }
        }
    }

    /// The jump connection that a device shares with others, where there is one to be shared.
    async fn shared_jump(&self, route: &Route) -> Option<Arc<JumpConnection>> {
        let jump = route.jump.as_ref().filter(|_| self.shares_jumps)?;
        let open = Box::pin(async {
            let turn = self.pacing.turn(&route.first_hop).await;
            // To be reached, and to authenticate us; each hop before it takes as long.
            let patience = self.connect_timeout * (route.hops_before.min(8) + 1);
            JumpConnection::open(&self.client, jump, self.workplace.socket(), patience, turn).await
        });
        self.jumps.join(jump).connection(open).await
    }

    /// The way to a device; asked of ssh once.
    async fn route(&self, target: &Target) -> Result<Route, DeviceFailure> {
        let known = {
            let routes = self.routes.lock();
            routes.get(&target.name).cloned()
        };
        if let Some(route) = known {
            return Ok(route);
        }
        let found = route(&self.client, target).await?;
        let mut routes = self.routes.lock();
        routes.insert(target.name.clone(), found.clone());
        Ok(found)
    }
}

/// What only the device's own sshd, or ssh before it connects, can have said, however it was reached. Anything else may be the doing of the shared
/// jump connection.
fn is_of_the_device(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::HostKeyUnknown
            | FailureClass::HostKeyChanged
            | FailureClass::AuthenticationRefused
            | FailureClass::StartingUp
            | FailureClass::NoSftpServer
    )
}

/// The path, absolute: `Include` takes a relative one from `~/.ssh`, and keeps silent about a missing one.
fn readable(path: &Path) -> Result<std::path::PathBuf, SetupError> {
    let checked = std::fs::File::open(path).and_then(|_| absolute(path));
    checked.map_err(|cause| SetupError::Config {
        path: path.to_owned(),
        cause,
    })
}

/// Which version of OpenSSH this is, if it is one.
fn version(program: &Path) -> Result<Option<(u32, u32)>, SetupError> {
    let output = std::process::Command::new(program)
        .arg("-V")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|cause| SetupError::Program {
        program: program.to_owned(),
        cause,
    })?;
    Ok(configuration::version(&String::from_utf8_lossy(&output.stderr)))
}
