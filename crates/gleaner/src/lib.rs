//! The command line of gleaner: arguments, configuration, and one function per command.
//!
//! This crate is the outermost layer: only this crate prints, reads the environment and decides on the exit
//! status. The transfer of files is the engine's task; no part of it is here.
//!
//! Start with [`cli`], then [`commands`]. The configuration is in [`config`].

pub mod cli;
pub mod commands;
pub mod config;
pub mod environment;
pub mod exit;
mod failures;
mod holding;
mod ledger_mount;
pub mod output;
pub mod report;
pub mod wiring;

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::{ContextKind, ErrorKind};

pub use config::Config;
pub use environment::Environment;
pub use exit::{ExitStatus, Failure};
pub use output::Output;

/// Runs one command line, whose first argument is the program's name, and returns the exit status.
///
/// Results go to standard output. An error is printed once, here, to standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitStatus {
    let line = match cli::CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(refusal) => return refused(refusal),
    };
    let mut output = Output::standard();
    let mut context = commands::Context {
        global: &line.global,
        environment,
        output: &mut output,
    };
    let outcome = commands::dispatch(&line.command, &mut context);
    let flushed = output.flush().map_err(Failure::from);
    match outcome.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status,
        Err(failure) => {
            failure.report(&mut std::io::stderr().lock());
            failure.status()
        }
    }
}

/// Prints the output of clap: the requested help or version, or the error in the command line.
fn refused(mut refusal: clap::Error) -> ExitStatus {
    if refusal.kind() == ErrorKind::UnknownArgument {
        // Drop clap's advice to pass it after `--`: no command takes such values.
        refusal.remove(ContextKind::Suggested);
    }
    // If standard output or error is closed, there is no other place to print to.
    refusal.print().unwrap_or_default();
    if refusal.use_stderr() {
        ExitStatus::Usage
    } else {
        ExitStatus::Well
    }
}
