//! Runs all tests of all crates.

use anyhow::{Result, ensure};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// Tests of one program that run in parallel, per core. Most of them wait for servers, not for the processor.
const TESTS_PER_CORE: usize = 4;

/// Runs all tests and passes `arguments` to cargo. A failure in one program does not stop the others.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<String> {
    let mut tests = cargo(&workspace.root);
    tests
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .args(arguments);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        tests.env("RUST_TEST_THREADS", (cores * TESTS_PER_CORE).to_string());
    }
    let output = command::tee(&mut tests)?;
    let passed = passed_in(&output);
    ensure!(passed > 0, "no test ran");
    Ok(format!("{passed} tests"))
}

/// The sum over the summary lines of all test programs.
fn passed_in(output: &str) -> u64 {
    let last_lines = output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    let numbers = last_lines.filter_map(|line| line.split_once(" passed")?.0.parse::<u64>().ok());
    numbers.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_all_programs_are_counted() {
        let output = "test a::b ... ok\ntest result: ok. 45 passed; 0 failed; 0 ignored\n\
                      test result: ok. 3 passed; 0 failed\n";
        assert_eq!(passed_in(output), 48);
    }
}
