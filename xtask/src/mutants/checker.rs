//! The checkers that faults are put to: tests of the copy, and what they say when they fail.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::SWITCH;
use crate::command::{cargo, output};
use crate::workspace::Workspace;

/// A checker that is still at work after so long has been led astray by the fault: caught.
const PATIENCE: Duration = Duration::from_mins(10);

/// A test program, and which of its tests to run.
pub(super) struct Checker {
    pub(super) name: &'static str,
    program: PathBuf,
    filter: &'static str,
}

impl Checker {
    /// Runs it with a fault on, or none; `None` if it passes, else what it said first.
    pub(super) fn objection(&self, fault: Option<&str>) -> Result<Option<String>> {
        let mut command = Command::new(&self.program);
        command
            .args([self.filter, "--test-threads=1", "--quiet"])
            .env_remove(SWITCH)
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(fault) = fault {
            command.env(SWITCH, fault);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        let mut said = child.stdout.take().context("no output to read")?;
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            said.read_to_end(&mut text)
                .map(|_| String::from_utf8_lossy(&text).into_owned())
        });
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = reading.join().map_err(|_| anyhow::anyhow!("a thread died"))??;
        Ok(match status {
            Some(status) if status.success() => None,
            Some(status) => Some(first_words(&text).unwrap_or_else(|| status.to_string())),
            None => Some(format!("still at work after {} s", PATIENCE.as_secs())),
        })
    }
}

/// The first test that failed, and how its panic begins.
fn first_words(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"))?;
    lines.find(|line| line.contains("panicked at "))?;
    let first = lines.next().unwrap_or_default().trim();
    // What ends in a colon says the thing itself on the next line.
    let next = lines.next().filter(|_| first.ends_with(':')).unwrap_or_default();
    let words: String = format!("{first} {}", next.trim()).chars().take(300).collect();
    Some(format!("{name}: {}", words.trim_end()))
}

/// Builds the tests of the copy.
pub(super) fn build(workspace: &Workspace, tree: &Path) -> Result<Vec<Checker>> {
    let arguments = [
        "test",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
        "-p",
        "sim",
        "-p",
        "ledger",
        "-p",
        "engine",
        "-p",
        "ssh",
        "--no-default-features",
        "--features",
        "sim/simulator",
        "--lib",
        "--test",
        "proof",
        "--test",
        "way_of_a_file",
    ];
    let mut command = cargo(tree);
    // A target folder of its own: in a shared one cargo takes the copy's crates for the project's, faults and all.
    let folder = workspace.root.join("target/mutants/built");
    command.args(arguments).env("CARGO_TARGET_DIR", folder);
    println!("$ cargo {}", arguments.join(" "));
    let messages = output(&mut command)?;
    let program = |target: &str| {
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| {
                message.pointer("/target/name").is_some_and(|name| name == target)
                    && message
                        .pointer("/profile/test")
                        .is_some_and(|is_test| is_test == true)
            })
            .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
            .with_context(|| format!("cargo built no tests of `{target}`"))
    };
    let (proof, ledger, engine) = (program("proof")?, program("ledger")?, program("way_of_a_file")?);
    let (rules, device) = (program("engine")?, program("ssh")?);
    let checker = |name, program: &PathBuf, filter| Checker {
        name,
        program: program.clone(),
        filter,
    };
    // The quick ones first.
    Ok(vec![
        checker("ledger", &ledger, "writing"),
        checker("device", &device, "open_files::"),
        checker("timing", &proof, "timing::"),
        checker("writers", &proof, "writers::"),
        checker("scenarios", &proof, "half_of_the_fixed"),
        checker("folder flushes", &proof, "folder_flushes::"),
        checker("clocks", &proof, "clocks::"),
        checker("power cuts", &proof, "power_cuts::"),
        checker("engine", &engine, ""),
        checker("rules", &rules, ""),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checker_that_fails_is_told_by_its_test_and_the_first_words_of_its_panic() {
        let text = "running 2 tests\n.F\nfailures:\n\n---- scenarios::kept stdout ----\n\nthread 'main' (7) panicked at a.rs:1:2:\n\
                    seed 3 breaks a promise:\n  promise 1: a file is lost\nhow it ended:\n";
        let told = first_words(text);
        assert_eq!(
            told.as_deref(),
            Some("scenarios::kept: seed 3 breaks a promise: promise 1: a file is lost")
        );
        let short = "---- a stdout ----\nsome words\nthread 'main' panicked at a.rs:1:2:\nno\nnote: run with";
        assert_eq!(first_words(short).as_deref(), Some("a: no"));
        assert_eq!(first_words("Segmentation fault"), None);
    }
}
