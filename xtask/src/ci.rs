//! Everything a change must pass, in one list; the same at the desk and on a bare machine.
//!
//! Every step runs even when one before it failed, so that one run tells all there is to mend.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;
use crate::{debian, deny, fuzz, instructions, mutants, package, reference, soak, tidy};

struct Step {
    name: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

/// In the order in which they pay: what fails in seconds comes before what takes minutes.
const STEPS: [Step; 13] = [
    Step {
        name: "setup",
        run: |_| debian::install_what_is_missing(),
    },
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        run: tidy::run,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "test",
        run: |workspace| test(workspace, &[]),
    },
    Step {
        name: "fuzz",
        run: fuzz_briefly,
    },
    Step {
        name: "soak",
        run: soak::short,
    },
    Step {
        name: "mutants",
        run: |workspace| mutants::run(workspace, &[]),
    },
    Step {
        name: "instructions",
        run: instructions::check,
    },
    Step {
        name: "doc",
        run: doc,
    },
    Step {
        name: "reference",
        run: reference::check,
    },
    Step {
        name: "deny",
        run: deny::check,
    },
    Step {
        name: "package",
        run: package::build_and_check,
    },
];

/// Runs all steps, or those in `wanted`, and prints a table of how each went.
pub(crate) fn run(workspace: &Workspace, wanted: &[String]) -> Result<()> {
    if let Some(unknown) = wanted
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != **name))
    {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step `{unknown}`; the steps are {}", names.join(", "));
    }
    let mut outcomes = Vec::new();
    for step in STEPS
        .iter()
        .filter(|step| wanted.is_empty() || wanted.iter().any(|name| name == step.name))
    {
        println!("\n== {}", step.name);
        let started = Instant::now();
        let result = (step.run)(workspace);
        let elapsed = started.elapsed();
        match &result {
            Ok(()) => println!("== {}: ok, {}", step.name, shown(elapsed)),
            Err(error) => eprintln!("== {}: FAILED, {}: {error:#}", step.name, shown(elapsed)),
        }
        outcomes.push((step.name, result, elapsed));
    }
    summarise(&outcomes)
}

fn summarise(outcomes: &[(&str, Result<()>, Duration)]) -> Result<()> {
    println!();
    for (name, result, elapsed) in outcomes {
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("{name:<12} {verdict:<7} {:>9}", shown(*elapsed));
    }
    let total = outcomes.iter().map(|(_, _, elapsed)| *elapsed).sum();
    println!("{:<12} {:<7} {:>9}", "all", "", shown(total));
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|(_, result, _)| result.is_err())
        .map(|(name, ..)| *name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn shown(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 60.. => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

fn fmt(workspace: &Workspace) -> Result<()> {
    run_command(cargo(&workspace.root).args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        // The fuzzer itself is built for fuzzing only.
        "--features",
        "fuzz/libfuzzer",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    run_command(cargo(&workspace.root).args(arguments))
}

/// All tests of all crates; a failure in one does not keep the others from running.
pub(crate) fn test(workspace: &Workspace, more: &[String]) -> Result<()> {
    run_command(
        cargo(&workspace.root)
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(more),
    )
}

/// Every target for some seconds, after all that was kept.
fn fuzz_briefly(workspace: &Workspace) -> Result<()> {
    let briefly = fuzz::Wanted::Fuzzing {
        target: None,
        seconds: None,
    };
    fuzz::run(workspace, &briefly)
}

/// The crates are not published: their pages are for developers, private items and links to them included.
fn doc(workspace: &Workspace) -> Result<()> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ];
    run_command(
        cargo(&workspace.root)
            .args(arguments)
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_does_not_exist_is_named_with_those_that_do() {
        let workspace = Workspace::load().unwrap();
        let error = run(&workspace, &["typo".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`typo`") && error.contains("clippy"), "{error}");
    }

    #[test]
    fn one_failed_step_fails_the_whole() {
        let outcomes = [
            ("fmt", Ok(()), Duration::ZERO),
            ("test", Err(anyhow::anyhow!("broken")), Duration::from_secs(61)),
        ];
        assert_eq!(summarise(&outcomes).unwrap_err().to_string(), "failed: test");
    }
}
