//! The real world of the engine: OpenSSH, a directory, `SQLite`, the system's clock.

use std::sync::Arc;

use engine::placement;
use engine::ports::{LedgerError, Store, StoreError};
use engine::rules::{DeviceRules, ReleaseRule, Rules};
use engine::world::World;
use ledger::{OpenOptions, SqliteLedger};
use model::Timestamp;
use ssh::{Compression, SshDevices, SshOptions, Target};
use storage::{DirectoryStore, Executor, Settings, StoreFolder, SystemDisk};

use crate::config::meant::{self, Bandwidth, Compress, Names, Release};
use crate::report::SweepReporter;
use crate::{Config, ExitStatus, Failure};

/// Store, ledger, devices, clock and reporter of one process.
#[derive(Debug)]
pub struct Home {
    devices: SshDevices,
    store: DirectoryStore<SystemDisk>,
    ledger: SqliteLedger,
    clock: SystemClock,
    reporter: SweepReporter,
}

impl Home {
    /// Opens the store, then the ledger, and sees that they belong together. Nothing is touched unless both are fit.
    ///
    /// A ledger that is not there is made, under the id that this machine's ledger at that place had before, if the store remembers one: what
    /// a lost ledger left withdrawn on devices is ours again.
    pub async fn open(config: &Config, reporter: SweepReporter) -> Result<Self, Failure> {
        let clock = SystemClock;
        let now = engine::ports::Clock::now(&clock);
        let folder = StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, None)
            .map_err(store_failure)?;
        let machine = std::fs::read_to_string("/etc/machine-id").ok();
        let lost = match config.ledger.try_exists() {
            Ok(false) => folder
                .find_lost_ledger(machine.as_deref(), &config.ledger)
                .map_err(store_failure)?,
            Ok(true) | Err(_) => None,
        };
        if let Some(lost) = &lost {
            let (path, id) = (config.ledger.display(), &lost.id);
            tracing::warn!(
                "the ledger {path} is gone; a new one takes over its id {id}, and files are compared with the store again"
            );
        }
        let options = OpenOptions {
            create_with: lost.map(|lost| lost.id),
            at: now,
        };
        let ledger = SqliteLedger::open(&config.ledger, &options).map_err(ledger_failure)?;
        ledger.bind_store(folder.id()).await.map_err(ledger_failure)?;
        let id = engine::ports::Ledger::id(&ledger).clone();
        let settings = Settings {
            ledger: id.clone(),
            min_free: config.store.min_free,
            file_mode: config.store.file_mode,
            dir_mode: config.store.dir_mode,
            range_length: engine::ports::store::RANGE_LENGTH,
            executor: Executor::threads(),
            clock: Arc::new(clock),
        };
        let store = DirectoryStore::open(folder.clone(), settings).map_err(store_failure)?;
        // A store that is full or away is not written to.
        Store::condition(&store).await.map_err(store_failure)?;
        folder
            .remember_ledger(&id, machine.as_deref(), &config.ledger, now)
            .map_err(store_failure)?;
        Ok(Self {
            devices: devices(config)?,
            store,
            ledger,
            clock,
            reporter,
        })
    }
}

impl World for Home {
    type Devices = SshDevices;
    type Store = DirectoryStore<SystemDisk>;
    type Ledger = SqliteLedger;
    type Clock = SystemClock;
    type Reporter = SweepReporter;

    fn devices(&self) -> &SshDevices {
        &self.devices
    }

    fn store(&self) -> &DirectoryStore<SystemDisk> {
        &self.store
    }

    fn ledger(&self) -> &SqliteLedger {
        &self.ledger
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }

    fn reporter(&self) -> &SweepReporter {
        &self.reporter
    }
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl engine::ports::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let nanoseconds = jiff::Timestamp::now().as_nanosecond();
        Timestamp::from_nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
    }
}

/// The devices of a configuration, as they are reached.
pub fn devices(config: &Config) -> Result<SshDevices, Failure> {
    let options = SshOptions {
        config: config.ssh.config.clone(),
        connect_timeout: config.ssh.connect_timeout,
        ..SshOptions::default()
    };
    let targets = config.devices.iter().map(target).collect();
    SshDevices::new(&options, targets).map_err(|error| Failure::new(ExitStatus::Usage, error))
}

fn target(device: &meant::Device) -> Target {
    Target {
        name: device.name.clone(),
        host: device.host.clone(),
        port: device.port.map(std::num::NonZero::get),
        user: device.user.clone(),
        identity: device.identity.as_ref().map(Into::into),
        jump: device.jump.clone(),
        compression: match device.rules.compress {
            Compress::Auto => Compression::Auto,
            Compress::Always => Compression::Always,
            Compress::Never => Compression::Never,
        },
        bandwidth: match device.rules.bandwidth {
            Bandwidth::Unlimited => None,
            Bandwidth::AtMost(rate) => Some(rate.get()),
        },
        stall_timeout: device.rules.stall_timeout,
    }
}

/// The devices of a configuration, as the engine takes them.
pub fn device_rules(config: &Config) -> Vec<DeviceRules> {
    let of_device = |device: &meant::Device| DeviceRules {
        name: device.name.clone(),
        sources: device.sources.clone(),
        rules: rules(&device.rules, &config.store),
    };
    config.devices.iter().map(of_device).collect()
}

fn rules(rules: &meant::Rules, store: &meant::Store) -> Rules {
    Rules {
        settle: rules.settle,
        settle_blind: rules.settle_blind,
        exclude: rules.exclude.clone(),
        done_suffix: rules
            .done_suffix
            .as_ref()
            .map(|suffix| suffix.clone().into_bytes()),
        release: match rules.release {
            Release::Delete => ReleaseRule::Delete,
            Release::Keep => ReleaseRule::Keep,
        },
        prune_empty: rules.prune_empty,
        layout: placement::Layout {
            parts: store.layout.parts().to_vec(),
        },
        names: match store.names {
            Names::Bytes => placement::NameRule::Bytes,
            Names::Portable => placement::NameRule::Portable,
        },
    }
}

/// What an unfit store means to the user.
pub fn store_failure(error: StoreError) -> Failure {
    let remedy = match &error {
        StoreError::NoMarker { .. } => {
            "mount the store; if this is its first use, prepare it with `gleaner store init`"
        }
        StoreError::OtherStore { .. } => {
            "mount the right store; if it was replaced on purpose, run `gleaner store init --replace OLD_ID`"
        }
        StoreError::DamagedMarker { .. } => "put back .gleaner/store.toml from a back-up of the store",
        StoreError::NotWritable { .. } => {
            "let the user that runs gleaner write there, and see that it is not mounted read-only"
        }
        StoreError::Full { .. } => "make room in the store, or lower `store.min_free`",
        StoreError::CannotPublish { .. } => {
            "use a file system that has hard links, or renames that refuse to replace"
        }
        StoreError::ReadBack { .. } => "check the disk and the mount: it does not keep what is written",
        StoreError::System { .. } => "check the disk and the mount",
    };
    Failure::new(ExitStatus::StoreOrLedger, error).help(remedy)
}

/// What an unfit ledger means to the user.
pub fn ledger_failure(error: LedgerError) -> Failure {
    let status = match &error {
        LedgerError::Busy { .. } => ExitStatus::Busy,
        _ => ExitStatus::StoreOrLedger,
    };
    let remedy = ledger::remedy(&error);
    Failure::new(status, error).help(remedy)
}
