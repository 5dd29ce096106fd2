//! `gleaner demo`: a simulated fleet in one process tree, emptied before one's eyes.

#[cfg(feature = "demo")]
mod inventory;
#[cfg(feature = "demo")]
mod steps;

use crate::cli;
use crate::commands::Context;
use crate::exit::{ExitStatus, Failure};

/// Shows what gleaner does, on devices that it simulates itself.
#[cfg(feature = "demo")]
pub fn demo(arguments: &cli::DemoArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    steps::run(arguments.keep.as_deref(), context)
}

/// Says that this build has none.
#[cfg(not(feature = "demo"))]
pub fn demo(_arguments: &cli::DemoArgs, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(
        Failure::usage("this gleaner was built without the simulated fleet")
            .help("build it with `--features demo`"),
    )
}
