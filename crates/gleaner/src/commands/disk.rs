//! `gleaner disk`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Asks each device how full it is.
pub fn disk(_arguments: &cli::Disk, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `disk` yet"))
}
