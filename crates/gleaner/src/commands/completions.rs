//! `gleaner completions`.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli;
use crate::commands::Context;
use crate::exit::{ExitStatus, Failure};

/// Prints the completion script for a shell.
pub fn completions(
    arguments: &cli::CompletionsArgs,
    context: &mut Context<'_>,
) -> Result<ExitStatus, Failure> {
    // The generator panics if its stream fails; a vector never fails.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut cli::CommandLine::command(),
        "gleaner",
        &mut script,
    );
    context.output.write_all(&script)?;
    Ok(ExitStatus::Well)
}
