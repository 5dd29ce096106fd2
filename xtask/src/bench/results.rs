//! Every run that was measured, and the file that keeps them between one measurement and the next.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::kept::{self, Facts};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything came as it was, and left its device.
    Whole,
    OverLimit,
    /// In a few words, what is wrong. Its time counts for nothing.
    NotWhole(String),
}

/// One run of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) verdict: Verdict,
    pub(super) wall_seconds: f64,
    pub(super) client_cpu_seconds: f64,
    pub(super) server_cpu_seconds: Option<f64>,
    pub(super) peak_memory_kib: u64,
    pub(super) up_bytes: Option<u64>,
    pub(super) down_bytes: Option<u64>,
    pub(super) share_of_link: Option<f64>,
    pub(super) first_released_seconds: Option<f64>,
}

/// All runs of one tool on one work over one link, from one measurement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) work: String,
    pub(super) link: String,
    pub(super) tool: String,
    pub(super) scale_percent: u64,
    /// When the measurement began. Only what has this in common was measured side by side.
    pub(super) measurement: String,
    pub(super) limit_seconds: u64,
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Results {
    pub(super) entries: Vec<Entry>,
    /// As of the last measurement.
    pub(super) facts: Facts,
}

impl Entry {
    /// The figure of every run that was whole.
    pub(super) fn of_whole(&self, figure: impl Fn(&Run) -> Option<f64>) -> Spread {
        let whole = self.runs.iter().filter(|run| run.verdict == Verdict::Whole);
        Spread::of(whole.filter_map(figure).collect())
    }

    /// The same of every run, however it ended.
    pub(super) fn of_all(&self, figure: impl Fn(&Run) -> Option<f64>) -> Spread {
        Spread::of(self.runs.iter().filter_map(figure).collect())
    }

    pub(super) fn went_over_limit(&self) -> bool {
        self.runs.iter().any(|run| run.verdict == Verdict::OverLimit)
    }
}

/// Figures in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    sorted: Vec<f64>,
}

impl Spread {
    pub(super) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self { sorted: figures }
    }

    pub(super) fn least(&self) -> Option<f64> {
        self.sorted.first().copied()
    }

    pub(super) fn most(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// Of an even number, the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        let upper = self.sorted.get(self.sorted.len() / 2)?;
        let lower = self.sorted.get((self.sorted.len() - 1) / 2)?;
        Some(f64::midpoint(*lower, *upper))
    }
}

impl Results {
    /// What earlier measurements left; nothing where there was none.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let kept = kept::read(file)?.map(|value| Self::from_json(&value));
        let kept = kept
            .transpose()
            .with_context(|| format!("read {}", file.display()))?;
        Ok(kept.unwrap_or_default())
    }

    /// In one step: a measurement that is interrupted leaves the file as it was.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        kept::write(file, &self.to_json())
    }

    /// Adds a run. The first of a measurement takes the place of what an earlier one left.
    pub(super) fn add(&mut self, new: Entry) {
        let place = self.entries.iter_mut().find(|entry| {
            [&entry.work, &entry.link, &entry.tool] == [&new.work, &new.link, &new.tool]
                && entry.scale_percent == new.scale_percent
        });
        match place {
            Some(entry) if entry.measurement == new.measurement => entry.runs.extend(new.runs),
            Some(entry) => *entry = new,
            None => self.entries.push(new),
        }
    }

    /// The entries of one table, in the order in which their tools were first measured.
    pub(super) fn table(&self, work: &str, link: &str, scale_percent: u64) -> Vec<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.work == work && entry.link == link && entry.scale_percent == scale_percent)
            .collect()
    }

    fn to_json(&self) -> Value {
        let entries: Vec<_> = self.entries.iter().map(entry_to_json).collect();
        json!({ "facts": self.facts, "entries": entries })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let entries = value.get("entries").and_then(Value::as_array);
        let entries = entries.into_iter().flatten().map(entry_from_json);
        Ok(Self {
            entries: entries.collect::<Result<_>>()?,
            facts: kept::facts(value),
        })
    }
}

const OVER_LIMIT: &str = "over the limit";
const WHOLE: &str = "whole";

