//! One story: a world drawn from a seed, some time in which everything goes wrong, and the time after.

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

use super::book::{Counts, Spoiling, station_name};
use super::camera::Camera;
use super::chronicle::Chronicle;
use super::collector::{Ended, RESTARTED_AFTER};
use super::dice::Dice;
use super::disk::{Forgetting, Tricks};
use super::faults::{Injector, Tally};
use super::ledger::LedgerContent;
use super::link::Condition;
use super::power::Power;
use super::turns::Turns;
use super::world::{SETTLE, SETTLE_BLIND, World};
use draw::{draw, gone};

/// What a seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Promises that were broken, the first ones.
    pub breaches: Vec<String>,
    /// Passes that were begun.
    pub passes: u64,
    /// Faults that were injected, by kind.
    pub faults: Tally,
    /// Effects on disk, ledger and devices, and other lines of the chronicle.
    pub effects: u64,
    /// What became of recordings.
    pub counts: Counts,
    /// Stands for the whole story.
    pub fingerprint: u64,
    /// The end of the chronicle.
    pub lines: Vec<String>,
}

/// It is a matter of milliseconds: in a story with more, gleaner does not look where it could.
const MAX_WRITTEN_TOO_LATE: u64 = 3;

/// Plays what a seed says, in simulated time on this thread, and keeps the last so many lines of the chronicle.
pub fn play(seed: u64, lines: usize) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(tell(seed, lines)))
}

async fn tell(seed: u64, lines: usize) -> Outcome {
    let mut dice = Dice::new(seed);
    let plan = draw(&mut dice, seed);
    let chronicle = Chronicle::keeping(lines);
    chronicle.note(&format!("seed {seed}: {plan:?}"));
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
    let Some(world) = World::new(&plan) else {
        return outcome;
    };
    let injector = Injector::new(world.clone(), chronicle.clone());
    let mut story = Story {
        injector: injector.clone(),
        world: world.clone(),
        chronicle: chronicle.clone(),
        snapshots: Vec::new(),
        passes: 0,
        gone: gone(&mut dice, &plan),
    };
    story.go_wrong(&mut dice).await;
    story.go_well().await;
    outcome.counts = world.book.counts();
    if outcome.counts.written_too_late > MAX_WRITTEN_TOO_LATE {
        let count = outcome.counts.written_too_late;
        world.book.breach(format!(
            "promise 1: {count} files went with what was written to them after the last look"
        ));
    }
    outcome.breaches = world.book.breaches();
    (outcome.passes, outcome.faults) = (story.passes, injector.tally());
    (outcome.effects, outcome.fingerprint) = (chronicle.count(), chronicle.fingerprint());
    outcome.lines = chronicle.lines();
    outcome
}

struct Story {
    injector: Injector,
    world: World,
    chronicle: Chronicle,
    /// Earlier states of the first ledger.
    snapshots: Vec<LedgerContent>,
    passes: u64,
    gone: Vec<(usize, Condition)>,
}

impl Story {
    /// Cameras record, collectors gather, and faults strike, for about an hour.
    async fn go_wrong(&mut self, dice: &mut Dice) {
        let end = Instant::now() + dice.span(Duration::from_mins(10), Duration::from_hours(1));
        let mut tasks = JoinSet::new();
        for (number, device) in self.world.fleet.iter().enumerate() {
            let is_blind = device.lock().writer_check() == WriterCheck::Blind;
            let camera = Camera {
                number,
                device: device.clone(),
                book: self.world.book.clone(),
                dice: dice.split(),
                largest: 1 + dice.below(30_000),
                unseen_pause: SETTLE / 2,
                pause: if is_blind { SETTLE_BLIND / 20 } else { SETTLE * 2 },
            };
            tasks.spawn(camera.record(dice.below(200)));
        }
        let mut background = JoinSet::new();
        background.spawn(write_out(self.world.clone()));
        background.spawn(
            self.injector
                .clone()
                .run(dice.split(), Duration::from_secs(dice.below(200) + 5)),
        );
        while Instant::now() < end {
            self.one_process(dice).await;
            self.between_processes(dice);
            sleep(dice.span(Duration::ZERO, Duration::from_secs(90))).await;
        }
        background.shutdown().await;
        while tasks.join_next().await.is_some() {}
    }

