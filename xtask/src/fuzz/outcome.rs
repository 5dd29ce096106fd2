//! What libFuzzer says of a run, taken apart.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

/// Lines that are shown of a run that found something.
const SHOWN_LINES: usize = 6;

/// How the fuzzing of a target went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Inputs run.
    inputs: u64,
    /// Edges reached.
    edges: u64,
    /// Edges, and how often in one run.
    features: u64,
    /// Inputs that reach something of their own.
    corpus: u64,
    elapsed: Duration,
    /// The input for which something does not hold.
    pub(super) finding: Option<PathBuf>,
    /// The last words.
    pub(super) end: String,
}

impl Outcome {
    pub(super) const HEAD: &str = "target             inputs run    edges  features  corpus     time";

    /// Reads the words of a run; an error where it did not come to fuzzing.
    pub(super) fn read(log: &str, is_well: bool, elapsed: Duration) -> Result<Self> {
        let status = log
            .lines()
            .rev()
            .find(|line| line.starts_with('#') && line.contains(" cov: "));
        let number_after = |key: &str| {
            let mut words = status?.split_whitespace().skip_while(|word| *word != key);
            let digits = words.nth(1)?.split('/').next()?;
            digits.parse().ok()
        };
        let executed = log.lines().find_map(|line| {
            line.strip_prefix("stat::number_of_executed_units:")?
                .trim()
                .parse()
                .ok()
        });
        let begun = status.and_then(|line| {
            line.trim_start_matches('#')
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        let finding = log
            .lines()
            .find_map(|line| line.split_once("Test unit written to "))
            .map(|(_, file)| PathBuf::from(file));
        if !is_well && finding.is_none() {
            anyhow::bail!("the fuzzer failed without an input");
        }
        Ok(Self {
            inputs: executed.or(begun).context("no number of inputs")?,
            edges: number_after("cov:").unwrap_or(0),
            features: number_after("ft:").unwrap_or(0),
            corpus: number_after("corp:").unwrap_or(0),
            elapsed,
            end: match finding {
                Some(_) => end_of(log),
                None => String::new(),
            },
            finding,
        })
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.edges += other.edges;
        self.features += other.features;
        self.corpus += other.corpus;
        self.elapsed += other.elapsed;
    }

    /// A line below [`Outcome::HEAD`].
    pub(super) fn row(&self, target: &str) -> String {
        let verdict = if self.finding.is_some() { "  FAILED" } else { "" };
        format!(
            "{target:<16} {:>12} {:>8} {:>9} {:>7} {:>6.1} s{verdict}",
            self.inputs,
            self.edges,
            self.features,
            self.corpus,
            self.elapsed.as_secs_f64()
        )
    }
}

/// The words in which something is said to be wrong, or the last ones.
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
stat::number_of_executed_units: 99
";

    #[test]
    fn the_last_status_counts() {
        let outcome = Outcome::read(WELL, true, Duration::from_secs(8)).unwrap();
        assert_eq!(
            (outcome.inputs, outcome.edges, outcome.features, outcome.corpus),
            (99, 120, 456, 78)
        );
        assert!(outcome.finding.is_none());
        assert!(outcome.row("placement").contains("placement"));
    }

    #[test]
    fn a_finding_is_named_and_a_fuzzer_that_cannot_start_is_no_success() {
        let log = "#2\tINITED cov: 1 ft: 1 corp: 1/1b\nthread 'a' panicked at b:1:1:\nartifact_prefix='x/'; Test unit written to x/crash-12\n";
        let outcome = Outcome::read(log, false, Duration::ZERO).unwrap();
        assert_eq!(outcome.finding, Some(PathBuf::from("x/crash-12")));
        assert!(outcome.end.starts_with("thread 'a' panicked at b") && outcome.row("a").ends_with("FAILED"));
        assert!(Outcome::read("error while loading shared libraries\n", false, Duration::ZERO).is_err());
        assert!(Outcome::read("", true, Duration::ZERO).is_err());
    }
}
