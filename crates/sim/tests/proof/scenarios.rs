//! Seeded scenarios: a whole fleet, its store and its collectors, with everything going wrong for about an
//! hour.

use std::time::{SystemTime, UNIX_EPOCH};

use sim::simulator::scenario::{Outcome, run};

/// Seeds of every run. A change of the model changes every scenario, so a finding belongs in a test of its
/// own.
const FIXED: [u64; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
];

fn keeps_promises(seed: u64) -> Outcome {
    let outcome = run(seed, 60).unwrap();
    assert!(
        outcome.breaches.is_empty(),
        "seed {seed} breaks a promise:\n  {}\nhow it ended:\n  {}\nrun it again: cargo run -p sim -- --seed {seed} --trace",
        outcome.breaches.join("\n  "),
        outcome.lines.join("\n  ")
    );
    outcome
}

fn keep_promises(seeds: &[u64]) {
    let (mut passes, mut faults) = (0, 0);
    for seed in seeds {
        let outcome = keeps_promises(*seed);
        passes += outcome.passes;
        faults += outcome.faults.values().sum::<u64>();
    }
    println!("{} seeds, {passes} passes, {faults} faults", seeds.len());
    assert!(
        passes > 100 && faults > 100,
        "too little happens in these scenarios"
    );
}

#[test]
fn every_promise_is_kept_in_the_first_half_of_the_fixed_scenarios() {
    keep_promises(&FIXED[..12]);
}

#[test]
fn every_promise_is_kept_in_the_second_half_of_the_fixed_scenarios() {
    keep_promises(&FIXED[12..]);
}

#[test]
fn every_promise_is_kept_in_fresh_scenarios() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = now.as_secs() << 10;
    println!("fresh seeds from {first}");
    let fresh: Vec<u64> = (0..6).map(|number| first + number).collect();
    keep_promises(&fresh);
}

#[test]
fn the_same_seed_gives_the_same_scenario() {
    let (first, second) = (keeps_promises(33), keeps_promises(33));
    assert_eq!(
        (first.fingerprint, first.effects),
        (second.fingerprint, second.effects)
    );
    assert_eq!(first.lines, second.lines);
    assert_ne!(first.fingerprint, keeps_promises(34).fingerprint);
}
