//! One scenario: a world drawn from a seed, a time in which everything goes wrong, and a time without faults.

mod draw;

use std::time::Duration;

use engine::fleet::SweepSummary;
use engine::ports::{PassOutcome, WriterCheck};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use model::FileState;
use rustix::io::Errno;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::camera::Camera;
use super::collector::{ProcessEnd, RESTARTED_AFTER};
use super::disk::{CrashLoss, DiskFaults};
use super::faults::{Injector, Tally};
use super::ledger::LedgerContent;
use super::link::Condition;
use super::naming::device_name;
use super::oracle::{Counts, StoreDamage};
use super::power::Power;
use super::rng::Rng;
use super::timing::SweepTiming;
use super::trace::Trace;
use super::world::{SETTLE, SETTLE_BLIND, World};
use draw::{draw_config, draw_unreachable};

/// The result of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first broken promises.
    pub breaches: Vec<String>,
    /// The number of started passes.
    pub passes: u64,
    /// The number of injected faults by kind.
    pub faults: Tally,
    /// The number of lines of the trace: effects on disk, ledger and devices, and other events.
    pub effects: u64,
    /// What happened to recordings.
    pub counts: Counts,
    /// A hash of the whole trace.
    pub fingerprint: u64,
    /// The last lines of the trace.
    pub lines: Vec<String>,
}

/// The maximum of excused losses. The window is a few milliseconds, so more losses mean that gleaner inspects
/// too early.
const MAX_WRITTEN_TOO_LATE: u64 = 3;

/// Runs the scenario of a seed in simulated time on this thread. Keeps the last `lines` lines of the trace.
pub fn run(seed: u64, lines: usize) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(run_scenario(seed, lines)))
}

async fn run_scenario(seed: u64, lines: usize) -> Outcome {
    let mut rng = Rng::new(seed);
    let config = draw_config(&mut rng, seed);
    let trace = Trace::with_limit(lines);
    trace.log(&format!("seed {seed}: {config:?}"));
    let mut outcome = Outcome {
        seed,
        breaches: vec!["the store could not be made".to_owned()],
        passes: 0,
        faults: Tally::new(),
        effects: 0,
        counts: Counts::default(),
        fingerprint: 0,
        lines: Vec::new(),
    };
    let Some(world) = World::new(&config) else {
        return outcome;
    };
    let injector = Injector::new(world.clone(), trace.clone());
    let mut scenario = Scenario {
        injector: injector.clone(),
        world: world.clone(),
        trace: trace.clone(),
        snapshots: Vec::new(),
        passes: 0,
        unreachable: draw_unreachable(&mut rng, &config),
    };
    scenario.run_with_faults(&mut rng).await;
    scenario.run_without_faults().await;
    outcome.counts = world.oracle.counts();
    if outcome.counts.written_too_late > MAX_WRITTEN_TOO_LATE {
        let count = outcome.counts.written_too_late;
        world.oracle.report_breach(format!(
            "promise 1: {count} files were removed with data that was written after their last inspection"
        ));
    }
    outcome.breaches = world.oracle.breaches();
    (outcome.passes, outcome.faults) = (scenario.passes, injector.tally());
    (outcome.effects, outcome.fingerprint) = (trace.count(), trace.fingerprint());
    outcome.lines = trace.lines();
    outcome
}

struct Scenario {
    injector: Injector,
    world: World,
    trace: Trace,
    /// Earlier contents of the first ledger.
    snapshots: Vec<LedgerContent>,
    passes: u64,
    unreachable: Vec<(usize, Condition)>,
}

/// What shows, after a sweep, whether a device and its link were disturbed meanwhile.
struct LinkBefore {
    disturbances: u64,
    boot: u64,
}

impl Scenario {
    /// Lets cameras record, collectors gather and faults strike, for 10 minutes to an hour.
    async fn run_with_faults(&mut self, rng: &mut Rng) {
        let end = Instant::now() + rng.duration(Duration::from_mins(10), Duration::from_hours(1));
        let mut tasks = JoinSet::new();
        for (number, device) in self.world.fleet.iter().enumerate() {
            let is_blind = device.lock().writer_check() == WriterCheck::Blind;
            let camera = Camera {
                number,
                device: device.clone(),
                oracle: self.world.oracle.clone(),
                rng: rng.split(),
                largest: 1 + rng.below(30_000),
                unseen_pause: SETTLE / 2,
                pause: if is_blind { SETTLE_BLIND / 20 } else { SETTLE * 2 },
            };
            tasks.spawn(camera.record(rng.below(200)));
        }
        let mut background = JoinSet::new();
        background.spawn(write_out(self.world.clone()));
        background.spawn(
            self.injector
                .clone()
                .run(rng.split(), Duration::from_secs(rng.below(200) + 5)),
        );
        while Instant::now() < end {
            self.run_processes(rng).await;
            self.between_processes(rng);
            sleep(rng.duration(Duration::ZERO, Duration::from_secs(90))).await;
        }
        background.shutdown().await;
        while tasks.join_next().await.is_some() {}
    }

