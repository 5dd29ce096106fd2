//! The soak: real gleaners, real servers and real disks, and faults of all of them at random moments under
//! load, repeatedly. After every round it checks the promises. `cargo xtask soak` runs it; CONTRIBUTING.md
//! explains how to read it.
//!
//! The harness is that of the integration tests. `fault` has the kinds of faults and their choice, `inject`
//! injects them, `camera` records meanwhile, `trial` is a fleet and its rounds. `round_report` assesses the
//! runs of a round, `artifacts` is what is kept of a failure, `setup` has the options and the environment.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "nothing here is shipped: any error must end the soak at once"
)]
#![allow(
    dead_code,
    reason = "the harness is shared with the integration tests, which use more of it"
)]

#[path = "../it/backup.rs"]
mod backup;
#[path = "../it/checks.rs"]
mod checks;
#[path = "../it/context.rs"]
mod context;
#[path = "../it/device.rs"]
mod device;
#[path = "../it/disk.rs"]
mod disk;
#[path = "../it/json.rs"]
mod json;
#[path = "../it/mounts.rs"]
mod mounts;
#[path = "../it/outcome.rs"]
mod outcome;
#[path = "../it/promises.rs"]
mod promises;
#[path = "../it/recording.rs"]
mod recording;
#[path = "../it/rng.rs"]
mod rng;

mod artifacts;
mod camera;
mod fault;
mod figures;
mod inject;
mod round_report;
mod setup;
mod trial;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use artifacts::Artifacts;
use clap::Parser;
use fault::{FaultPicker, Media};
use figures::Figures;
use promises::{Promise, Violation};
use rng::Rng;
use setup::Options;
use trial::Trial;

fn main() -> ExitCode {
    // `cargo test` passes other arguments.
    if !std::env::args().any(|argument| argument == "--seconds") {
        println!("soak: left out; `cargo xtask soak` runs it");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    setup::enter_own_mounts();
    setup::watch_signals();
    let available = setup::detect_media();
    println!(
        "soak with seed {} for {} s; again: cargo xtask soak --seconds {} --seed {}",
        options.seed,
        options.time().as_secs(),
        options.time().as_secs(),
        options.seed
    );
    let mut figures = Figures::default();
    let result = soak(&options, available, &mut figures);
    println!("\nseed {}: {figures}", options.seed);
    match result {
        Ok(()) if setup::is_stop_requested() => {
            println!("stopped by a signal; 0 lost until then");
            ExitCode::from(130)
        }
        Ok(()) => {
            println!("0 lost; every promise held");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("FAILED: {broken}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one trial after the other until the time is over.
fn soak(options: &Options, available: Media, figures: &mut Figures) -> Result<(), String> {
    let began = Instant::now();
    let rng = Rng::from_seed(options.seed);
    let mut picker = FaultPicker::new(rng.branch(0));
    while began.elapsed() < options.time() && !setup::is_stop_requested() {
        figures.fleets += 1;
        let number = figures.fleets;
        let own = rng.branch(u64::try_from(number).expect("a number"));
        let artifacts = Artifacts::new(&options.folder());
        println!("fleet {number}, {} s", began.elapsed().as_secs());
        let start = AssertUnwindSafe(|| Trial::start(number - 1, available, own.clone(), artifacts));
        let mut trial =
            catch_unwind(start).map_err(|panic| format!("no fleet: {}", panic_message(&*panic)))?;
        let rounds = own.branch(1).between(2, 6);
        let deadline = began + options.time();
        let broken = run_rounds(&mut trial, rounds, deadline, &mut picker, figures);
        figures.elapsed = began.elapsed();
        if setup::is_stop_requested() {
            // The servers may have received the signal too, so violations found now mean nothing.
            trial.artifacts.remove();
            return Ok(());
        }
        if !broken.is_empty() {
            trial.artifacts.keep(&trial.fleet);
            let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
            let report = format!(
                "seed {}, fleet {number}\n{}\nkept: {}",
                options.seed,
                lines.join("\n"),
                trial.artifacts.folder.display()
            );
            return Err(report);
        }
        trial.artifacts.remove();
    }
    Ok(())
}

/// Runs the rounds of one trial, then its final sweeps. A panic of a camera, a server, or the soak itself is
/// a violation too.
fn run_rounds(
    trial: &mut Trial,
    rounds: usize,
    deadline: Instant,
    picker: &mut FaultPicker,
    figures: &mut Figures,
) -> Vec<Violation> {
    let work = AssertUnwindSafe(|| {
        for round in 1..=rounds {
            let found = trial.round(round, picker, figures);
            if !found.is_empty() || setup::is_stop_requested() {
                return found;
            }
            if Instant::now() + Duration::from_secs(1) > deadline {
                break;
            }
        }
        trial.finish(figures)
    });
    catch_unwind(work).unwrap_or_else(|panic| {
        vec![Violation {
            promise: Promise::EndsCleanly,
            what: panic_message(&*panic),
        }]
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}
