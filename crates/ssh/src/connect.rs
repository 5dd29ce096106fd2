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

use crate::classify::Diagnosis;
use crate::configuration::{self, BaseConfiguration};
use crate::jump::{JumpConnection, JumpConnections};
use crate::pacing::ConnectPacing;
use crate::process::SshCommand;
use crate::resolve::{Route, route};
use crate::runtime_dir::{RuntimeDir, SetupError};
use crate::session::{Reconnect, SshSession};
use crate::target::{Compression, SshOptions, Target};
use attempt::{Attempt, ConnectVia, ShellPolicy};

/// How often a connection is tried that the other side's sshd hangs up on at once, because it has too many
/// unauthenticated ones (`MaxStartups`).
const MAX_TRIES: u32 = 4;
/// Before the second try; twice that before the third, and so on. Those that crowd the door need a second or two.
const RETRY_PAUSE: Duration = Duration::from_millis(400);

/// The devices of a fleet, reached by the system's ssh.
#[derive(Debug)]
pub struct SshDevices {
    targets: HashMap<DeviceName, Target>,
    connector: Arc<Connector>,
}

/// What all connections have in common. The sessions share it: they may come to make a second one.
#[derive(Debug)]
struct Connector {
    routes: Mutex<HashMap<DeviceName, Route>>,
    pacing: ConnectPacing,
    jumps: JumpConnections,
    /// One device alone would gain little by sharing a connection with itself, and its failures would be told later.
    shares_jumps: bool,
    client: SshCommand,
    connect_timeout: Duration,
    runtime_dir: RuntimeDir,
    /// Those that hang up on the whole connection when a command is asked for beside SFTP.
    devices_without_shell: Mutex<HashSet<DeviceName>>,
}

/// One device, to be connected to once more.
struct Reconnector {
    connector: Arc<Connector>,
    target: Target,
}

impl SshDevices {
    /// Makes the private folder and writes ssh's configuration into it. Connects to nothing.
    ///
    /// The folder goes when this is dropped, and with it the last session.
    pub fn new(options: &SshOptions, targets: Vec<Target>) -> Result<Self, SetupError> {
        targets.iter().try_for_each(Target::check)?;
        let base = match &options.config {
            Some(path) => BaseConfiguration::File(readable(path)?),
            None => BaseConfiguration::UserAndSystem,
        };
        let version = version(&options.program)?;
        let runtime_dir = RuntimeDir::create(options.runtime_dir.as_deref())?;
        let text = configuration::text(&base, options.connect_timeout, version, &targets);
        runtime_dir.write_configuration(&text)?;
        let connector = Connector {
            routes: Mutex::default(),
            pacing: ConnectPacing::default(),
            jumps: JumpConnections::default(),
            shares_jumps: targets.len() > 1,
            client: SshCommand {
                program: options.program.clone(),
                configuration: runtime_dir.configuration(),
            },
            connect_timeout: options.connect_timeout,
            runtime_dir,
            devices_without_shell: Mutex::default(),
        };
        Ok(Self {
            targets: targets
                .into_iter()
                .map(|target| (target.name.clone(), target))
                .collect(),
            connector: Arc::new(connector),
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
            self.connector.devices_without_shell().insert(device.clone());
        }
        if !may_add_compression(target) {
            return self.connector.connect(target, facts_for).await;
        }
        if hints.compression_paid == Some(true) {
            match self.connector.connect(&with_compression(target), facts_for).await {
                Ok(session) => return Ok(session.with_own_compression()),
                // It may be the compression that the device, or something on the way, cannot cope with.
                Err(failure) if failure.class == FailureClass::Protocol => {
                    tracing::debug!(device = %target.name, %failure, "not over a connection that compresses");
                }
                Err(failure) => return Err(failure),
            }
        }
        let session = self.connector.connect(target, facts_for).await?;
        Ok(session.with_compressed_connection(Arc::new(Reconnector {
            connector: Arc::clone(&self.connector),
            target: target.clone(),
        })))
    }
}

fn with_compression(target: &Target) -> Target {
    Target {
        compression: Compression::Always,
        ..target.clone()
    }
}

/// Whether a second connection may be made. It would not know of the bandwidth that the first one uses.
fn may_add_compression(target: &Target) -> bool {
    target.compression == Compression::Auto && target.bandwidth.is_none()
}

impl Reconnect for Reconnector {
    fn compressed(&self) -> Pin<Box<dyn Future<Output = Result<SshSession, DeviceFailure>> + Send>> {
        let connector = Arc::clone(&self.connector);
        let target = with_compression(&self.target);
        Box::pin(async move { connector.connect(&target, &[]).await })
    }
}

impl Connector {
    /// Connects. A device that hangs up when it is asked for a command is asked for SFTP alone, from then on:
    /// but only after it has done so twice, the second time once SFTP had answered. A link that breaks must
    /// not cost the proofs that a shell gives.
    async fn connect(&self, target: &Target, facts_for: &[SourcePath]) -> Result<SshSession, DeviceFailure> {
        let mut shell_policy = if self.devices_without_shell().contains(&target.name) {
            ShellPolicy::Never
        } else {
            ShellPolicy::WithSftp
        };
        loop {
            let diagnosis = match Box::pin(self.connect_with(target, facts_for, shell_policy)).await {
                Ok(session) => return Ok(session),
                Err(diagnosis) => diagnosis,
            };
            shell_policy = match shell_policy {
                ShellPolicy::WithSftp if diagnosis.hung_up_after_login => ShellPolicy::AfterSftp,
                ShellPolicy::AfterSftp if diagnosis.hung_up_after_login => {
                    tracing::debug!(device = %target.name, failure = %diagnosis.failure, "hangs up over a command");
                    self.devices_without_shell().insert(target.name.clone());
                    ShellPolicy::Never
                }
                _ => return Err(diagnosis.failure),
            };
        }
    }