    /// Runs one process of every collector. It may be killed after some effects, or some effects may fail.
    async fn run_processes(&mut self, rng: &mut Rng) {
        let power = match rng.below(4) {
            0 => Power::cut_after(rng.below(150) + 1),
            1 => Power::cut_after(rng.below(1500) + 1),
            _ => Power::default(),
        };
        let failures = if rng.one_in(4) {
            (0..=rng.below(3))
                .map(|_| (rng.below(200), Self::some_errno(rng)))
                .collect()
        } else {
            Vec::new()
        };
        let count = failures.len();
        let power = power.with_failures(failures).with_trace(&self.trace);
        if count > 0 {
            self.injector.record("SystemCallFails", &format!("{count} times"));
        }
        for (number, condition) in &self.unreachable {
            if let Some(link) = self.world.links.get(*number) {
                link.set(*condition);
            }
        }
        self.injector.set_power(&power);
        self.world.next_process(&power);
        self.sweep(&power).await;
        if power.is_off() {
            // Devices continue with their current requests for a moment.
            sleep(rng.duration(Duration::ZERO, Duration::from_secs(2))).await;
            self.crash(rng);
            sleep(RESTARTED_AFTER).await;
        }
        self.check();
    }

    /// Runs the checks that hold at every moment. The trace shows when a promise was first found broken.
    fn check(&self) {
        let before = self.world.oracle.breaches().len();
        self.world.check();
        for breach in self.world.oracle.breaches().iter().skip(before) {
            self.trace.log(&format!("!!! {breach}"));
        }
    }

    fn some_errno(rng: &mut Rng) -> Errno {
        rng.choose(&[Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::NOMEM])
            .copied()
            .unwrap_or(Errno::IO)
    }

    /// Ends the process only, or cuts the machine's power.
    fn crash(&mut self, rng: &mut Rng) {
        let power = Power::default().with_trace(&self.trace);
        if rng.one_in(3) {
            self.injector.record("ProcessKilled", "");
            self.world.next_process(&power);
            return;
        }
        let loss = if rng.one_in(2) {
            CrashLoss::Random(rng.split())
        } else {
            rng.choose(&CrashLoss::certain())
                .cloned()
                .unwrap_or(CrashLoss::Everything)
        };
        self.injector.record("PowerCut", &format!("{loss:?}"));
        self.world.disk.restart(power, loss);
    }

    /// Runs one sweep of every collector, all at the same time.
    async fn sweep(&mut self, power: &Power) {
        let before = self.link_states();
        let collectors = self.world.collectors.clone();
        let mut sweeps: FuturesUnordered<_> = collectors
            .iter()
            .map(|collector| collector.sweep(power))
            .collect();
        self.passes += u64::try_from(self.world.fleet.len() * collectors.len()).unwrap_or_default();
        while let Some(ended) = sweeps.next().await {
            match ended {
                ProcessEnd::Swept(summary, timing) => {
                    self.trace.log(&format!("swept: {:?}", summary.result()));
                    self.check_no_starvation(&summary, &timing, &before);
                }
                ProcessEnd::Unusable(reason) => self.trace.log(&format!("unusable: {reason}")),
                ProcessEnd::Killed => self.trace.log("killed"),
            }
        }
    }

    fn link_states(&self) -> Vec<LinkBefore> {
        let (links, fleet) = (self.world.links.iter(), self.world.fleet.iter());
        links
            .zip(fleet)
            .map(|(link, device)| LinkBefore {
                disturbances: link.disturbances(),
                boot: device.lock().boot,
            })
            .collect()
    }

