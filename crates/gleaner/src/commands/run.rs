//! `gleaner run`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Visits each device once.
pub fn run(_arguments: &cli::Run, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `run` yet"))
}
