//! gleaner's goals, and whether a measurement reached them.

use serde::Deserialize;

use super::results::{Entry, Figure};

/// A goal of one table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Goal {
    /// The median of a figure is at most `at_most` times that of a peer in the same measurement.
    Ratio {
        #[serde(default = "seconds")]
        of: Figure,
        peer: String,
        at_most: f64,
    },
    /// A figure is at most this in every run, also in one that the limit cut off.
    Bound { of: Figure, at_most: f64 },
}

fn seconds() -> Figure {
    Figure::Seconds
}

impl Goal {
    /// Description for the page.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Ratio { of, peer, at_most } => {
                format!("at most {at_most:.2} times the {} of `{peer}`", words(*of).0)
            }
            Self::Bound { of, at_most } => format!("at most {at_most:.0} {}", words(*of).0),
        }
    }

    /// Whether `entry` reached the goal, with the figure. `None` if they were not measured side by side.
    pub(super) fn assess(&self, entry: &Entry, table: &[&Entry]) -> Option<String> {
        let word = |reached: bool| if reached { "reached" } else { "missed" };
        match self {
            Self::Ratio { of, peer, at_most } => {
                let ratio = ratio_to(entry, peer, *of, table)?;
                Some(format!("{}: {ratio:.2}{}", word(ratio <= *at_most), words(*of).1))
            }
            Self::Bound { of, at_most } => Some(match entry.of_all(*of).most() {
                Some(figure) => format!("{}: {figure:.0}{}", word(figure <= *at_most), words(*of).1),
                None => format!("{}: –{}", word(false), words(*of).1),
            }),
        }
    }

    /// The tool that times are compared with.
    pub(super) fn peer(&self) -> Option<&str> {
        match self {
            Self::Ratio { peer, .. } => Some(peer),
            Self::Bound { .. } => None,
        }
    }
}

/// What a goal for the figure is about: in a sentence, and behind a number in a cell.
fn words(of: Figure) -> (&'static str, &'static str) {
    match of {
        Figure::DeviceCpuSeconds => ("device processor time", " CPU"),
        Figure::MemoryMb | Figure::CollectorMb => ("MB of memory", " MB"),
        Figure::FirstReleasedSeconds => ("seconds to the first release", " s to release"),
        Figure::LastStoredSeconds => ("time to the last stored file", " stored"),
        _ => ("time", ""),
    }
}

/// The ratio of the medians of `entry` and `peer` within one measurement.
pub(super) fn ratio_to(entry: &Entry, peer: &str, of: Figure, table: &[&Entry]) -> Option<f64> {
    let peer = table
        .iter()
        .find(|other| other.tool == peer && other.measurement == entry.measurement)?;
    let median = |entry: &Entry| entry.of_whole(of).median();
    Some(median(entry)? / median(peer)?)
}

#[cfg(test)]
mod tests {
    use super::super::results::RunResult;
    use super::super::results::tests::entry;
    use super::*;

    fn ratio(of: Figure, at_most: f64) -> Goal {
        Goal::Ratio {
            of,
            peer: "tar".to_owned(),
            at_most,
        }
    }

    #[test]
    fn a_ratio_is_of_the_medians_and_of_one_measurement() {
        let goal = ratio(Figure::Seconds, 1.05);
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
        let goal = ratio(Figure::DeviceCpuSeconds, 0.9);
        assert_eq!(
            goal.assess(&gleaner, &[&gleaner, &tar]).as_deref(),
            Some("missed: 1.00 CPU")
        );
        tar.measurement = "0".to_owned();
        assert_eq!(goal.assess(&gleaner, &[&gleaner, &tar]), None);
    }

    #[test]
    fn a_bound_is_assessed_even_if_its_run_was_cut_off() {
        let goal = |of, at_most| Goal::Bound { of, at_most };
        let mut cut = entry("gleaner", &[300.0]);
        cut.runs[0].result = RunResult::OverLimit;
        let released = goal(Figure::FirstReleasedSeconds, 60.0);
        assert_eq!(
            released.assess(&cut, &[]).as_deref(),
            Some("missed: – s to release")
        );
        cut.runs[0].figures.insert(Figure::FirstReleasedSeconds, 12.0);
        assert_eq!(
            released.assess(&cut, &[]).as_deref(),
            Some("reached: 12 s to release")
        );
        let memory = goal(Figure::MemoryMb, 150.0);
        assert_eq!(memory.assess(&cut, &[]).as_deref(), Some("reached: 20 MB"));
        cut.runs[0].figures.insert(Figure::MemoryMb, 204.8);
        assert_eq!(memory.assess(&cut, &[]).as_deref(), Some("missed: 205 MB"));
        cut.runs[0].result = RunResult::NotWhole("1 missing".to_owned());
        assert_eq!(memory.assess(&cut, &[]).as_deref(), Some("missed: – MB"));
    }
}
