//! The soak: faults of every kind at random moments, over and over (`crates/gleaner/tests/soak`).

use anyhow::Result;

use crate::command::{cargo, run as run_command};
use crate::debian;
use crate::workspace::Workspace;

/// Long enough for every kind of fault to come several times.
const LONG_SECONDS: &str = "1200";
/// Half of the short one: always the same choice of faults, and one that nobody has seen before.
const SHORT_SECONDS: &str = "18";
const FIXED_SEED: &str = "1";

/// As long as the arguments say.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    debian::install_what_is_missing()?;
    let mut all = vec!["--seconds", LONG_SECONDS];
    // What is said later counts.
    all.extend(arguments.iter().map(String::as_str));
    soak(workspace, &all)
}

/// What a change must pass.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    soak(workspace, &["--seconds", SHORT_SECONDS, "--seed", FIXED_SEED])?;
    soak(workspace, &["--seconds", SHORT_SECONDS])
}

fn soak(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    run_command(
        cargo(&workspace.root)
            .args([
                "test",
                "--quiet",
                "--locked",
                "--package",
                "gleaner",
                "--test",
                "soak",
                "--",
            ])
            .args(arguments),
    )
}
