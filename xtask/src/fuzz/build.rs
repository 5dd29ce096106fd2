//! Builds the fuzzer with a stable compiler.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::debian;
use crate::workspace::Workspace;

/// The flags of `cargo fuzz` that a stable compiler accepts: counters at every edge, which libFuzzer reads,
/// and the operands of comparisons, from which it learns what a parser expects.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// Builds the fuzzer and returns its path.
pub(super) fn fuzzer(workspace: &Workspace) -> Result<PathBuf> {
    debian::install_if_missing("c++")?;
    // Naming a target keeps the flags away from build scripts, which would fail to link without libFuzzer.
    let host = command::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let target_folder = workspace.target.join("fuzz/build");
    let mut build = cargo(&workspace.root);
    build
        .args([
            "build",
            "--locked",
            "--package",
            "fuzz",
            "--features",
            "libfuzzer",
        ])
        .args(["--bin", "fuzzer", "--profile", "fuzz", "--target", host])
        .env("CARGO_TARGET_DIR", &target_folder)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    command::run(&mut build)?;
    Ok(target_folder.join(host).join("fuzz/fuzzer"))
}
