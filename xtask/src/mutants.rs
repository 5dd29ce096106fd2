//! Grades the checkers: deliberate faults are put into a copy of the code, and each must be caught.
//!
//! All faults go into one copy, each behind a switch that is read from the environment: one build serves for all.

pub(crate) mod all;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, output};
use crate::workspace::Workspace;

/// Where the faults are written down.
const LIST: &str = "crates/sim/mutants.toml";

/// Names the fault that is on.
const SWITCH: &str = "GLEANER_FAULT";

/// A checker that is still at work after so long has been led astray by the fault: caught.
const PATIENCE: Duration = Duration::from_mins(10);

/// A deliberate change of one place in the code.
struct Change {
    fault: String,
    file: String,
    original: String,
    replacement: String,
}

/// A test program, and which of its tests to run.
struct Checker {
    name: &'static str,
    program: PathBuf,
    filter: &'static str,
}

/// What became of a fault.
struct Graded {
    fault: String,
    caught_by: Option<&'static str>,
    took: Duration,
}

/// Puts the faults in, builds, and runs the checkers; fails unless every fault is caught.
pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Result<()> {
    let changes = read(&fs::read_to_string(workspace.root.join(LIST))?)?;
    let faults: BTreeSet<&str> = changes.iter().map(|change| change.fault.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !faults.contains(name.as_str())) {
        bail!("{LIST} has no fault `{unknown}`");
    }
    let wanted: Vec<&str> = faults
        .into_iter()
        .filter(|fault| only.is_empty() || only.iter().any(|name| name == fault))
        .collect();
    let tree = workspace.root.join("target/mutants/tree");
    copy(workspace, &tree, &changes)?;
    let checkers = build(workspace, &tree)?;
    for checker in &checkers {
        if !passes(checker, None)? {
            bail!("the checker `{}` fails although no fault is on", checker.name);
        }
    }
    let graded = grade(&wanted, &checkers)?;
    tell(&graded)
}

fn read(text: &str) -> Result<Vec<Change>> {
    let table: toml::Table = text.parse().with_context(|| format!("read {LIST}"))?;
    let entries = table.get("mutant").and_then(toml::Value::as_array);
    let entries = entries.with_context(|| format!("{LIST} has no [[mutant]]"))?;
    let text_of =
        |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    entries
        .iter()
        .map(|entry| {
            let fault = text_of(entry, "name").context("a mutant has no name")?;
            let needs = |key: &str| {
                text_of(entry, key).with_context(|| format!("the mutant `{fault}` has no `{key}`"))
            };
            let (file, original) = (needs("file")?, needs("original")?);
            let replacement = match text_of(entry, "whole") {
                Some(whole) => with_switches(&whole, &fault)?,
                None => instead(&original, &needs("fault")?, &fault),
            };
            Ok(Change {
                fault: fault.clone(),
                file,
                original,
                replacement,
            })
        })
        .collect()
}

/// One or the other, by the switch.
fn instead(original: &str, faulty: &str, fault: &str) -> String {
    let is_on = switch(fault);
    match original.ends_with(';') {
        true => format!("if {is_on} {{ {faulty} }} else {{ {original} }}"),
        // Called through a function: a compiler warns of braces around nothing else.
        false => format!("std::convert::identity(if {is_on} {{ {faulty} }} else {{ {original} }})"),
    }
}

fn switch(fault: &str) -> String {
    format!("std::env::var_os({SWITCH:?}).is_some_and(|on| on == {fault:?})")
}

/// Puts the switch in place of `@fault@`, and that of another fault in place of `@fault:name@`.
fn with_switches(text: &str, fault: &str) -> Result<String> {
    let mut written = text.replace("@fault@", &switch(fault));
    while let Some((before, rest)) = written.split_once("@fault:") {
        let (other, after) = rest.split_once('@').context("an `@fault:` has no end")?;
        written = format!("{before}{}{after}", switch(other));
    }
    Ok(written)
}

/// Copies what git knows or would know, and puts the faults in. What is the same already is not written: the build is spared.
fn copy(workspace: &Workspace, tree: &Path, changes: &[Change]) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let names = output(Command::new("git").args(list).current_dir(&workspace.root))?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let Ok(mut bytes) = fs::read(workspace.root.join(name)) else {
            // Removed, and git does not know yet.
            continue;
        };
        for change in changes.iter().filter(|change| change.file == name) {
            let text = String::from_utf8(bytes).with_context(|| format!("{name} is no text"))?;
            if text.matches(&change.original).count() != 1 {
                bail!(
                    "{name} does not have once what the fault `{}` is to replace:\n{}",
                    change.fault,
                    change.original
                );
            }
            bytes = text
                .replacen(&change.original, &change.replacement, 1)
                .into_bytes();
        }
        let target = tree.join(name);
        if fs::read(&target).ok().as_ref() != Some(&bytes) {
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&target, bytes).with_context(|| format!("write {}", target.display()))?;
        }
    }
    Ok(())
}

