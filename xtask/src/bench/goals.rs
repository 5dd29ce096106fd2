//! What gleaner is to reach, and whether it did.

use super::results::{Entry, Run};

/// What one table is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// The median time is at most so many times that of a peer in the same measurement.
    Times { peer: &'static str, at_most: f64 },
    /// At least this part of the link is used from the first byte of bulk to the last.
    ShareOfLink { at_least: f64 },
    /// However much waits.
    Backlog {
        memory_megabytes: f64,
        first_released_seconds: f64,
    },
}

const GOALS: [(&str, &str, Goal); 10] = [
    (
        "big",
        "loopback",
        Goal::Times {
            peer: "rsync",
            at_most: 1.0,
        },
    ),
    (
        "small",
        "loopback",
        Goal::Times {
            peer: "rsync",
            at_most: 0.8,
        },
    ),
    (
        "photos",
        "loopback",
        Goal::Times {
            peer: "rsync",
            at_most: 1.0,
        },
    ),
    (
        "small",
        "wan",
        Goal::Times {
            peer: "tar",
            at_most: 1.05,
        },
    ),
    (
        "photos",
        "wan",
        Goal::Times {
            peer: "rsync-z",
            at_most: 1.0,
        },
    ),
    ("middle", "wan", Goal::ShareOfLink { at_least: 0.9 }),
    (
        "fleet",
        "wan",
        Goal::Times {
            peer: "rsync-16",
            at_most: 0.9,
        },
    ),
    (
        "idle",
        "loopback",
        Goal::Times {
            peer: "rsync-16-shared",
            at_most: 0.6,
        },
    ),
    (
        "idle",
        "wan",
        Goal::Times {
            peer: "rsync-16-shared",
            at_most: 0.5,
        },
    ),
    (
        "backlog",
        "loopback",
        Goal::Backlog {
            memory_megabytes: 150.0,
            first_released_seconds: 60.0,
        },
    ),
];

pub(super) fn goal_of(work: &str, link: &str) -> Option<Goal> {
    let found = GOALS
        .iter()
        .find(|(of_work, over, _)| (*of_work, *over) == (work, link));
    found.map(|(_, _, goal)| *goal)
}

impl Goal {
    /// For the page.
    pub(super) fn in_words(self) -> String {
        match self {
            Self::Times { peer, at_most } => format!("at most {at_most:.2} times the time of `{peer}`"),
            Self::ShareOfLink { at_least } => {
                format!(
                    "at least {:.0} % of the link from the first byte of bulk to the last",
                    at_least * 100.0
                )
            }
            Self::Backlog {
                memory_megabytes,
                first_released_seconds,
            } => format!(
                "at most {memory_megabytes:.0} MB of memory, and the first file released within {first_released_seconds:.0} s"
            ),
        }
    }

    /// Whether `entry` reached it, with the figures; nothing when they were not measured side by side.
    pub(super) fn judge(self, entry: &Entry, table: &[&Entry]) -> Option<String> {
        let word = |reached: bool| if reached { "reached" } else { "missed" };
        match self {
            Self::Times { peer, at_most } => {
                let ratio = ratio_to(entry, peer, table)?;
                Some(format!("{}: {ratio:.2}", word(ratio <= at_most)))
            }
            Self::ShareOfLink { at_least } => {
                let share = entry.of_whole(|run| run.share_of_link).median()?;
                Some(format!("{}: {:.0} %", word(share >= at_least), share * 100.0))
            }
            Self::Backlog {
                memory_megabytes,
                first_released_seconds,
            } => {
                // Cut off by the limit or not: neither figure depends on the end.
                let memory = entry.of_all(memory_of).most()?;
                let first = entry.of_all(|run| run.first_released_seconds).most();
                let Some(first) = first else {
                    return Some(format!("{}: nothing released", word(false)));
                };
                let reached = memory <= memory_megabytes && first <= first_released_seconds;
                Some(format!("{}: {memory:.0} MB, {first:.1} s", word(reached)))
            }
        }
    }

    /// The peer that times are compared with.
    pub(super) fn peer(self) -> Option<&'static str> {
        match self {
            Self::Times { peer, .. } => Some(peer),
            Self::ShareOfLink { .. } | Self::Backlog { .. } => None,
        }
    }
}

/// How many times as long as `peer` it took, by the medians of one measurement.
pub(super) fn ratio_to(entry: &Entry, peer: &str, table: &[&Entry]) -> Option<f64> {
    let peer = table
        .iter()
        .find(|other| other.tool == peer && other.measurement == entry.measurement)?;
    let median = |entry: &Entry| entry.of_whole(|run| Some(run.wall_seconds)).median();
    Some(median(entry)? / median(peer)?)
}

/// In megabytes.
#[allow(clippy::cast_precision_loss, reason = "shown without a fraction")]
#[allow(
    clippy::unnecessary_wraps,
    reason = "a figure of a run, which others may lack"
)]
pub(super) fn memory_of(run: &Run) -> Option<f64> {
    Some(run.peak_memory_kib as f64 * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::link::LINKS;
    use super::super::results::Verdict;
    use super::super::results::tests::entry;
    use super::super::tools::TOOLS;
    use super::super::work::WORKS;
    use super::*;

    #[test]
    fn goals_name_only_what_there_is() {
        for (work, link, goal) in GOALS {
            assert!(WORKS.iter().any(|it| it.name == work) && LINKS.iter().any(|it| it.name == link));
            assert!(
                goal.peer()
                    .is_none_or(|peer| TOOLS.iter().any(|it| it.name == peer))
            );
        }
    }

    #[test]
    fn a_ratio_is_of_the_medians_and_of_one_measurement() {
        let goal = Goal::Times {
            peer: "tar",
            at_most: 1.05,
        };
        let (gleaner, mut tar) = (entry("gleaner", &[2.0, 4.0, 3.0]), entry("tar", &[3.0, 3.0, 9.0]));
        assert_eq!(
            goal.judge(&gleaner, &[&gleaner, &tar]).as_deref(),
            Some("reached: 1.00")
        );
        let slow = entry("gleaner", &[6.0]);
        assert_eq!(goal.judge(&slow, &[&slow, &tar]).as_deref(), Some("missed: 2.00"));
        tar.measurement = "0".to_owned();
        assert_eq!(goal.judge(&gleaner, &[&gleaner, &tar]), None);
    }

    #[test]
    fn a_backlog_is_judged_by_memory_and_the_first_release_even_when_it_is_cut_off() {
        let goal = Goal::Backlog {
            memory_megabytes: 150.0,
            first_released_seconds: 60.0,
        };
        let mut cut = entry("gleaner", &[300.0]);
        cut.runs[0].verdict = Verdict::OverLimit;
        assert_eq!(goal.judge(&cut, &[]).as_deref(), Some("missed: nothing released"));
        cut.runs[0].first_released_seconds = Some(12.0);
        assert_eq!(goal.judge(&cut, &[]).as_deref(), Some("reached: 20 MB, 12.0 s"));
        cut.runs[0].peak_memory_kib = 200_000;
        assert_eq!(goal.judge(&cut, &[]).as_deref(), Some("missed: 205 MB, 12.0 s"));
    }
}
