//! `cargo xtask`: the project's own chores, in Rust so that they run wherever the project builds.
//!
//! Never shipped and never a dependency of anything. Begin reading at [`ci`], which is the list of what a change must pass.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod bench;
mod ci;
mod command;
mod debian;
mod deny;
mod fuzz;
mod instructions;
mod mutants;
mod package;
mod reference;
mod soak;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <verb>

  ci [STEP]...         everything a change must pass; with names, only those steps
  test [ARGUMENT]...   install what the tests need, then `cargo test --workspace --locked ARGUMENT...`
  fuzz [--seconds N] [--target NAME]
                       look for input that breaks what must hold: a few seconds for each target, or N
  fuzz --replay FILE   one such input again; its folder is called after the target
  fuzz --minimise [--target NAME]
                       keep the fewest inputs that reach all that was reached
  soak [--seconds N] [--seed S]
                       faults of every kind at random moments, over and over; 20 minutes if not said
  bench [--work NAME]... [--link NAME]... [--tool NAME]... [--rounds N] [--gleaner PATH]... [--limit SECONDS]
        [--folder DIR] [--scale PERCENT] [--write]
                       gleaner beside its peers, over emulated links; some hours for all of it. Several PATHs are several
                       builds side by side; `--scale 1 --rounds 1` is a trial; `--write` writes docs/reference/benchmarks.md
                       from all that was measured, `--rounds 0 --write` without measuring anything
  bench growth [--of files|ledger|fleet]... [--least N] [--most N] [--rounds N] [--gleaner PATH] [--limit SECONDS]
        [--folder DIR] [--write]
                       how the cost grows with the files on a device, the ledger, the fleet; `--write` writes
                       docs/reference/growth.md and its plots
  instructions [--write] [NAME]...
                       count the instructions of the hot paths and compare with instructions/kept.toml, or write it
  tidy                 the rules that no compiler knows: sizes, names, the map, links
  reference [--check]  write docs/reference from the program itself, or see that it is up to date
  mutants [FAULT]...   put deliberate faults into a copy of the code, and see that each is caught
  mutants --all [ARGUMENT]...
                       `cargo mutants ARGUMENT...` on the way to the commit: every change that it knows of, most of an hour
  package              build the release binary and target/debian/gleaner_<version>_<architecture>.deb
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    if matches!(verb.as_str(), "" | "help" | "-h" | "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let workspace = Workspace::load()?;
    match (verb.as_str(), rest.as_slice()) {
        ("ci", steps) => ci::run(&workspace, steps),
        ("test", arguments) => {
            debian::install_what_is_missing()?;
            ci::test(&workspace, arguments)
        }
        ("fuzz", arguments) => fuzz::run(&workspace, &fuzz::Wanted::read(arguments)?),
        ("soak", arguments) => soak::run(&workspace, arguments),
        ("bench", arguments) => bench::run(&workspace, arguments),
        ("instructions", arguments) => instructions::run(&workspace, arguments),
        ("tidy", []) => tidy::run(&workspace),
        ("reference", []) => reference::write(&workspace),
        ("reference", [check]) if check == "--check" => reference::check(&workspace),
        ("mutants", [all, arguments @ ..]) if all == "--all" => mutants::all::run(&workspace, arguments),
        ("mutants", only) => mutants::run(&workspace, only),
        ("package", []) => package::build(&workspace),
        _ => bail!("cannot make sense of `{verb} {}`\n\n{USAGE}", rest.join(" ")),
    }
}
