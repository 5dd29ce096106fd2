//! `gleaner files`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Lists the record.
pub fn files(_arguments: &cli::Files, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `files` yet"))
}
