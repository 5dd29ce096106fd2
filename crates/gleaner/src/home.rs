//! The real world of the engine: OpenSSH, a directory, `SQLite`, the system's clock.

use std::sync::Arc;
use std::time::Duration;

use engine::placement;
use engine::ports::{LedgerError, Store, StoreError};
use engine::rules::{DeviceRules, Rules};
use engine::world::World;
use ledger::{OpenOptions, SqliteLedger};
use model::Timestamp;
use ssh::{SshDevices, SshOptions, Target};
use storage::{DirectoryStore, Executor, StoreFolder, StoreSettings, SystemDisk, UntouchedStore};

use crate::config::meant;
use crate::report::SweepReporter;
use crate::{Config, ExitStatus, Failure, ledger_mount};

/// Store, ledger, devices, clock and reporter of one process.
#[derive(Debug)]
pub struct Home<S = DirectoryStore<SystemDisk>> {
    devices: SshDevices,
    store: S,
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
        let place = Place::find(config)?;
        if let Some(id) = &place.ledger.create_with {
            let path = config.ledger.display();
            tracing::warn!(
                "the ledger {path} is gone; a new one takes over its id {id}, and files are compared with the store again"
            );
        }
        // A ledger that is at work needs no warning every minute; `gleaner config check` has it.
        if !config.ledger.exists()
            && let Some(doubt) = ledger_mount::doubt(&config.ledger)
        {
            tracing::warn!("the ledger {}: {doubt}", config.ledger.display());
        }
        let ledger = SqliteLedger::open(&config.ledger, &place.ledger).map_err(ledger_failure)?;
        ledger
            .bind_store(place.store.id())
            .await
            .map_err(ledger_failure)?;
        let settings = settings(config, &ledger);
        let store = DirectoryStore::open(place.store.clone(), settings).map_err(store_failure)?;
        // A store that is full or away is not written to.
        Store::condition(&store).await.map_err(store_failure)?;
        let id = engine::ports::Ledger::id(&ledger);
        place
            .store
            .remember_ledger(id, place.machine.as_deref(), &config.ledger, place.ledger.at)
            .map_err(store_failure)?;
        Self::of(config, store, ledger, reporter)
    }
}

impl Home<UntouchedStore<SystemDisk>> {
    /// The same for a dry run, which leaves nothing behind: a ledger that is not there is taken to be empty, and the store gets no staging
    /// folder. A store, or a ledger that is there, with which a sweep would not begin is refused here too.
    pub async fn look(config: &Config, reporter: SweepReporter) -> Result<Self, Failure> {
        let place = Place::find(config)?;
        if let Some(id) = &place.ledger.create_with {
            let path = config.ledger.display();
            tracing::warn!(
                "the ledger {path} is gone; the next sweep makes a new one, which takes over its id {id}"
            );
        }
        let ledger =
            SqliteLedger::open_without_creating(&config.ledger, &place.ledger).map_err(ledger_failure)?;
        ledger
            .expect_store(place.store.id())
            .await
            .map_err(ledger_failure)?;
        let settings = settings(config, &ledger);
        let store = UntouchedStore::new(place.store, settings);
        Store::condition(&store).await.map_err(store_failure)?;
        Self::of(config, store, ledger, reporter)
    }
}

impl<S> Home<S> {
    fn of(config: &Config, store: S, ledger: SqliteLedger, reporter: SweepReporter) -> Result<Self, Failure> {
        Ok(Self {
            devices: devices(config)?,
            store,
            ledger,
            clock: SystemClock,
            reporter,
        })
    }
}

/// What is found before anything is opened for writing.
struct Place {
    store: StoreFolder<SystemDisk>,
    /// What a ledger that is not there would be made with.
    ledger: OpenOptions,
    machine: Option<String>,
}

impl Place {
    fn find(config: &Config) -> Result<Self, Failure> {
        let store = StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, None)
            .map_err(store_failure)?;
        let machine = std::fs::read_to_string("/etc/machine-id").ok();
        let lost = match config.ledger.try_exists() {
            Ok(false) => store
                .find_lost_ledger(machine.as_deref(), &config.ledger)
                .map_err(store_failure)?,
            Ok(true) | Err(_) => None,
        };
        let ledger = OpenOptions {
            create_with: lost.map(|lost| lost.id),
            at: engine::ports::Clock::now(&SystemClock),
        };
        Ok(Self {
            store,
            ledger,
            machine,
        })
    }
}

fn settings(config: &Config, ledger: &SqliteLedger) -> StoreSettings {
    StoreSettings {
        ledger: engine::ports::Ledger::id(ledger).clone(),
        min_free: config.store.min_free,
        file_mode: config.store.file_mode,
        dir_mode: config.store.dir_mode,
        range_length: engine::ports::store::RANGE_LENGTH,
        executor: Executor::threads(),
        clock: Arc::new(SystemClock),
    }
}

impl<S: Store> World for Home<S> {
    type Devices = SshDevices;
    type Store = S;
    type Ledger = SqliteLedger;
    type Clock = SystemClock;
    type Reporter = SweepReporter;

    fn devices(&self) -> &SshDevices {
        &self.devices
    }

    fn store(&self) -> &S {
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

    fn steady(&self) -> Timestamp {
        let seconds = u64::try_from(rustix::system::sysinfo().uptime).unwrap_or_default();
        Timestamp::EPOCH.plus(Duration::from_secs(seconds))
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
    let reach = &device.reach;
    Target {
        name: device.name.clone(),
        host: reach.host.clone(),
        port: reach.port.map(std::num::NonZero::get),
        user: reach.user.clone(),
        identity: reach.identity.as_ref().map(Into::into),
        jump: reach.jump.clone(),
        compression: device.rules.compress,
        bandwidth: device.rules.bandwidth,
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

/// How many times `stall_timeout` a listing may take: a quarter of an hour by default. On a link of 2 KB/s that is twenty thousand new files; the next
/// pass sees those behind them, though they stay on the device.
const LISTING_STALLS: u32 = 15;

/// How long a listing may take before it is cut off.
pub fn max_listing_time(rules: &meant::Rules) -> Duration {
    rules.stall_timeout.saturating_mul(LISTING_STALLS)
}

fn rules(rules: &meant::Rules, store: &meant::Store) -> Rules {
    Rules {
        settle: rules.settle,
        settle_blind: rules.settle_blind,
        max_listing_time: max_listing_time(rules),
        exclude: rules.exclude.clone(),
        done_suffix: rules
            .done_suffix
            .as_ref()
            .map(|suffix| suffix.clone().into_bytes()),
        release: rules.release,
        prune_empty: rules.prune_empty,
        layout: placement::Layout {
            parts: store.layout.parts().to_vec(),
        },
        names: store.names,
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
            "use a file system that has hard links, or renames that refuse to replace; rclone and sshfs mounts have neither"
        }
        StoreError::OfFile { .. } => {
            "see to that file, or to the mount within the store that it is bound for"
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
