//! Wires the engine to the real world: OpenSSH, a directory, `SQLite`, the system clock.

use std::sync::Arc;
use std::time::Duration;

use engine::dry_run_store::DryRunStore;
use engine::placement;
use engine::ports::{Store, StoreStatus as _};
use engine::rules::{DeviceRules, Rules};
use engine::world::World;
use ledger::SqliteLedger;
use model::{CollectorId, LedgerId, Timestamp};
use ssh::{SshDevices, SshOptions, Target};
use storage::{DirectoryStore, Executor, StoreFolder, StoreSettings, SystemDisk, UntouchedStore};

use crate::config::Config;
use crate::config::resolved;
use crate::exit::{ExitStatus, Failure};
use crate::failures::{ledger_failure, store_failure};
use crate::holding::{self, FoundLedger};
use crate::ledger_mount;
use crate::report::SweepReporter;

/// The store, ledger, devices, clock and reporter of one process.
#[derive(Debug)]
pub struct Collector<S = DirectoryStore<SystemDisk>> {
    devices: SshDevices,
    store: S,
    ledger: SqliteLedger,
    clock: SystemClock,
    reporter: SweepReporter,
}

impl Collector {
    /// Opens the store, then the ledger, and checks that they belong together. Changes nothing unless both
    /// are usable.
    ///
    /// A missing ledger is created, with the configured id. If none is configured and the store remembers a
    /// ledger of this machine at this path, the new ledger takes over its id, so that files the lost ledger
    /// left withdrawn on devices are ours again.
    pub async fn open(config: &Config, reporter: SweepReporter) -> Result<Self, Failure> {
        let (folder, found) = find(config)?;
        for warning in found.warnings(config) {
            tracing::warn!("{warning}");
        }
        // Warn about a new ledger only: an existing one would repeat the warning every minute. `gleaner
        // config check` always shows it.
        if !config.ledger.exists()
            && let Some(warning) = ledger_mount::warning(&config.ledger)
        {
            tracing::warn!("the ledger {}: {warning}", config.ledger.display());
        }
        let ledger = SqliteLedger::open(&config.ledger, &found.options).map_err(ledger_failure)?;
        ledger.bind_store(folder.id()).await.map_err(ledger_failure)?;
        let id = engine::ports::Ledger::id(&ledger).clone();
        holding::check(config, Some(&folder), &found.holder, &id)?;
        let mut settings = store_settings(config, found.holder.collector_id(&id));
        settings.former_staging =
            holding::former_staging(&folder, &found.holder, &id).map_err(store_failure)?;
        let store = DirectoryStore::open(folder.clone(), settings).map_err(store_failure)?;
        // Do not write to a store that is full or not mounted.
        store.condition().await.map_err(store_failure)?;
        holding::remember(config, &folder, &found.holder, &id, found.options.at)?;
        Self::assemble(config, store, ledger, reporter)
    }
}

impl Collector<DryRunStore<UntouchedStore<SystemDisk>>> {
    /// Opens both for a dry run, which leaves no trace: a missing ledger counts as empty, and the store gets
    /// no staging folder. Refuses every store or existing ledger that a sweep would refuse.
    pub async fn open_read_only(config: &Config, reporter: SweepReporter) -> Result<Self, Failure> {
        let (folder, found) = find(config)?;
        for warning in found.warnings(config) {
            tracing::warn!("{warning}");
        }
        let ledger =
            SqliteLedger::open_without_creating(&config.ledger, &found.options).map_err(ledger_failure)?;
        ledger.expect_store(folder.id()).await.map_err(ledger_failure)?;
        let id: &LedgerId = engine::ports::Ledger::id(&ledger);
        let settings = store_settings(config, found.holder.collector_id(id));
        let store = DryRunStore::new(UntouchedStore::new(folder, settings));
        store.condition().await.map_err(store_failure)?;
        Self::assemble(config, store, ledger, reporter)
    }
}

impl<S> Collector<S> {
    fn assemble(
        config: &Config,
        store: S,
        ledger: SqliteLedger,
        reporter: SweepReporter,
    ) -> Result<Self, Failure> {
        Ok(Self {
            devices: devices(config)?,
            store,
            ledger,
            clock: SystemClock,
            reporter,
        })
    }
}

/// The store, and the ledger that this collector uses or makes, before anything is opened for writing.
fn find(config: &Config) -> Result<(StoreFolder<SystemDisk>, FoundLedger), Failure> {
    let store = StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, None)
        .map_err(store_failure)?;
    let now = engine::ports::Clock::now(&SystemClock);
    let found = holding::find(config, Some(&store), now)?;
    Ok((store, found))
}

/// How this process uses the store.
pub fn store_settings(config: &Config, collector: CollectorId) -> StoreSettings {
    StoreSettings {
        collector,
        former_staging: None,
        min_free: config.store.min_free,
        file_mode: config.store.file_mode,
        dir_mode: config.store.dir_mode,
        range_length: engine::ports::store::RANGE_LENGTH,
        executor: Executor::threads(),
        clock: Arc::new(SystemClock),
    }
}

impl<S: Store> World for Collector<S> {
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

/// The clock of the collector.
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

/// The configured devices, for the SSH adapter.
pub fn devices(config: &Config) -> Result<SshDevices, Failure> {
    let options = SshOptions {
        config: config.ssh.config.clone(),
        connect_timeout: config.ssh.connect_timeout,
        ..SshOptions::default()
    };
    let targets = config.devices.iter().map(target).collect();
    SshDevices::new(&options, targets).map_err(|error| Failure::new(ExitStatus::Usage, error))
}

fn target(device: &resolved::Device) -> Target {
    let address = &device.address;
    Target {
        name: device.name.clone(),
        host: address.host.clone(),
        port: address.port.map(std::num::NonZero::get),
        user: address.user.clone(),
        identity: address.identity.as_ref().map(Into::into),
        jump: address.jump.clone(),
        compression: device.rules.compress,
        bandwidth: device.rules.bandwidth,
        stall_timeout: device.rules.stall_timeout,
    }
}

/// The configured devices, for the engine.
pub fn device_rules(config: &Config) -> Vec<DeviceRules> {
    let of_device = |device: &resolved::Device| DeviceRules {
        name: device.name.clone(),
        sources: device.sources.clone(),
        rules: rules(&device.rules, &config.store),
    };
    config.devices.iter().map(of_device).collect()
}

/// The time limit of a listing: 15 minutes by default. A link of 2 KB/s carries 20,000 new files in that
/// time. The next pass sees the files behind them, even if these files stay on the device.
pub fn max_listing_time(rules: &resolved::Rules) -> Duration {
    rules.stall_timeout.saturating_mul(engine::rules::MAX_STALLS)
}

fn rules(rules: &resolved::Rules, store: &resolved::Store) -> Rules {
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
