//! Runs scenarios of the simulated world: `sim --seed 7`, `sim --scenarios 1000`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use sim::simulator::scenario::{Outcome, run};

/// Runs scenarios in which everything goes wrong, and checks that gleaner keeps its promises.
///
/// The same seed gives the same scenario on every machine. Exit status: 0 all promises kept, 1 a promise
/// broken, 2 usage error.
#[derive(Parser)]
struct Arguments {
    /// First seed; taken from the clock and printed if omitted
    #[arg(long, default_value_t = fresh_seed(), hide_default_value = true)]
    seed: u64,
    /// Number of seeds to run, one after the other
    #[arg(long, alias = "stories", default_value_t = 1)]
    scenarios: u64,
    /// Run for this many seconds instead
    #[arg(long)]
    seconds: Option<u64>,
    /// Print the trace of each scenario
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    match run_all(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("sim: no runtime for the simulation: {error}");
            ExitCode::from(1)
        }
    }
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() << 20)
}

/// Returns `true` if every scenario kept every promise.
fn run_all(arguments: &Arguments) -> std::io::Result<bool> {
    let began = Instant::now();
    let mut total = Total::default();
    println!("first seed: {}", arguments.seed);
    for number in 0.. {
        let is_enough = match arguments.seconds {
            Some(seconds) => began.elapsed() >= Duration::from_secs(seconds),
            None => number >= arguments.scenarios,
        };
        if is_enough {
            break;
        }
        let lines = if arguments.trace { usize::MAX } else { 60 };
        let outcome = run(arguments.seed.wrapping_add(number), lines)?;
        if arguments.trace {
            outcome.lines.iter().for_each(|line| println!("{line}"));
        }
        total.add(&outcome);
        if !outcome.breaches.is_empty() {
            print_breach(&outcome, arguments.trace);
            return Ok(false);
        }
    }
    println!("{}", total.summary(began.elapsed()));
    Ok(true)
}

fn print_breach(outcome: &Outcome, was_printed: bool) {
    if !was_printed {
        println!("how it ended:");
        outcome.lines.iter().for_each(|line| println!("  {line}"));
    }
    println!("seed {} breaks a promise:", outcome.seed);
    outcome.breaches.iter().for_each(|breach| println!("  {breach}"));
    println!(
        "run it again: cargo run -p sim -- --seed {} --trace",
        outcome.seed
    );
}

#[derive(Default)]
struct Total {
    scenarios: u64,
    passes: u64,
    effects: u64,
    recorded: u64,
    forgotten: u64,
    written_too_late: u64,
    faults: BTreeMap<String, u64>,
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.scenarios += 1;
        self.passes += outcome.passes;
        self.effects += outcome.effects;
        self.recorded += outcome.counts.recorded;
        self.forgotten += outcome.counts.forgotten;
        self.written_too_late += outcome.counts.written_too_late;
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
    }

    fn summary(&self, took: Duration) -> String {
        let faults: u64 = self.faults.values().sum();
        let kinds: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        format!(
            "{} scenarios, {} passes, {faults} faults, {} effects, {} recordings ({} forgotten by a device's own card, {} written to after the last inspection), 0 lost, in {:.1} s\nfaults: {}",
            self.scenarios,
            self.passes,
            self.effects,
            self.recorded,
            self.forgotten,
            self.written_too_late,
            took.as_secs_f64(),
            kinds.join(", ")
        )
    }
}
