//! Assesses the runs of a round: whether the injected faults explain how they ended. Counts and summarises
//! them.

use crate::fault::Kind;
use crate::figures::Figures;
use crate::outcome::Outcome;
use crate::promises::{Breach, Promise, breaches};
use crate::strike::Struck;

/// Returns the runs whose end the injected faults do not explain.
pub(crate) fn unfit_ends(outcomes: &[Outcome], struck: &[Struck]) -> Vec<Breach> {
    let was_killed = |struck: &Struck| matches!(struck.kind, Kind::KillGleaner | Kind::KillGleanerGroup);
    let may_be_killed = struck.iter().any(was_killed);
    let may_be_refused = struck.iter().any(|struck| struck.kind.is_of_the_home());
    let judge = |outcome: &Outcome| {
        let fits = match outcome.code() {
            Some(0) => true,
            Some(1 | 5) => !struck.is_empty(),
            Some(3) => may_be_refused,
            Some(_) => false,
            None => may_be_killed,
        };
        (!fits || outcome.contains("panicked")).then(|| format!("{struck:?}: {}", outcome.told()))
    };
    breaches(Promise::EndsInOrder, outcomes.iter().filter_map(judge))
}

pub(crate) fn count(outcomes: &[Outcome], struck: &[Struck], figures: &mut Figures) {
    figures.rounds += 1;
    figures.runs += outcomes.len();
    for struck in struck {
        let counts = if struck.is_kill {
            &mut figures.kills
        } else {
            &mut figures.others
        };
        *counts.entry(struck.victim.clone()).or_default() += 1;
    }
    for outcome in outcomes {
        let end = outcome
            .code()
            .map_or("SIGKILL".to_owned(), |code| format!("exit status {code}"));
        *figures.ends.entry(end).or_default() += 1;
    }
}

/// Summarises the round in one line.
pub(crate) fn told(round: usize, outcomes: &[Outcome], struck: &[Struck]) -> String {
    let faults: Vec<&str> = struck.iter().map(|struck| struck.victim.as_str()).collect();
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