    /// A process of every collector: it may be killed after some effects, or meet some that fail.
    async fn one_process(&mut self, dice: &mut Dice) {
        let power = match dice.below(4) {
            0 => Power::cut_after(dice.below(150) + 1),
            1 => Power::cut_after(dice.below(1500) + 1),
            _ => Power::default(),
        };
        let trouble = match dice.one_in(4) {
            true => (0..=dice.below(3))
                .map(|_| (dice.below(200), Self::some_errno(dice)))
                .collect(),
            false => Vec::new(),
        };
        let troubles = trouble.len();
        let power = power.with_trouble(trouble).told_to(&self.chronicle);
        if troubles > 0 {
            self.injector
                .note("SystemCallFails", &format!("{troubles} times"));
        }
        for (number, condition) in &self.gone {
            if let Some(link) = self.world.links.get(*number) {
                link.set(*condition);
            }
        }
        self.injector.watch(&power);
        self.world.next_process(&power);
        self.sweep(&power).await;
        if power.is_off() {
            // What devices were asked for goes on for a moment.
            sleep(dice.span(Duration::ZERO, Duration::from_secs(2))).await;
            self.die(dice);
            sleep(RESTARTED_AFTER).await;
        }
        self.check();
    }

    /// The checks of every moment; the chronicle tells when a promise was first seen broken.
    fn check(&self) {
        let before = self.world.book.breaches().len();
        self.world.check();
        for breach in self.world.book.breaches().iter().skip(before) {
            self.chronicle.note(&format!("!!! {breach}"));
        }
    }

    fn some_errno(dice: &mut Dice) -> Errno {
        dice.pick(&[Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::NOMEM])
            .copied()
            .unwrap_or(Errno::IO)
    }

    /// The power is gone: that of the process only, or that of the machine.
    fn die(&mut self, dice: &mut Dice) {
        let power = Power::default().told_to(&self.chronicle);
        if dice.one_in(3) {
            self.injector.note("ProcessKilled", "");
            self.world.next_process(&power);
            return;
        }
        let forgetting = match dice.one_in(2) {
            true => Forgetting::ByChance(dice.split()),
            false => dice
                .pick(&Forgetting::certain())
                .cloned()
                .unwrap_or(Forgetting::Everything),
        };
        self.injector.note("PowerCut", &format!("{forgetting:?}"));
        self.world.disk.restart(power, forgetting);
    }

    /// One sweep of every collector, all at the same time.
    async fn sweep(&mut self, power: &Power) {
        let before: Vec<(u64, u64)> = self.disturbances();
        let collectors = self.world.collectors.clone();
        let mut sweeps: FuturesUnordered<_> = collectors
            .iter()
            .map(|collector| collector.sweep(power))
            .collect();
        self.passes += u64::try_from(self.world.fleet.len() * collectors.len()).unwrap_or_default();
        while let Some(ended) = sweeps.next().await {
            match ended {
                Ended::Swept(summary, turns) => {
                    self.chronicle.note(&format!("swept: {:?}", summary.result()));
                    self.check_nobody_starved(&summary, &turns, &before);
                }
                Ended::Unfit(reason) => self.chronicle.note(&format!("unfit: {reason}")),
                Ended::Killed => self.chronicle.note("killed"),
            }
        }
    }

    fn disturbances(&self) -> Vec<(u64, u64)> {
        let (links, fleet) = (self.world.links.iter(), self.world.fleet.iter());
        links
            .zip(fleet)
            .map(|(link, device)| (link.disturbances(), device.lock().boot))
            .collect()
    }

