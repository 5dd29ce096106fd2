//! Building the fuzzer on a stable compiler.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::debian;
use crate::workspace::Workspace;

/// What `cargo fuzz` gives to the compiler, so far as a stable one takes it: counters at every edge that
/// libFuzzer reads, and the operands of comparisons, by which it finds what a parser waits for.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// Builds the fuzzer and tells where it is.
pub(super) fn fuzzer(workspace: &Workspace) -> Result<PathBuf> {
    debian::install_if_missing("c++")?;
    // With a target named, the flags are kept from build scripts, which would miss libFuzzer.
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
