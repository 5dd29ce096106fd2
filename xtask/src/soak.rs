//! The soak: faults of every kind at random moments, repeatedly (`crates/gleaner/tests/soak`).

use anyhow::Result;

use crate::command::{cargo, tee};
use crate::debian;
use crate::workspace::Workspace;

/// How the soak runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long; every kind of fault occurs several times in 20 minutes
    #[arg(long, default_value_t = 1200)]
    seconds: u32,
    /// Repeat the choice of faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
}

/// The runs of [`prove`]: always the same choice of faults, then a new one.
const PROOFS: [Options; 2] = [
    Options {
        seconds: 60,
        seed: Some(1),
    },
    Options {
        seconds: 120,
        seed: None,
    },
];

/// Runs the soak for the time in the options.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    debian::install_what_is_missing()?;
    soak(workspace, options).map(drop)
}

/// Runs the soak for some minutes, as a step of `cargo xtask prove`.
pub(crate) fn prove(workspace: &Workspace) -> Result<String> {
    let mut left_out = "";
    for options in &PROOFS {
        if soak(workspace, options)?.contains("LEFT OUT") {
            left_out = ", parts skipped";
        }
    }
    let seconds: u32 = PROOFS.iter().map(|options| options.seconds).sum();
    Ok(format!("{seconds} s, 0 lost{left_out}"))
}

/// Returns the soak's output.
fn soak(workspace: &Workspace, options: &Options) -> Result<String> {
    let mut command = cargo(&workspace.root);
    command.args(["test", "--quiet", "--locked", "--workspace", "--test", "soak"]);
    command.args(["--", "--seconds"]);
    command.arg(options.seconds.to_string());
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    tee(&mut command)
}
