//! `gleaner demo`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Empties a simulated fleet.
pub fn demo(_arguments: &cli::Demo, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `demo` yet"))
}
