//! `gleaner store`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Prepares the store.
pub fn store(_arguments: &cli::Store, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `store` yet"))
}
