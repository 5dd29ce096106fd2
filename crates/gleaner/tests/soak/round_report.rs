//! Assesses the runs of a round: whether the injected faults explain how they ended. Counts and summarises
//! them.

use crate::fault::FaultKind;
use crate::figures::Figures;
use crate::inject::InjectedFault;
use crate::outcome::Outcome;
use crate::promises::{Promise, Violation, violations};

/// Returns the runs whose end the injected faults do not explain.
pub(crate) fn unexpected_ends(outcomes: &[Outcome], injected: &[InjectedFault]) -> Vec<Violation> {
    let was_killed = |injected: &InjectedFault| {
        matches!(
            injected.kind,
            FaultKind::KillGleaner | FaultKind::KillGleanerGroup
        )
    };
    let may_be_killed = injected.iter().any(was_killed);
    let may_be_refused = injected
        .iter()
        .any(|injected| injected.kind.affects_store_or_ledger());
    let violation_of = |outcome: &Outcome| {
        let fits = match outcome.code() {
            Some(0) => true,
            Some(1 | 5) => !injected.is_empty(),
            Some(3) => may_be_refused,
            Some(_) => false,
            None => may_be_killed,
        };
        (!fits || outcome.contains("panicked")).then(|| format!("{injected:?}: {}", outcome.transcript()))
    };
    violations(Promise::EndsCleanly, outcomes.iter().filter_map(violation_of))
}

pub(crate) fn count(outcomes: &[Outcome], injected: &[InjectedFault], figures: &mut Figures) {
    figures.rounds += 1;
    figures.runs += outcomes.len();
    for injected in injected {
        let counts = if injected.is_kill {
            &mut figures.kills
        } else {
            &mut figures.others
        };
        *counts.entry(injected.target.clone()).or_default() += 1;
    }
    for outcome in outcomes {
        let end = outcome
            .code()
            .map_or("SIGKILL".to_owned(), |code| format!("exit status {code}"));
        *figures.ends.entry(end).or_default() += 1;
    }
}

/// Summarises the round in one line.
pub(crate) fn summary(round: usize, outcomes: &[Outcome], injected: &[InjectedFault]) -> String {
    let faults: Vec<&str> = injected.iter().map(|injected| injected.target.as_str()).collect();
    let codes: Vec<String> = outcomes
        .iter()
        .map(|outcome| {
            outcome
                .code()
                .map_or("killed".to_owned(), |code| code.to_string())
        })
        .collect();
    let faults = if faults.is_empty() {
        "no fault".to_owned()
    } else {
        faults.join("; ")
    };
    format!("round {round}: {faults}; ended with {}", codes.join(", "))
}
