//! `gleaner status`.

use crate::cli;
use crate::commands::Context;
use crate::{ExitStatus, Failure};

/// Tells the state of each device.
pub fn status(_arguments: &cli::Status, _context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this version cannot do `status` yet"))
}
