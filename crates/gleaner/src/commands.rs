//! One file per command, named after it. A command reads the configuration if needed, does its work through
//! the other crates, and prints its result. A command never prints an error: it returns the error.

pub mod audit;
pub mod completions;
pub mod config;
pub mod demo;
pub mod disk;
pub mod files;
pub mod ledger;
pub mod man;
pub mod run;
pub mod status;
pub mod store;

use std::io::Write as _;

use crate::cli::{Command, Global};
use crate::config::Config;
use crate::environment::Environment;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;

/// The input of every command.
#[derive(Debug)]
pub struct Context<'a> {
    /// The options that every command has.
    pub global: &'a Global,
    /// The environment variables.
    pub environment: &'a Environment,
    /// The stream of results.
    pub output: &'a mut Output,
}

impl Context<'_> {
    /// Finds, reads and checks the configuration. Errors are the failure. Prints warnings to standard error
    /// only with `-v`: a service would repeat them every minute, and `gleaner config check` prints them.
    pub fn configuration(&self) -> Result<Config, Failure> {
        if self.global.verbose == 0 {
            self.checked().map(|checked| checked.config)
        } else {
            self.configuration_and_warnings()
        }
    }

    /// Does the same, and prints its warnings to standard error.
    pub fn configuration_and_warnings(&self) -> Result<Config, Failure> {
        let checked = self.checked()?;
        // If standard error is closed, there is no other place for warnings.
        write!(std::io::stderr(), "{}", checked.warnings).unwrap_or_default();
        Ok(checked.config)
    }

    fn checked(&self) -> Result<crate::config::CheckedConfig, Failure> {
        crate::config::load(self.global.config.as_deref(), self.environment)
    }
}

/// Runs the command.
pub fn dispatch(command: &Command, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        Command::Run(arguments) => run::run(arguments, context),
        Command::Status(arguments) => status::status(arguments, context),
        Command::Files(arguments) => files::files(arguments, context),
        Command::Audit(arguments) => audit::audit(arguments, context),
        Command::Disk(arguments) => disk::disk(arguments, context),
        Command::Store { command } => store::store(command, context),
        Command::Ledger { command } => ledger::ledger(command, context),
        Command::Config { command } => config::config(command, context),
        Command::Demo(arguments) => demo::demo(arguments, context),
        Command::Completions(arguments) => completions::completions(arguments, context),
        Command::Man(arguments) => man::man(arguments, context),
    }
}
