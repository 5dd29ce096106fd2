//! `gleaner audit`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Compares the store with the ledger.
pub fn audit(_arguments: &cli::Audit, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `audit` yet"))
}
