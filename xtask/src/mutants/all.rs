//! Grades the tests of the code up to the commit with cargo-mutants, which changes the code everywhere.
//!
//! `.cargo/mutants.toml` lists what is changed, and the changes that no test can notice. This takes most of
//! an hour, so it is not a step of the full check.

use std::fs;
use std::process::Stdio;

use anyhow::{Result, bail};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// Each mutant runs only the tests of its own crate: a promise that only another crate's tests check is
/// easily lost.
const PACKAGES: [&str; 2] = ["storage", "engine"];

/// Runs cargo-mutants with `arguments`. Fails if a mutant survives, and prints where the outcomes are.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if !is_installed(workspace) {
        bail!(
            "cargo-mutants is not installed; type: cargo install --locked cargo-mutants (takes some minutes)"
        );
    }
    let outcomes = workspace.root.join("target/mutants/all");
    fs::create_dir_all(&outcomes)?;
    let mut mutants = cargo(&workspace.root);
    mutants.arg("mutants");
    mutants.args(PACKAGES.map(|package| format!("--package={package}")));
    mutants.arg("--output").arg(&outcomes).args(arguments);
    command::run(&mut mutants)
}

fn is_installed(workspace: &Workspace) -> bool {
    let mut version = cargo(&workspace.root);
    version.args(["mutants", "--version"]);
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