    fn devices_without_shell(&self) -> MutexGuard<'_, HashSet<DeviceName>> {
        self.devices_without_shell.lock()
    }

    async fn connect_with(
        &self,
        target: &Target,
        facts_for: &[SourcePath],
        shell_policy: ShellPolicy,
    ) -> Result<SshSession, Diagnosis> {
        let route = self.route(target).await.map_err(Diagnosis::from)?;
        let attempt = || Attempt {
            client: &self.client,
            target,
            route: &route,
            socket: self.runtime_dir.socket(),
            connect_timeout: self.connect_timeout,
            facts_for,
            shell_policy,
            has_logged_in: AtomicBool::new(false),
        };
        let silence = match self.shared_jump(&route).await {
            None => None,
            Some(jump) => {
                let permit = self.pacing.permit_through(&route.first_hop).await;
                let via = ConnectVia::SharedJump {
                    jump: Arc::clone(&jump),
                    permit,
                };
                match attempt().run(via).await {
                    Ok(session) => return Ok(session),
                    Err(diagnosis) => {
                        jump.leave().await;
                        if diagnosis.hung_up_after_login || is_of_the_device(diagnosis.failure.class) {
                            return Err(diagnosis);
                        }
                        tracing::debug!(device = %target.name, failure = %diagnosis.failure, "not over the shared jump connection");
                        Some(diagnosis.failure).filter(|failure| failure.class == FailureClass::TimedOut)
                    }
                }
            }
        };
        let mut tries = 1;
        loop {
            let permit = self.pacing.permit(&route.first_hop).await;
            let silence = silence.clone();
            match attempt().run(ConnectVia::Configuration { permit, silence }).await {
                Ok(session) => return Ok(session),
                Err(diagnosis) if diagnosis.hung_up_at_once && tries < MAX_TRIES => {
                    tokio::time::sleep(RETRY_PAUSE * tries).await;
                    tries += 1;
                }
                Err(diagnosis) => return Err(diagnosis),
            }
        }
    }

    /// The jump connection that a device shares with others, where there is one to be shared.
    async fn shared_jump(&self, route: &Route) -> Option<Arc<JumpConnection>> {
        let jump = route.jump.as_ref().filter(|_| self.shares_jumps)?;
        let open = Box::pin(async {
            let permit = self.pacing.permit(&route.first_hop).await;
            // To be reached, and to authenticate us; each hop before it takes as long.
            let timeout = self.connect_timeout * (route.hops_before.min(8) + 1);
            JumpConnection::open(&self.client, jump, self.runtime_dir.socket(), timeout, permit).await
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
