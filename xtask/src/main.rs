//! `cargo xtask`: the project's own chores, in Rust so that they run wherever the project builds.
//!
//! Never shipped and never a dependency of anything. Begin reading at [`ci`], which lists what a change must pass.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
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

/// The chores of the project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything a change must pass; with names, only those steps
    Ci {
        /// Names of steps
        steps: Vec<String>,
    },
    /// What takes longer, before a release: mutants, simulator, soak, fuzz, instructions, package
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
    /// Check the rules that no compiler knows: sizes, names, the map, links
    Tidy,
    /// Write docs/reference from the program itself
    Reference {
        /// Write nothing, and fail if a page is out of date
        #[arg(long)]
        check: bool,
    },
    /// Build the release binary and the Debian package, below target/debian
    Package,
    /// Put deliberate faults into a copy of the code, and see that each is caught
    Mutants(mutants::Options),
    /// Look for input that breaks what must hold
    Fuzz(fuzz::Options),
    /// Break real servers, links and disks at random moments, over and over
    Soak(soak::Options),
    /// Count the instructions of the hot paths and compare them with instructions/kept.toml
    Instructions(instructions::Options),
    /// Measure gleaner beside its peers, over emulated links
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
