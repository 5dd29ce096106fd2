//! From a name to a session: starts ssh, waits for the device's first reply, finds out the device's
//! abilities.

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

/// How often to try a connection on which the other side's sshd hangs up at once, because it has too many
/// unauthenticated ones (`MaxStartups`).
const MAX_TRIES: u32 = 4;
/// The pause before the second try; twice that before the third, and so on. A crowd of logins takes a second
/// or two.
const RETRY_PAUSE: Duration = Duration::from_millis(400);

/// The devices of a fleet, reached by the system's ssh.
#[derive(Debug)]
pub struct SshDevices {
    targets: HashMap<DeviceName, Target>,
    connector: Arc<Connector>,
}

/// What all connections have in common. Sessions share it, because they may open a second connection.
#[derive(Debug)]
struct Connector {
    routes: Mutex<HashMap<DeviceName, Route>>,
    pacing: ConnectPacing,
    jumps: JumpConnections,
    /// False for a single device. It would gain little from a shared connection, and its failures would be
    /// reported later.
    shares_jumps: bool,
    client: SshCommand,
    connect_timeout: Duration,
    runtime_dir: RuntimeDir,
    /// Devices that end the whole connection when asked for a command beside SFTP.
    devices_without_shell: Mutex<HashSet<DeviceName>>,
}

/// Connects to one device once more.
struct Reconnector {
    connector: Arc<Connector>,
    target: Target,
}

impl SshDevices {
    /// Creates the private folder and writes ssh's configuration into it. Connects to nothing.
    ///
    /// The folder is removed when this value and the last session are dropped.
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
            return Err(DeviceFailure::new(
                FailureClass::AliasUnknown,
                format!("no device is called {device}"),
            ));
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
                // The device, or something on the way, may not cope with compression.
                Err(failure) if failure.class == FailureClass::Protocol => {
                    tracing::debug!(device = %target.name, %failure, "a compressed connection failed");
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

/// Whether a second connection may be opened. It would ignore the bandwidth that the first one uses.
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
    /// Connects. If a device hangs up twice when asked for a command, the second time after SFTP has
    /// answered, gleaner asks it for SFTP alone from then on. Once is not enough: a link that breaks must not
    /// cost the proofs that a shell gives.
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
                    tracing::debug!(device = %target.name, failure = %diagnosis.failure, "hangs up when asked for a command");
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
                        tracing::debug!(device = %target.name, failure = %diagnosis.failure, "the shared jump connection failed");
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

    /// The jump connection that the device shares with others, if there is one.
    async fn shared_jump(&self, route: &Route) -> Option<Arc<JumpConnection>> {
        let jump = route.jump.as_ref().filter(|_| self.shares_jumps)?;
        let open = Box::pin(async {
            let permit = self.pacing.permit(&route.first_hop).await;
            // The time to connect and to authenticate; each hop before it takes as long.
            let timeout = self.connect_timeout * (route.hops_before.min(8) + 1);
            JumpConnection::open(&self.client, jump, self.runtime_dir.socket(), timeout, permit).await
        });
        self.jumps.join(jump).connection(open).await
    }

    /// The route to a device. ssh is asked for it once.
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

/// Failures that only the device's own sshd can cause, or ssh before it connects, whatever the route. Any
/// other may be the fault of the shared jump connection.
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

/// The absolute path of a readable file. `Include` takes a relative one from `~/.ssh`, and ignores a missing
/// one silently.
fn readable(path: &Path) -> Result<std::path::PathBuf, SetupError> {
    let checked = std::fs::File::open(path).and_then(|_| absolute(path));
    checked.map_err(|cause| SetupError::Config {
        path: path.to_owned(),
        cause,
    })
}

/// The version of OpenSSH, if the program is one.
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