fn entry_to_json(entry: &Entry) -> Value {
    let runs: Vec<_> = entry
        .runs
        .iter()
        .map(|run| {
            json!({
                "verdict": match &run.verdict {
                    Verdict::Whole => WHOLE,
                    Verdict::OverLimit => OVER_LIMIT,
                    Verdict::NotWhole(words) => words,
                },
                "wall_seconds": run.wall_seconds,
                "client_cpu_seconds": run.client_cpu_seconds,
                "server_cpu_seconds": run.server_cpu_seconds,
                "peak_memory_kib": run.peak_memory_kib,
                "up_bytes": run.up_bytes,
                "down_bytes": run.down_bytes,
                "share_of_link": run.share_of_link,
                "first_released_seconds": run.first_released_seconds,
            })
        })
        .collect();
    json!({
        "work": entry.work,
        "link": entry.link,
        "tool": entry.tool,
        "scale_percent": entry.scale_percent,
        "measurement": entry.measurement,
        "limit_seconds": entry.limit_seconds,
        "runs": runs,
    })
}

fn entry_from_json(value: &Value) -> Result<Entry> {
    let text = |key: &str| {
        let text = value.get(key).and_then(Value::as_str).map(str::to_owned);
        text.with_context(|| format!("an entry without {key}"))
    };
    let number = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_u64)
            .with_context(|| format!("an entry without {key}"))
    };
    let runs = value.get("runs").and_then(Value::as_array);
    Ok(Entry {
        work: text("work")?,
        link: text("link")?,
        tool: text("tool")?,
        scale_percent: number("scale_percent")?,
        measurement: text("measurement")?,
        limit_seconds: number("limit_seconds")?,
        runs: runs
            .into_iter()
            .flatten()
            .map(run_from_json)
            .collect::<Result<_>>()?,
    })
}

fn run_from_json(value: &Value) -> Result<Run> {
    let figure = |key: &str| value.get(key).and_then(Value::as_f64);
    let count = |key: &str| value.get(key).and_then(Value::as_u64);
    let verdict = value
        .get("verdict")
        .and_then(Value::as_str)
        .context("a run without verdict")?;
    Ok(Run {
        verdict: match verdict {
            WHOLE => Verdict::Whole,
            OVER_LIMIT => Verdict::OverLimit,
            words => Verdict::NotWhole(words.to_owned()),
        },
        wall_seconds: figure("wall_seconds").context("a run without time")?,
        client_cpu_seconds: figure("client_cpu_seconds").unwrap_or_default(),
        server_cpu_seconds: figure("server_cpu_seconds"),
        peak_memory_kib: count("peak_memory_kib").unwrap_or_default(),
        up_bytes: count("up_bytes"),
        down_bytes: count("down_bytes"),
        share_of_link: figure("share_of_link"),
        first_released_seconds: figure("first_released_seconds"),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tool's entry with whole runs of these times.
    pub(in crate::bench) fn entry(tool: &str, seconds: &[f64]) -> Entry {
        Entry {
            work: "small".to_owned(),
            link: "wan".to_owned(),
            tool: tool.to_owned(),
            scale_percent: 100,
            measurement: "1".to_owned(),
            limit_seconds: 300,
            runs: seconds.iter().copied().map(run).collect(),
        }
    }

    pub(in crate::bench) fn run(wall_seconds: f64) -> Run {
        Run {
            verdict: Verdict::Whole,
            wall_seconds,
            client_cpu_seconds: 1.5,
            server_cpu_seconds: Some(2.25),
            peak_memory_kib: 20_000,
            up_bytes: Some(1_000_000),
            down_bytes: Some(212_000_000),
            share_of_link: None,
            first_released_seconds: None,
        }
    }

    #[test]
    fn the_median_is_in_the_middle_and_only_whole_runs_count() {
        let median = |seconds: &[f64]| {
            entry("tar", seconds)
                .of_whole(|run| Some(run.wall_seconds))
                .median()
        };
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        let mut broken = entry("tar", &[1.0, 9.0]);
        broken.runs[0].verdict = Verdict::NotWhole("1 missing".to_owned());
        let spread = broken.of_whole(|run| Some(run.wall_seconds));
        assert_eq!((spread.least(), spread.most()), (Some(9.0), Some(9.0)));
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let mut results = Results::default();
        results.facts.push(("cores".to_owned(), "2".to_owned()));
        let mut written = entry("tar", &[1.25]);
        written.runs[0].verdict = Verdict::NotWhole("2 missing".to_owned());
        results.add(written);
        results.add(entry("gleaner", &[1.0, 2.0]));
        assert_eq!(Results::from_json(&results.to_json()).unwrap(), results);
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
        trial.scale_percent = 1;
        results.add(trial);
        assert_eq!(results.table("small", "wan", 100), [&newer]);
    }
}
