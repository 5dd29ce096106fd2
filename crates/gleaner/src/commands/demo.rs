//! `gleaner demo`: empties a simulated fleet in one process tree, while the user watches.

#[cfg(feature = "demo")]
mod inventory;
#[cfg(feature = "demo")]
mod steps;

use crate::cli;
use crate::commands::Context;
use crate::exit::{ExitStatus, Failure};

/// Demonstrates gleaner on simulated devices.
#[cfg(feature = "demo")]
pub fn demo(arguments: &cli::DemoArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    steps::run(arguments.keep.as_deref(), context)
}

/// Fails: this build has no simulated fleet.
#[cfg(not(feature = "demo"))]
pub fn demo(_arguments: &cli::DemoArgs, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(
        Failure::usage("this gleaner was built without the simulated fleet")
            .help("build it with `--features demo`"),
    )
}
