//! `cargo xtask`: the project's checks and tools, in Rust so that they run wherever the project builds.
//!
//! Not shipped, and not a dependency of any crate. Start reading at [`ci`], which lists the checks for a
//! change.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output of a command-line tool"
)]

mod bench;
mod checklist;
mod ci;
mod command;
mod debian;
mod deny;
mod fuzz;
mod instructions;
mod mutants;
mod package;
mod prove;
mod reference;
mod soak;
mod testing;
mod tidy;
mod tool;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use workspace::Workspace;

/// The checks and tools of the project
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run all checks for a change, or only the named steps
    Ci {
        /// Names of steps
        steps: Vec<String>,
    },
    /// Run the longer checks before a release: mutants, simulator, soak, fuzz, instructions, package
    Prove {
        /// Names of steps
        steps: Vec<String>,
    },
    /// Install what the tests need, then run `cargo test --workspace` with these arguments
    Test {
        /// Arguments for `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check rules beyond the compiler: sizes, names, wording, circles, the map, links
    Tidy,
    /// Write docs/reference from the program
    Reference {
        /// Write nothing; fail if a page is out of date
        #[arg(long)]
        check: bool,
    },
    /// Build the release binary and the Debian package below target/debian
    Package,
    /// Insert deliberate faults into a copy of the code and check that each is caught
    Mutants(mutants::Options),
    /// Search for inputs that break a property
    Fuzz(fuzz::Options),
    /// Break real servers, links and disks at random moments, repeatedly
    Soak(soak::Options),
    /// Count the instructions of the hot paths and compare them with instructions/kept.toml
    Instructions(instructions::Options),
    /// Compare gleaner with other tools over emulated links
    Bench(Box<bench::Options>),
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    let workspace = Workspace::load()?;
    match verb {
        Verb::Ci { steps } => ci::run(&workspace, &steps),
        Verb::Prove { steps } => prove::run(&workspace, &steps),
        Verb::Test { arguments } => {
            debian::install_what_is_missing()?;
            testing::run(&workspace, &arguments).map(drop)
        }
        Verb::Tidy => tidy::run(&workspace).map(drop),
        Verb::Reference { check: true } => reference::check(&workspace).map(drop),
        Verb::Reference { check: false } => reference::write(&workspace),
        Verb::Package => package::build(&workspace),
        Verb::Mutants(options) => mutants::run(&workspace, &options),
        Verb::Fuzz(options) => fuzz::run(&workspace, &options).map(drop),
        Verb::Soak(options) => soak::run(&workspace, &options),
        Verb::Instructions(options) => instructions::run(&workspace, &options).map(drop),
        Verb::Bench(options) => bench::run(&workspace, &options),
    }
}
