//! The checkers that are run against faults: tests of the copy, and their failure messages.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::SWITCH;
use crate::command::{cargo, output};
use crate::workspace::Workspace;

/// A checker that runs longer than this is counted as having caught the fault: the fault made it hang.
const MAX_RUN_TIME: Duration = Duration::from_mins(10);

/// A test program, and the filter for its tests.
pub(super) struct Checker {
    pub(super) name: &'static str,
    program: PathBuf,
    filter: &'static str,
}

impl Checker {
    /// Runs the checker with a fault or none. Returns `None` if it passes, otherwise its first failure
    /// message.
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
        let mut stdout = child.stdout.take().context("no output to read")?;
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            stdout
                .read_to_end(&mut text)
                .map(|_| String::from_utf8_lossy(&text).into_owned())
        });
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if began.elapsed() > MAX_RUN_TIME {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = reading
            .join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        Ok(match status {
            Some(status) if status.success() => None,
            Some(status) => Some(first_failure(&text).unwrap_or_else(|| status.to_string())),
            None => Some(format!("still running after {} s", MAX_RUN_TIME.as_secs())),
        })
    }
}

/// The first failed test, and the first line of its panic.
fn first_failure(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"))?;
    lines.find(|line| line.contains("panicked at "))?;
    let first = lines.next().unwrap_or_default().trim();
    // If the line ends with a colon, the next line has the actual message.
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
    // Needs its own target folder: in a shared one, cargo would use the copy's crates, faults included, for
    // the project.
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
    // Fast checkers first.
    Ok(vec![
        checker("ledger", &ledger, "writing"),
        checker("leases", &ledger, "leases"),
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
    fn a_failure_is_the_name_of_the_test_and_the_start_of_its_panic() {
        let text = "running 2 tests\n.F\nfailures:\n\n---- scenarios::kept stdout ----\n\nthread 'main' (7) panicked at a.rs:1:2:\n\
                    seed 3 breaks a promise:\n  promise 1: a file is lost\nhow it ended:\n";
        let failure = first_failure(text);
        assert_eq!(
            failure.as_deref(),
            Some("scenarios::kept: seed 3 breaks a promise: promise 1: a file is lost")
        );
        let short = "---- a stdout ----\nsome words\nthread 'main' panicked at a.rs:1:2:\nno\nnote: run with";
        assert_eq!(first_failure(short).as_deref(), Some("a: no"));
        assert_eq!(first_failure("Segmentation fault"), None);
    }
}
