//! Grades the checkers: inserts deliberate faults into a copy of the code, each of which must be caught.
//!
//! One copy contains all faults. An environment variable switches each on, so one build serves for all.

mod all;
mod checker;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::output;
use crate::workspace::Workspace;
use checker::{Checker, build};

/// The list of faults.
const LIST: &str = "crates/sim/mutants.toml";

/// The environment variable that names the active fault.
const SWITCH: &str = "GLEANER_FAULT";

/// The file [`LIST`].
#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// A deliberate fault, as listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    file: String,
    original: String,
    /// Replaces `original` while the fault is on.
    #[serde(default)]
    fault: String,
    /// Replaces `original` always, and contains its own switches.
    whole: Option<String>,
}

/// A deliberate change of one place in the code.
struct Change {
    fault: String,
    file: String,
    original: String,
    replacement: String,
}

/// The result for a fault.
struct Graded {
    fault: String,
    caught: Option<Caught>,
    took: Duration,
}

/// The checker that caught a fault, and its message, which shows whether the promise failed or something
/// else.
struct Caught {
    by: &'static str,
    message: String,
}

/// Which faults to insert.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Names of faults in crates/sim/mutants.toml; all if none is given
    #[arg(conflicts_with = "all")]
    faults: Vec<String>,
    /// Run `cargo mutants ARGUMENT...` (after `--`) over the code up to the commit instead; takes most of an
    /// hour
    #[arg(long)]
    all: bool,
    /// Arguments for `cargo mutants`
    #[arg(last = true, requires = "all")]
    arguments: Vec<String>,
}

/// Grades the checkers with deliberate faults, or the tests with cargo-mutants.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.all {
        all::run(workspace, &options.arguments)
    } else {
        grade_checkers(workspace, &options.faults).map(drop)
    }
}

/// Inserts every deliberate fault, as a step of `cargo xtask prove`.
pub(crate) fn prove(workspace: &Workspace) -> Result<String> {
    grade_checkers(workspace, &[])
}

/// Inserts the faults, builds, and runs the checkers. Fails unless every fault is caught.
fn grade_checkers(workspace: &Workspace, only: &[String]) -> Result<String> {
    let changes = read(&fs::read_to_string(workspace.root.join(LIST))?)?;
    let faults: BTreeSet<&str> = changes.iter().map(|change| change.fault.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !faults.contains(name.as_str())) {
        bail!("{LIST} has no fault `{unknown}`");
    }
    let chosen: Vec<&str> = faults
        .into_iter()
        .filter(|fault| only.is_empty() || only.iter().any(|name| name == fault))
        .collect();
    let tree = workspace.root.join("target/mutants/tree");
    copy(workspace, &tree, &changes)?;
    let checkers = build(workspace, &tree)?;
    for checker in &checkers {
        if let Some(message) = checker.objection(None)? {
            bail!("the checker `{}` fails without a fault: {message}", checker.name);
        }
    }
    let graded = grade(&chosen, &checkers)?;
    report(&graded)
}

fn read(text: &str) -> Result<Vec<Change>> {
    let list: List = toml::from_str(text).with_context(|| format!("read {LIST}"))?;
    let change = |mutant: Mutant| {
        let replacement = match &mutant.whole {
            Some(whole) => with_switches(whole, &mutant.name)?,
            None => instead(&mutant.original, &mutant.fault, &mutant.name),
        };
        Ok(Change {
            fault: mutant.name,
            file: mutant.file,
            original: mutant.original,
            replacement,
        })
    };
    list.mutant.into_iter().map(change).collect()
}

/// An expression or statement that chooses between both by the switch.
fn instead(original: &str, faulty: &str, fault: &str) -> String {
    let is_on = switch(fault);
    if original.ends_with(';') {
        format!("if {is_on} {{ {faulty} }} else {{ {original} }}")
    } else {
        // The function call avoids a compiler warning about needless braces.
        format!("std::convert::identity(if {is_on} {{ {faulty} }} else {{ {original} }})")
    }
}

fn switch(fault: &str) -> String {
    format!("std::env::var_os({SWITCH:?}).is_some_and(|on| on == {fault:?})")
}

/// Replaces `@fault@` by the fault's switch, and `@fault:name@` by the switch of another fault.
fn with_switches(text: &str, fault: &str) -> Result<String> {
    let mut written = text.replace("@fault@", &switch(fault));
    while let Some((before, rest)) = written.split_once("@fault:") {
        let (other, after) = rest.split_once('@').context("an `@fault:` has no closing `@`")?;
        written = format!("{before}{}{after}", switch(other));
    }
    Ok(written)
}

/// Copies all tracked and unignored files and inserts the faults. Unchanged files are not written, so that
/// they are not rebuilt.
fn copy(workspace: &Workspace, tree: &Path, changes: &[Change]) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let names = output(Command::new("git").args(list).current_dir(&workspace.root))?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let Ok(mut bytes) = fs::read(workspace.root.join(name)) else {
            // Removed, but still in git's index.
            continue;
        };
        for change in changes.iter().filter(|change| change.file == name) {
            let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
            if text.matches(&change.original).count() != 1 {
                bail!(
                    "{name} must contain exactly once the text that the fault `{}` replaces:\n{}",
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

/// Grades on all cores.
fn grade(faults: &[&str], checkers: &[Checker]) -> Result<Vec<Graded>> {
    let (next, graded) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let mut caught = None;
            for checker in checkers {
                if let Some(message) = checker.objection(Some(fault))? {
                    let by = checker.name;
                    caught = Some(Caught { by, message });
                    break;
                }
            }
            let outcome = Graded {
                fault: (*fault).to_owned(),
                caught,
                took: began.elapsed(),
            };
            println!("{outcome}");
            graded
                .lock()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))?
                .push(outcome);
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })?;
    graded
        .into_inner()
        .map_err(|_| anyhow::anyhow!("a thread panicked"))
}

impl std::fmt::Display for Graded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = self.caught.as_ref().map_or("NO CHECKER", |caught| caught.by);
        let took = self.took.as_secs_f64();
        write!(formatter, "{:<52} caught by {by} ({took:.1} s)", self.fault)?;
        match &self.caught {
            Some(caught) => write!(formatter, "\n    {}", caught.message),
            None => Ok(()),
        }
    }
}

fn report(graded: &[Graded]) -> Result<String> {
    let caught = graded.iter().filter(|outcome| outcome.caught.is_some()).count();
    let figure = format!("{caught} of {} faults caught", graded.len());
    println!("{figure}");
    let missed: Vec<&str> = graded
        .iter()
        .filter(|outcome| outcome.caught.is_none())
        .map(|outcome| outcome.fault.as_str())
        .collect();
    if missed.is_empty() {
        return Ok(figure);
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
    fn an_uncaught_fault_is_reported_by_name() {
        let outcome = |fault: &str, is_caught: bool| Graded {
            fault: fault.to_owned(),
            caught: is_caught.then(|| Caught {
                by: "stories",
                message: "promise 1".to_owned(),
            }),
            took: Duration::ZERO,
        };
        assert!(outcome("a", true).to_string().ends_with("\n    promise 1"));
        assert!(report(&[outcome("a", true)]).is_ok());
        let error = report(&[outcome("a", true), outcome("b", false)]).unwrap_err();
        assert_eq!(error.to_string(), "no checker catches: b");
    }

    #[test]
    fn every_fault_of_the_list_matches_the_code() {
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
