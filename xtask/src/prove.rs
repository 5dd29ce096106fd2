//! The checks that take too long for every change. They run before a release, and before an issue is called
//! resolved.

use std::process::Command;

use anyhow::{Context, Result};

use crate::checklist::{self, Step};
use crate::command::{self, cargo};
use crate::workspace::Workspace;
use crate::{debian, fuzz, instructions, mutants, package, soak};

const STEPS: [Step; 7] = [
    Step {
        name: "setup",
        run: |_| debian::install_what_is_missing(),
    },
    Step {
        name: "mutants",
        run: mutants::prove,
    },
    Step {
        name: "simulator",
        run: simulator,
    },
    Step {
        name: "soak",
        run: soak::prove,
    },
    Step {
        name: "fuzz",
        run: fuzz::prove,
    },
    Step {
        name: "instructions",
        run: |workspace| instructions::run(workspace, &instructions::Options::default()),
    },
    Step {
        name: "package",
        run: package::build_and_check,
    },
];

/// How long the simulator runs. It does about 14,000 passes a minute.
const SIMULATOR_SECONDS: &str = "180";

/// Runs all steps, or only the named ones.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    checklist::run(workspace, &STEPS, names)
}

/// Runs the simulator with fresh seeds for some minutes. `cargo xtask ci` has the fixed seeds and a few fresh
/// ones.
fn simulator(workspace: &Workspace) -> Result<String> {
    command::run(cargo(&workspace.root).args(["build", "--workspace", "--locked", "--bin", "sim"]))?;
    let mut sim = Command::new(workspace.target.join("debug/sim"));
    let output = command::tee(sim.args(["--seconds", SIMULATOR_SECONDS]))?;
    simulator_figure(&output)
}

/// `900 stories, 42,000 passes` of the line with the totals.
fn simulator_figure(output: &str) -> Result<String> {
    let totals = output.lines().find(|line| line.contains(" 0 lost, "));
    let totals = totals.context("the simulator printed no totals")?;
    let done: Vec<_> = totals.split(", ").take(2).collect();
    Ok(format!("{}, 0 lost", done.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulators_figure_comes_from_its_totals() {
        let output = "first seed: 7\n9 stories, 400 passes, 31 faults, 7 effects, 5 recordings (0 forgotten), 0 lost, in 1.0 s\n";
        assert_eq!(simulator_figure(output).unwrap(), "9 stories, 400 passes, 0 lost");
        assert!(simulator_figure("first seed: 7\n").is_err());
    }
}
