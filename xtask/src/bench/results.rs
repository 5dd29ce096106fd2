//! Every measured run, the file that keeps them between measurements, and the lock on it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// All results, either of works of one size or of works that grow.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Results {
    /// The machine and the programs of the last measurement, as pairs of name and value.
    pub(super) facts: Vec<(String, String)>,
    pub(super) entries: Vec<Entry>,
}

/// All runs of one tool on one work over one link, from one measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) work: String,
    pub(super) link: String,
    pub(super) tool: String,
    /// The size of a work that grows, or the percentage of another work.
    pub(super) size: usize,
    /// When the measurement began. Only entries that share this were measured side by side.
    pub(super) measurement: String,
    pub(super) limit_seconds: u64,
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    #[serde(alias = "verdict")]
    pub(super) result: RunResult,
    pub(super) figures: Figures,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RunResult {
    /// All files arrived unchanged and left their device.
    Whole,
    OverLimit,
    /// What is wrong, in a few words. The time of such a run does not count.
    NotWhole(String),
}

/// The figures of a run, without those that could not be measured.
pub(super) type Figures = BTreeMap<Figure, f64>;

/// `each`: divided by the size, which is a number of files or devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    Seconds,
    /// Of the tool and all its helpers.
    CpuSeconds,
    /// Of the jump host and the devices.
    ServerCpuSeconds,
    DeviceCpuSeconds,
    /// For each gigabyte of files.
    DeviceCpuPerGb,
    /// Of the tool and all its helpers. What processes share counts once.
    MemoryMb,
    /// Resident, of the tool's own process.
    CollectorMb,
    /// Of the helpers, without their programs.
    HelpersMb,
    Processes,
    Sockets,
    /// Of the tool's own process.
    Descriptors,
    /// Towards the devices.
    UpMb,
    /// From the devices.
    DownMb,
    FirstReleasedSeconds,
    /// When the last file was in the store under its name.
    LastStoredSeconds,
    MsEach,
    CpuMsEach,
    /// How many devices could be visited every five minutes, rounded down to hundreds.
    InFiveMinutes,
    NotServed,
    /// When the first and the last of the served devices were done.
    FirstEndSeconds,
    LastEndSeconds,
    SlowestSeconds,
    LedgerMb,
    LedgerBytesEach,
    /// The size of the history of passes, with its indexes and the names of the batches.
    PassesMb,
    PassesPercent,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts are far below the limit of exact integers in f64"
)]
pub(super) fn as_figure(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

impl Entry {
    /// The figure of every complete run.
    pub(super) fn of_whole(&self, figure: Figure) -> Spread {
        let whole = self.runs.iter().filter(|run| run.result == RunResult::Whole);
        Spread::of(
            whole
                .filter_map(|run| run.figures.get(&figure).copied())
                .collect(),
        )
    }

    /// The figure of every run that did all its work, or did it until the limit.
    pub(super) fn of_all(&self, figure: Figure) -> Spread {
        let has_failed = |run: &&Run| matches!(run.result, RunResult::NotWhole(_));
        let others = self.runs.iter().filter(|run| !has_failed(run));
        Spread::of(
            others
                .filter_map(|run| run.figures.get(&figure).copied())
                .collect(),
        )
    }

    pub(super) fn went_over_limit(&self) -> bool {
        self.runs.iter().any(|run| run.result == RunResult::OverLimit)
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let key = |entry: &Self| [&entry.work, &entry.link, &entry.tool].map(String::clone);
        key(self) == key(other) && self.size == other.size
    }
}

/// Sorted figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    sorted: Vec<f64>,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self { sorted: figures }
    }

    pub(super) fn least(&self) -> Option<f64> {
        self.sorted.first().copied()
    }

    pub(super) fn most(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// For an even number of figures, the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        let upper = self.sorted.get(self.sorted.len() / 2)?;
        let lower = self.sorted.get((self.sorted.len() - 1) / 2)?;
        Some(f64::midpoint(*lower, *upper))
    }
}