fn build(workspace: &Workspace, tree: &Path) -> Result<Vec<Checker>> {
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
    let rules = program("engine")?;
    Ok(vec![
        Checker {
            name: "ledger",
            program: ledger,
            filter: "writing",
        },
        Checker {
            name: "stories",
            program: proof.clone(),
            filter: "half_of_the_fixed",
        },
        Checker {
            name: "power cuts",
            program: proof,
            filter: "power_cuts",
        },
        Checker {
            name: "engine",
            program: engine,
            filter: "",
        },
        Checker {
            name: "rules",
            program: rules,
            filter: "",
        },
    ])
}

fn passes(checker: &Checker, fault: Option<&str>) -> Result<bool> {
    let mut command = Command::new(&checker.program);
    command
        .args([checker.filter, "--test-threads=1", "--quiet"])
        .env_remove(SWITCH)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(fault) = fault {
        command.env(SWITCH, fault);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("start {}", checker.program.display()))?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if began.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Grades on every core.
fn grade(faults: &[&str], checkers: &[Checker]) -> Result<Vec<Graded>> {
    let (next, graded) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let mut caught_by = None;
            for checker in checkers {
                if !passes(checker, Some(fault))? {
                    caught_by = Some(checker.name);
                    break;
                }
            }
            let outcome = Graded {
                fault: (*fault).to_owned(),
                caught_by,
                took: began.elapsed(),
            };
            let told = outcome.caught_by.unwrap_or("NOBODY");
            println!(
                "{:<52} caught by {told} ({:.1} s)",
                outcome.fault,
                outcome.took.as_secs_f64()
            );
            graded
                .lock()
                .map_err(|_| anyhow::anyhow!("a thread died"))?
                .push(outcome);
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a thread died"))?)
    })?;
    graded.into_inner().map_err(|_| anyhow::anyhow!("a thread died"))
}

fn tell(graded: &[Graded]) -> Result<()> {
    let caught = graded
        .iter()
        .filter(|outcome| outcome.caught_by.is_some())
        .count();
    println!("caught {caught} / {}", graded.len());
    let missed: Vec<&str> = graded
        .iter()
        .filter(|outcome| outcome.caught_by.is_none())
        .map(|outcome| outcome.fault.as_str())
        .collect();
    if missed.is_empty() {
        return Ok(());
    }
    bail!("no checker catches: {}", missed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_takes_the_place_of_an_expression_or_a_statement() {
        let list = r#"
            [[mutant]]
            name = "a"
            file = "x.rs"
            original = "flush()?;"
            fault = ""
            [[mutant]]
            name = "b"
            file = "x.rs"
            original = "1 + 1"
            fault = "3"
            [[mutant]]
            name = "c"
            file = "x.rs"
            original = "=> same,"
            whole = "if @fault@ || @fault:a@ => other,"
        "#;
        let changes = read(list).unwrap();
        assert!(
            changes[0]
                .replacement
                .starts_with("if std::env::var_os(\"GLEANER_FAULT\")")
        );
        assert!(changes[0].replacement.ends_with("{  } else { flush()?; }"));
        assert!(changes[1].replacement.starts_with("std::convert::identity(if "));
        assert!(changes[1].replacement.ends_with("{ 3 } else { 1 + 1 })"));
        assert!(changes[2].replacement.contains("== \"c\"") && changes[2].replacement.contains("== \"a\""));
    }

    #[test]
    fn a_fault_that_nobody_catches_is_told_by_its_name() {
        let outcome = |fault: &str, caught_by| Graded {
            fault: fault.to_owned(),
            caught_by,
            took: Duration::ZERO,
        };
        assert!(tell(&[outcome("a", Some("stories"))]).is_ok());
        let error = tell(&[outcome("a", Some("stories")), outcome("b", None)]).unwrap_err();
        assert_eq!(error.to_string(), "no checker catches: b");
    }

    #[test]
    fn every_fault_of_the_list_has_its_place_in_the_code() {
        let workspace = Workspace::load().unwrap();
        let changes = read(&fs::read_to_string(workspace.root.join(LIST)).unwrap()).unwrap();
        for change in &changes {
            let text = fs::read_to_string(workspace.root.join(&change.file)).unwrap();
            assert_eq!(
                text.matches(&change.original).count(),
                1,
                "{} in {}",
                change.fault,
                change.file
            );
        }
        assert!(changes.len() > 20);
    }
}
