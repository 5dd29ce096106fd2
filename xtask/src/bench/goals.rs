//! gleaner's goals, and whether a measurement reached them.

use serde::Deserialize;

use super::results::{Entry, Figure};

/// The goal of one table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Goal {
    /// The median time is at most `at_most` times that of a peer in the same measurement.
    Ratio { peer: String, at_most: f64 },
    /// At least this part of the link is used from the first byte of bulk data to the last.
    ShareOfLink { at_least: f64 },
    /// These bounds hold for a backlog of any size.
    Backlog {
        memory: Figure,
        memory_mb: f64,
        first_released_seconds: f64,
    },
}

impl Goal {
    /// Description for the page.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Ratio { peer, at_most } => format!("at most {at_most:.2} times the time of `{peer}`"),
            Self::ShareOfLink { at_least } => {
                format!(
                    "at least {:.0} % of the link from the first byte of bulk to the last",
                    at_least * 100.0
                )
            }
            Self::Backlog {
                memory_mb,
                first_released_seconds,
                ..
            } => format!(
                "at most {memory_mb:.0} MB of memory, and the first file released within {first_released_seconds:.0} s"
            ),
        }
    }

    /// Whether `entry` reached the goal, with the figures. `None` if they were not measured side by side.
    pub(super) fn assess(&self, entry: &Entry, table: &[&Entry]) -> Option<String> {
        let word = |reached: bool| if reached { "reached" } else { "missed" };
        match self {
            Self::Ratio { peer, at_most } => {
                let ratio = ratio_to(entry, peer, table)?;
                Some(format!("{}: {ratio:.2}", word(ratio <= *at_most)))
            }
            Self::ShareOfLink { at_least } => {
                let share = entry.of_whole(Figure::ShareOfLink).median()?;
                Some(format!("{}: {:.0} %", word(share >= *at_least), share * 100.0))
            }
            Self::Backlog {
                memory,
                memory_mb,
                first_released_seconds,
            } => {
                // The limit may have cut the run off: neither figure depends on its end.
                let megabytes = entry.of_all(*memory).most()?;
                let Some(first) = entry.of_all(Figure::FirstReleasedSeconds).most() else {
                    return Some(format!("{}: nothing released", word(false)));
                };
                let reached = megabytes <= *memory_mb && first <= *first_released_seconds;
                Some(format!("{}: {megabytes:.0} MB, {first:.1} s", word(reached)))
            }
        }
    }

    /// The tool that times are compared with.
    pub(super) fn peer(&self) -> Option<&str> {
        match self {
            Self::Ratio { peer, .. } => Some(peer),
            Self::ShareOfLink { .. } | Self::Backlog { .. } => None,
        }
    }
}

/// The ratio of the medians of `entry` and `peer` within one measurement.
pub(super) fn ratio_to(entry: &Entry, peer: &str, table: &[&Entry]) -> Option<f64> {
    let peer = table
        .iter()
        .find(|other| other.tool == peer && other.measurement == entry.measurement)?;
    let median = |entry: &Entry| entry.of_whole(Figure::Seconds).median();
    Some(median(entry)? / median(peer)?)
}

#[cfg(test)]
mod tests {
    use super::super::results::RunResult;
    use super::super::results::tests::entry;
    use super::*;

    #[test]
    fn a_ratio_is_of_the_medians_and_of_one_measurement() {
        let goal = Goal::Ratio {
            peer: "tar".to_owned(),
            at_most: 1.05,
        };
        let (gleaner, mut tar) = (entry("gleaner", &[2.0, 4.0, 3.0]), entry("tar", &[3.0, 3.0, 9.0]));
        assert_eq!(
            goal.assess(&gleaner, &[&gleaner, &tar]).as_deref(),
            Some("reached: 1.00")
        );
        let slow = entry("gleaner", &[6.0]);
        assert_eq!(
            goal.assess(&slow, &[&slow, &tar]).as_deref(),
            Some("missed: 2.00")
        );
        tar.measurement = "0".to_owned();
        assert_eq!(goal.assess(&gleaner, &[&gleaner, &tar]), None);
    }

    #[test]
    fn a_backlog_is_assessed_even_if_its_run_was_cut_off() {
        let goal = Goal::Backlog {
            memory: Figure::MemoryMb,
            memory_mb: 150.0,
            first_released_seconds: 60.0,
        };
        let mut cut = entry("gleaner", &[300.0]);
        cut.runs[0].result = RunResult::OverLimit;
        assert_eq!(
            goal.assess(&cut, &[]).as_deref(),
            Some("missed: nothing released")
        );
        cut.runs[0].figures.insert(Figure::FirstReleasedSeconds, 12.0);
        assert_eq!(goal.assess(&cut, &[]).as_deref(), Some("reached: 20 MB, 12.0 s"));
        cut.runs[0].figures.insert(Figure::MemoryMb, 204.8);
        assert_eq!(goal.assess(&cut, &[]).as_deref(), Some("missed: 205 MB, 12.0 s"));
    }
}
