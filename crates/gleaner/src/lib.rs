//! The command line of gleaner: what can be typed, what is configured, and one function per command.
//!
//! This crate holds the edge of the program: it alone prints, reads the environment and decides on the exit status.
//! It holds no part of the way of a file; that is the engine's.
//!
//! Begin reading with [`cli`], then [`commands`]; the configuration is a story of its own, in [`config`].

pub mod cli;
pub mod commands;
pub mod config;
pub mod environment;
pub mod exit;
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

/// Runs one command line, whose first argument is the program's name, and says how it ended.
///
/// Results go to standard output; whatever went wrong is printed once, here, on standard error.
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

/// Prints what clap has to say: the help or version that was asked for, or why the line makes no sense.
fn refused(mut refusal: clap::Error) -> ExitStatus {
    if refusal.kind() == ErrorKind::UnknownArgument {
        // That it could be passed as a value after `--` helps nobody: no command takes values that look like this.
        refusal.remove(ContextKind::Suggested);
    }
    // A closed standard output or error leaves nobody to tell.
    refusal.print().unwrap_or_default();
    if refusal.use_stderr() {
        ExitStatus::Usage
    } else {
        ExitStatus::Well
    }
}