    /// Promise 4: whatever becomes of the others, a device whose link was well was served, and soon, unless home failed.
    fn check_nobody_starved(&self, summary: &SweepSummary, turns: &Turns, before: &[(u64, u64)]) {
        let home_failed = |outcome: &PassOutcome| matches!(outcome, PassOutcome::CollectorFailed { .. });
        let outcomes = || summary.passes.iter().map(|(_, pass)| &pass.outcome);
        if summary.ledger_failure.is_some() || outcomes().any(home_failed) {
            return;
        }
        let fleet = self.world.links.iter().zip(&self.world.fleet).zip(before);
        for (number, ((link, device), (disturbances, boot))) in fleet.enumerate() {
            if !link.is_well_since(*disturbances) || device.lock().boot != *boot {
                continue;
            }
            let name = station_name(number);
            let pass = summary.passes.iter().find(|(device, _)| device.as_str() == name);
            let (ended, latest) = (turns.ended_after(&name), turns.latest_end(&name));
            match pass {
                Some((_, pass)) if !matches!(pass.outcome, PassOutcome::Failed { .. }) => {}
                other => self.world.book.breach(format!(
                    "promise 4: device {number} was well and not served: {:?}",
                    other.map(|(_, pass)| &pass.outcome)
                )),
            }
            if ended.is_none_or(|ended| ended > latest) {
                self.world.book.breach(format!(
                    "promise 4: device {number} was well, and its pass ended after {ended:?}, not {latest:?}"
                ));
            }
        }
    }

    /// What happens to store and ledger while no gleaner runs.
    fn between_processes(&mut self, dice: &mut Dice) {
        let Some(ledger) = self
            .world
            .collectors
            .first()
            .map(|collector| collector.ledger.clone())
        else {
            return;
        };
        match dice.below(24) {
            0..=3 => self.spoil_store(dice),
            4 => {
                self.injector.note("LedgerLost", "");
                ledger.restore(LedgerContent::default());
            }
            5 => {
                if let Some(snapshot) = dice.pick(&self.snapshots).cloned() {
                    self.injector.note("LedgerOlder", "");
                    ledger.restore(snapshot);
                }
            }
            6..=9 => self.snapshots.push(ledger.content()),
            _ => {}
        }
    }

    fn spoil_store(&self, dice: &mut Dice) {
        // Best of all what is stored and not released yet: it must not be released on the strength of the record alone.
        let rows = self
            .world
            .collectors
            .iter()
            .flat_map(|collector| collector.ledger.content().rows);
        let stored = rows.filter(|(_, state)| *state == FileState::Stored);
        let mut names: Vec<Vec<u8>> = stored
            .map(|(record, _)| record.store_name.as_bytes().to_vec())
            .collect();
        if names.is_empty() || dice.one_in(2) {
            names = self.world.disk.visible().into_keys().collect();
        }
        let Some(name) = dice.pick(&names) else { return };
        let shown = name.escape_ascii().to_string();
        let spoil = |how| {
            self.world
                .book
                .spoil(name, how, &self.world.fleet, &self.world.disk)
        };
        if dice.one_in(2) && spoil(Spoiling::Rots) {
            self.injector.note("StoreRots", &shown);
        } else if spoil(Spoiling::IsLost) {
            self.injector.note("StoreLosesFile", &shown);
        }
    }

    /// Faults are over: some sweeps later everything is in the store.
    async fn go_well(&mut self) {
        let power = Power::default().told_to(&self.chronicle);
        // What was to pass by itself has passed.
        sleep(Duration::from_mins(10)).await;
        for (device, link) in self.world.fleet.iter().zip(&self.world.links) {
            link.heal();
            let mut state = device.lock();
            (state.is_full, state.wrong_reads, state.wrong_digests) = (false, 0, 0);
        }
        self.world.disk.play(Tricks::default());
        if self.world.disk.has_stopped() {
            self.world.disk.mount_store_anew(Forgetting::Everything);
        }
        self.world.next_process(&power);
        // One for what lies ready, one for what is seen a first time where the clock is not to be trusted, one for what waited for that.
        for _ in 0..4 {
            sleep(SETTLE_BLIND + Duration::from_mins(1)).await;
            self.sweep(&power).await;
            self.check();
        }
        self.world.check_progress();
        // For a week, what could be resumed is kept in staging; two names of one partial file go one week after the other.
        for _ in 0..5 {
            sleep(Duration::from_hours(8 * 24)).await;
            self.sweep(&power).await;
        }
        self.check();
        self.world.check_progress();
        self.world.book.check_staging(&self.world.disk);
    }
}

/// The cards of devices are written out every few seconds.
async fn write_out(world: World) {
    loop {
        sleep(Duration::from_secs(5)).await;
        for device in &world.fleet {
            device.lock().write_out();
        }
    }
}