impl Results {
    /// Reads the results of earlier measurements. Empty if there are none.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let read = || format!("read {}; remove it to measure everything again", file.display());
        match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(read),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(read),
        }
    }

    /// Atomic: an interrupted measurement leaves the file as it was.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let beside = file.with_extension("json.new");
        fs::write(&beside, serde_json::to_string_pretty(self)? + "\n")?;
        fs::rename(&beside, file).with_context(|| format!("write {}", file.display()))
    }

    /// Adds a run. The first run of a measurement replaces the runs of earlier ones.
    pub(super) fn add(&mut self, new: Entry) {
        match self.entries.iter_mut().find(|entry| entry.is_same_as(&new)) {
            Some(entry) if entry.measurement == new.measurement => entry.runs.extend(new.runs),
            Some(entry) => *entry = new,
            None => self.entries.push(new),
        }
    }

    /// Replaces facts of the same name. A program that was not measured this time keeps its line, because its
    /// runs are kept too.
    pub(super) fn renew_facts(&mut self, new: Vec<(String, String)>) {
        for (what, value) in new {
            match self.facts.iter_mut().find(|(known, _)| *known == what) {
                Some((_, place)) => *place = value,
                None => self.facts.push((what, value)),
            }
        }
    }

    /// The entries of one table, in the order in which their tools were first measured.
    pub(super) fn table(&self, work: &str, link: &str, size: usize) -> Vec<&Entry> {
        let entries = self.entries.iter();
        let is_in_it = |it: &&Entry| it.work == work && it.link == link && it.size == size;
        entries.filter(is_in_it).collect()
    }

    /// The entries of a tool for all sizes of a work that grows, from small to large.
    pub(super) fn by_size(&self, work: &str, tool: &str) -> Vec<&Entry> {
        let entries = self.entries.iter();
        let mut entries: Vec<_> = entries.filter(|it| it.work == work && it.tool == tool).collect();
        entries.sort_by_key(|entry| entry.size);
        entries
    }
}

/// A lock held during a measurement. The system releases it however the process ends.
#[derive(Debug)]
pub(super) struct Alone(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Alone {
    /// Two measurements at once would compete for the processor and overwrite each other's runs.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another measurement is running in {}; wait until it has ended",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock {}", folder.display()))
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An entry of a tool with complete runs of these times.
    pub(in crate::bench) fn entry(tool: &str, seconds: &[f64]) -> Entry {
        let run = |seconds: &f64| Run {
            result: RunResult::Whole,
            figures: Figures::from([
                (Figure::Seconds, *seconds),
                (Figure::CpuSeconds, 1.5),
                (Figure::DeviceCpuSeconds, 2.25),
                (Figure::DeviceCpuPerGb, 10.5),
                (Figure::MemoryMb, 20.48),
                (Figure::UpMb, 1.0),
                (Figure::DownMb, 212.0),
            ]),
        };
        Entry {
            work: "small".to_owned(),
            link: "wan".to_owned(),
            tool: tool.to_owned(),
            size: 100,
            measurement: "1".to_owned(),
            limit_seconds: 300,
            runs: seconds.iter().map(run).collect(),
        }
    }

    #[test]
    fn only_complete_runs_count_for_the_median() {
        let median = |seconds: &[f64]| entry("tar", seconds).of_whole(Figure::Seconds).median();
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        let mut broken = entry("tar", &[1.0, 9.0]);
        broken.runs[0].result = RunResult::NotWhole("1 missing".to_owned());
        let spread = broken.of_whole(Figure::Seconds);
        assert_eq!((spread.least(), spread.most()), (Some(9.0), Some(9.0)));
        assert_eq!(broken.of_whole(Figure::Sockets).median(), None);
    }

    #[test]
    fn results_are_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench/results.json");
        assert_eq!(Results::read(&file).unwrap(), Results::default());
        let mut results = Results::default();
        results.renew_facts(vec![("cores".to_owned(), "2".to_owned())]);
        let mut written = entry("tar", &[1.25]);
        written.runs[0].result = RunResult::NotWhole("2 missing".to_owned());
        results.add(written);
        results.add(entry("gleaner", &[1.0, 2.0]));
        results.write(&file).unwrap();
        assert_eq!(Results::read(&file).unwrap(), results);
    }

    #[test]
    fn a_run_joins_its_measurement_and_a_new_measurement_replaces_the_old() {
        let mut results = Results::default();
        results.add(entry("tar", &[1.0]));
        results.add(entry("tar", &[2.0]));
        assert_eq!(results.entries[0].runs.len(), 2);
        let mut newer = entry("tar", &[3.0]);
        newer.measurement = "2".to_owned();
        results.add(newer.clone());
        let mut trial = entry("tar", &[0.1]);
        trial.size = 1;
        results.add(trial.clone());
        assert_eq!(results.table("small", "wan", 100), [&newer]);
        assert_eq!(results.by_size("small", "tar"), [&trial, &newer]);
    }

    #[test]
    fn a_program_that_is_not_measured_again_keeps_its_version() {
        let owned = |pairs: &[(&str, &str)]| -> Vec<_> {
            let owned = |(what, value): &(&str, &str)| ((*what).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let mut results = Results::default();
        results.renew_facts(owned(&[("day", "1"), ("rsync", "3.2")]));
        results.renew_facts(owned(&[("day", "2"), ("lftp", "4.9")]));
        assert_eq!(
            results.facts,
            owned(&[("day", "2"), ("rsync", "3.2"), ("lftp", "4.9")])
        );
    }

    #[test]
    fn two_measurements_at_once_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = Alone::in_folder(folder.path()).unwrap();
        let refused = Alone::in_folder(folder.path()).unwrap_err().to_string();
        assert!(refused.starts_with("another measurement is running"), "{refused}");
        drop(first);
        Alone::in_folder(folder.path()).unwrap();
    }
}