    /// Checks promise 4: a device with a working link was served in time, whatever happened to the others,
    /// unless the collector failed.
    fn check_no_starvation(&self, summary: &SweepSummary, timing: &SweepTiming, before: &[LinkBefore]) {
        let collector_failed = |outcome: &PassOutcome| matches!(outcome, PassOutcome::CollectorFailed { .. });
        let outcomes = || summary.passes.iter().map(|(_, pass)| &pass.outcome);
        if summary.ledger_failure.is_some() || outcomes().any(collector_failed) {
            return;
        }
        let fleet = self.world.links.iter().zip(&self.world.fleet).zip(before);
        for (number, ((link, device), before)) in fleet.enumerate() {
            if !link.is_well_since(before.disturbances) || device.lock().boot != before.boot {
                continue;
            }
            let name = device_name(number);
            let pass = summary.passes.iter().find(|(device, _)| device.as_str() == name);
            let (ended, latest) = (timing.ended_after(&name), timing.latest_end(&name));
            match pass {
                Some((_, pass)) if !matches!(pass.outcome, PassOutcome::Failed { .. }) => {}
                other => self.world.oracle.report_breach(format!(
                    "promise 4: device {number} had a working link and was not served: {:?}",
                    other.map(|(_, pass)| &pass.outcome)
                )),
            }
            if ended.is_none_or(|ended| ended > latest) {
                self.world.oracle.report_breach(format!(
                    "promise 4: device {number} had a working link, but its pass ended after {ended:?}, not by {latest:?}"
                ));
            }
        }
    }

    /// Changes store and ledger while no gleaner runs.
    fn between_processes(&mut self, rng: &mut Rng) {
        let Some(ledger) = self
            .world
            .collectors
            .first()
            .map(|collector| collector.ledger.clone())
        else {
            return;
        };
        match rng.below(24) {
            0..=3 => self.damage_store(rng),
            4 => {
                self.injector.record("LedgerLost", "");
                ledger.restore(LedgerContent::default());
            }
            5 => {
                if let Some(snapshot) = rng.choose(&self.snapshots).cloned() {
                    self.injector.record("LedgerOlder", "");
                    ledger.restore(snapshot);
                }
            }
            6..=9 => self.snapshots.push(ledger.content()),
            _ => {}
        }
    }

    fn damage_store(&self, rng: &mut Rng) {
        // Prefers files that are stored and not released yet: gleaner must not release them on the record
        // alone.
        let rows = self
            .world
            .collectors
            .iter()
            .flat_map(|collector| collector.ledger.content().rows);
        let stored = rows.filter(|row| row.state == FileState::Stored);
        let mut names: Vec<Vec<u8>> = stored
            .map(|row| row.record.store_name.as_bytes().to_vec())
            .collect();
        if names.is_empty() || rng.one_in(2) {
            names = self.world.disk.visible().into_keys().collect();
        }
        let Some(name) = rng.choose(&names) else { return };
        let shown = name.escape_ascii().to_string();
        let damage = |how| {
            self.world
                .oracle
                .damage(name, how, &self.world.fleet, &self.world.disk)
        };
        if rng.one_in(2) && damage(StoreDamage::BitRot) {
            self.injector.record("StoreRots", &shown);
        } else if damage(StoreDamage::FileLost) {
            self.injector.record("StoreLosesFile", &shown);
        }
    }

    /// Ends the faults. After some sweeps everything must be in the store.
    async fn run_without_faults(&mut self) {
        let power = Power::default().with_trace(&self.trace);
        // Temporary faults have ended by now.
        sleep(Duration::from_mins(10)).await;
        for (device, link) in self.world.fleet.iter().zip(&self.world.links) {
            link.heal();
            let mut state = device.lock();
            (state.is_full, state.wrong_reads, state.wrong_digests) = (false, 0, 0);
        }
        self.world.disk.set_faults(DiskFaults::default());
        if self.world.disk.has_stopped() {
            self.world.disk.mount_store_anew(CrashLoss::Everything);
        }
        self.world.next_process(&power);
        // One sweep for files that are ready, one that first sees files whose clock is not trusted, one for
        // those it waited for.
        for _ in 0..4 {
            sleep(SETTLE_BLIND + Duration::from_mins(1)).await;
            self.sweep(&power).await;
            self.check();
        }
        self.world.check_progress();
        // Resumable files stay in staging for a week. Two names of one partial file are removed one week
        // after the other.
        for _ in 0..5 {
            sleep(Duration::from_hours(8 * 24)).await;
            self.sweep(&power).await;
        }
        self.check();
        self.world.check_progress();
        self.world.oracle.check_staging(&self.world.disk);
    }
}

/// Writes out the cards of all devices every 5 seconds.
async fn write_out(world: World) {
    loop {
        sleep(Duration::from_secs(5)).await;
        for device in &world.fleet {
            device.lock().write_out();
        }
    }
}
