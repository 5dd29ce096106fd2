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
#[path = "../it/chance.rs"]
mod chance;
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

mod camera;
mod campaign;
mod evidence;
mod fault;
mod figures;
mod setting;
mod strike;
mod verdict;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use campaign::Campaign;
use chance::Chance;
use clap::Parser;
use evidence::Evidence;
use fault::{Deck, Equipment};
use figures::Figures;
use promises::{Breach, Promise};
use setting::Settings;

fn main() -> ExitCode {
    // `cargo test` passes other arguments.
    if !std::env::args().any(|argument| argument == "--seconds") {
        println!("soak: left out; `cargo xtask soak` runs it");
        return ExitCode::SUCCESS;
    }
    let settings = Settings::parse();
    setting::enter_own_mounts();
    setting::watch_signals();
    let available = setting::look_for_equipment();
    println!(
        "soak with seed {} for {} s; again: cargo xtask soak --seconds {} --seed {}",
        settings.seed,
        settings.time().as_secs(),
        settings.time().as_secs(),
        settings.seed
    );
    let mut figures = Figures::default();
    let verdict = soak(&settings, available, &mut figures);
    println!("\nseed {}: {figures}", settings.seed);
    match verdict {
        Ok(()) if setting::is_asked_to_stop() => {
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
fn soak(settings: &Settings, available: Equipment, figures: &mut Figures) -> Result<(), String> {
    let began = Instant::now();
    let chance = Chance::of(settings.seed);
    let mut deck = Deck::of(chance.branch(0));
    while began.elapsed() < settings.time() && !setting::is_asked_to_stop() {
        figures.campaigns += 1;
        let number = figures.campaigns;
        let own = chance.branch(u64::try_from(number).expect("a number"));
        let evidence = Evidence::new(&settings.folder());
        println!("fleet {number}, {} s", began.elapsed().as_secs());
        let start = AssertUnwindSafe(|| Campaign::start(number - 1, available, own.clone(), evidence));
        let mut campaign = catch_unwind(start).map_err(|panic| format!("no fleet: {}", words_of(&*panic)))?;
        let rounds = own.branch(1).between(2, 6);
        let deadline = began + settings.time();
        let broken = rounds_of(&mut campaign, rounds, deadline, &mut deck, figures);
        figures.elapsed = began.elapsed();
        if setting::is_asked_to_stop() {
            // The servers may have received the signal too, so violations found now mean nothing.
            campaign.evidence.remove();
            return Ok(());
        }
        if !broken.is_empty() {
            campaign.evidence.keep(&campaign.fleet);
            let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
            let told = format!(
                "seed {}, fleet {number}\n{}\nkept: {}",
                settings.seed,
                lines.join("\n"),
                campaign.evidence.folder.display()
            );
            return Err(told);
        }
        campaign.evidence.remove();
    }
    Ok(())
}

/// Runs the rounds of one trial, then its final sweeps. A panic of a camera, a server, or the soak itself is
/// a violation too.
fn rounds_of(
    campaign: &mut Campaign,
    rounds: usize,
    deadline: Instant,
    deck: &mut Deck,
    figures: &mut Figures,
) -> Vec<Breach> {
    let work = AssertUnwindSafe(|| {
        for round in 1..=rounds {
            let found = campaign.round(round, deck, figures);
            if !found.is_empty() || setting::is_asked_to_stop() {
                return found;
            }
            if Instant::now() + Duration::from_secs(1) > deadline {
                break;
            }
        }
        campaign.finish(figures)
    });
    catch_unwind(work).unwrap_or_else(|panic| {
        vec![Breach {
            promise: Promise::EndsInOrder,
            what: words_of(&*panic),
        }]
    })
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}
