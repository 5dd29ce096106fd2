//! Runs a list of checks and prints one table at the end: step, figure, time, result.
//!
//! Every step runs even if an earlier one failed, so that one run shows every failure.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// One check.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Returns a short figure for the table, such as `1016 tests`. Empty if the step has none.
    pub(crate) run: fn(&Workspace) -> Result<String>,
}

struct Outcome {
    name: &'static str,
    result: Result<String>,
    elapsed: Duration,
}

/// Runs all steps, or only the named ones.
pub(crate) fn run(workspace: &Workspace, steps: &[Step], names: &[String]) -> Result<()> {
    let is_step = |name: &&String| steps.iter().any(|step| step.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_step(name)) {
        let known: Vec<_> = steps.iter().map(|step| step.name).collect();
        bail!("unknown step `{unknown}`; the steps are {}", known.join(", "));
    }
    let chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let outcomes: Vec<_> = steps
        .iter()
        .filter(chosen)
        .map(|step| run_step(workspace, step))
        .collect();
    println!("\n{}", table(&outcomes));
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn run_step(workspace: &Workspace, step: &Step) -> Outcome {
    println!("\n== {}", step.name);
    let started = Instant::now();
    let result = (step.run)(workspace);
    let elapsed = started.elapsed();
    match &result {
        Ok(_) => println!("== {}: ok, {}", step.name, shown(elapsed)),
        Err(error) => eprintln!("== {}: FAILED, {}: {error:#}", step.name, shown(elapsed)),
    }
    Outcome {
        name: step.name,
        result,
        elapsed,
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![row("step", "figure", "time", "result")];
    for outcome in outcomes {
        let figure = outcome.result.as_deref().unwrap_or_default();
        let result = if outcome.result.is_ok() { "ok" } else { "FAILED" };
        rows.push(row(outcome.name, figure, &shown(outcome.elapsed), result));
    }
    let total = outcomes.iter().map(|outcome| outcome.elapsed).sum();
    rows.push(row("all", "", &shown(total), ""));
    rows.join("\n")
}

fn row(step: &str, figure: &str, time: &str, result: &str) -> String {
    format!("{step:<12}  {figure:<56}  {time:>9}  {result}")
        .trim_end()
        .to_owned()
}

fn shown(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 60.. => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 2] = [
        Step {
            name: "good",
            run: |_| Ok("3 things".to_owned()),
        },
        Step {
            name: "bad",
            run: |_| bail!("broken"),
        },
    ];

    #[test]
    fn an_unknown_step_is_an_error_that_lists_the_steps() {
        let workspace = Workspace::load().unwrap();
        let error = run(&workspace, &STEPS, &["typo".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "unknown step `typo`; the steps are good, bad");
    }

    #[test]
    fn one_failed_step_fails_the_list_unless_others_are_named() {
        let workspace = Workspace::load().unwrap();
        let error = run(&workspace, &STEPS, &[]).unwrap_err();
        assert_eq!(error.to_string(), "failed: bad");
        assert!(run(&workspace, &STEPS, &["good".to_owned()]).is_ok());
    }

    #[test]
    fn the_table_has_figure_time_and_result_of_each_step() {
        let outcome = |name, result, seconds| Outcome {
            name,
            result,
            elapsed: Duration::from_secs(seconds),
        };
        let table = table(&[
            outcome("good", Ok("3 things".to_owned()), 61),
            outcome("bad", Err(anyhow::anyhow!("broken")), 2),
        ]);
        let words: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(words[1], ["good", "3", "things", "1", "m", "01", "s", "ok"]);
        assert_eq!(words[2], ["bad", "2.0", "s", "FAILED"]);
        assert_eq!(words[3], ["all", "1", "m", "03", "s"]);
    }
}
