//! Reads what libFuzzer prints about a run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Lines of output that are shown for a run with a finding.
const SHOWN_LINES: usize = 6;

/// The result of fuzzing a target.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Number of inputs that were run.
    inputs: u64,
    /// Number of edges of the program that they reached.
    edges: u64,
    elapsed: Duration,
    /// The input that breaks a property.
    pub(super) finding: Option<PathBuf>,
    /// The fuzzer's output about the finding.
    pub(super) end: String,
}

impl Outcome {
    pub(super) const HEAD: &str = "target             inputs run    edges     time";

    /// Reads the log of a run. An error if the fuzzer failed without naming an input.
    pub(super) fn read(log: &str, is_well: bool, elapsed: Duration) -> Result<Self> {
        let finding = log
            .lines()
            .find_map(|line| line.split_once("Test unit written to "));
        ensure!(
            is_well || finding.is_some(),
            "the fuzzer failed without naming an input"
        );
        // As in `#99  DONE  cov: 120 ft: 456 corp: 78/2345b`.
        let is_status = |line: &&str| line.starts_with('#') && line.contains(" cov: ");
        let status = log
            .lines()
            .rev()
            .find(is_status)
            .context("the log has no status line")?;
        let mut words = status.trim_start_matches('#').split_whitespace();
        let inputs = words.next().and_then(|number| number.parse().ok());
        let edges = words.skip_while(|word| *word != "cov:").nth(1);
        Ok(Self {
            inputs: inputs.context("the status has no number of inputs")?,
            edges: edges
                .and_then(|number| number.parse().ok())
                .context("the status has no number of edges")?,
            elapsed,
            end: finding.map(|_| end_of(log)).unwrap_or_default(),
            finding: finding.map(|(_, file)| PathBuf::from(file)),
        })
    }

    /// The figure of a run without findings.
    pub(super) fn figure(&self) -> String {
        format!("{} inputs, 0 findings", with_commas(self.inputs))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.edges += other.edges;
        self.elapsed += other.elapsed;
    }

    /// A line below [`Outcome::HEAD`].
    pub(super) fn row(&self, target: &str) -> String {
        let failed = if self.finding.is_some() { "  FAILED" } else { "" };
        let (inputs, edges, seconds) = (self.inputs, self.edges, self.elapsed.as_secs_f64());
        format!("{target:<16} {inputs:>12} {edges:>8} {seconds:>6.1} s{failed}")
    }
}

/// Groups the digits by three.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// The output from the first error message on. Without one, the last lines.
pub(super) fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let says = |line: &&str| line.contains(" panicked at ") || line.contains("ERROR: libFuzzer");
    let first = lines.iter().position(says);
    let first = first.unwrap_or_else(|| lines.len().saturating_sub(SHOWN_LINES));
    let some: Vec<&str> = lines.into_iter().skip(first).take(SHOWN_LINES).collect();
    some.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "\
INFO: Seed: 1
#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb
#99\tDONE   cov: 120 ft: 456 corp: 78/2345b lim: 4096 exec/s: 9 rss: 40Mb
";

    #[test]
    fn the_last_status_counts() {
        let outcome = Outcome::read(WELL, true, Duration::from_secs(8)).unwrap();
        assert_eq!((outcome.inputs, outcome.edges), (99, 120));
        assert!(outcome.finding.is_none());
        assert!(outcome.row("placement").contains("placement"));
    }

    #[test]
    fn the_figure_groups_digits_by_three() {
        for (inputs, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            let outcome = Outcome {
                inputs,
                ..Outcome::default()
            };
            assert_eq!(outcome.figure(), format!("{shown} inputs, 0 findings"));
        }
    }

    #[test]
    fn a_finding_is_named_and_a_failed_start_is_an_error() {
        let log = "#2\tINITED cov: 1 ft: 1 corp: 1/1b\nthread 'a' panicked at b:1:1:\nartifact_prefix='x/'; Test unit written to x/crash-12\n";
        let outcome = Outcome::read(log, false, Duration::ZERO).unwrap();
        assert_eq!(outcome.finding, Some(PathBuf::from("x/crash-12")));
        assert!(outcome.end.starts_with("thread 'a' panicked at b") && outcome.row("a").ends_with("FAILED"));
        assert!(Outcome::read("error while loading shared libraries\n", false, Duration::ZERO).is_err());
        assert!(Outcome::read("", true, Duration::ZERO).is_err());
    }
}
