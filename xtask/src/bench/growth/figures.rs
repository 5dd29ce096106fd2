//! What was measured, and the file that keeps it between one measurement and the next.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::kept::{self, Facts};
use super::super::results::Spread;

/// The figures of one run, by name.
pub(super) type Run = BTreeMap<String, f64>;

/// All runs at one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// What grows, and what is done then: `fleet`, `idle`.
    pub(super) subject: String,
    pub(super) work: String,
    pub(super) size: u64,
    /// When the measurement began.
    pub(super) measurement: String,
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) points: Vec<Point>,
    /// As of the last measurement.
    pub(super) facts: Facts,
}

impl Figures {
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
    pub(super) fn add(&mut self, new: Point) {
        let place = self
            .points
            .iter_mut()
            .find(|point| (&point.subject, &point.work, point.size) == (&new.subject, &new.work, new.size));
        match place {
            Some(point) if point.measurement == new.measurement => point.runs.extend(new.runs),
            Some(point) => *point = new,
            None => self.points.push(new),
        }
    }

    /// The sizes at which a work was measured, from small to large.
    pub(super) fn sizes(&self, subject: &str, work: &str) -> Vec<u64> {
        let points = self.points.iter();
        let mut sizes: Vec<_> = points
            .filter(|point| point.subject == subject && point.work == work)
            .map(|point| point.size)
            .collect();
        sizes.sort_unstable();
        sizes
    }

    /// The figure of that name in the middle of all runs.
    pub(super) fn median(&self, subject: &str, work: &str, size: u64, name: &str) -> Option<f64> {
        let point = self
            .points
            .iter()
            .find(|point| point.subject == subject && point.work == work && point.size == size)?;
        Spread::of(
            point
                .runs
                .iter()
                .filter_map(|run| run.get(name).copied())
                .collect(),
        )
        .median()
    }

    fn to_json(&self) -> Value {
        let points: Vec<_> = self
            .points
            .iter()
            .map(|point| {
                json!({
                    "subject": point.subject,
                    "work": point.work,
                    "size": point.size,
                    "measurement": point.measurement,
                    "runs": point.runs,
                })
            })
            .collect();
        json!({ "facts": self.facts, "points": points })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let points = value.get("points").and_then(Value::as_array);
        let points = points.into_iter().flatten().map(point_from_json);
        Ok(Self {
            points: points.collect::<Result<_>>()?,
            facts: kept::facts(value),
        })
    }
}

fn point_from_json(value: &Value) -> Result<Point> {
    let text = |key: &str| {
        let text = value.get(key).and_then(Value::as_str).map(str::to_owned);
        text.with_context(|| format!("a point without {key}"))
    };
    let runs = value.get("runs").and_then(Value::as_array);
    let run = |run: &Value| {
        let figures = run.as_object().into_iter().flatten();
        figures
            .filter_map(|(name, figure)| Some((name.clone(), figure.as_f64()?)))
            .collect()
    };
    Ok(Point {
        subject: text("subject")?,
        work: text("work")?,
        size: value
            .get("size")
            .and_then(Value::as_u64)
            .context("a point without size")?,
        measurement: text("measurement")?,
        runs: runs.into_iter().flatten().map(run).collect(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A point of the work with these figures, one run.
    pub(in crate::bench) fn point(subject: &str, work: &str, size: u64, figures: &[(&str, f64)]) -> Point {
        let run = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure));
        Point {
            subject: subject.to_owned(),
            work: work.to_owned(),
            size,
            measurement: "1".to_owned(),
            runs: vec![run.collect()],
        }
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let mut figures = Figures::default();
        figures.facts.push(("cores".to_owned(), "2".to_owned()));
        figures.add(point(
            "fleet",
            "idle",
            50,
            &[("seconds", 1.25), ("processes", 40.0)],
        ));
        assert_eq!(Figures::from_json(&figures.to_json()).unwrap(), figures);
    }

    #[test]
    fn a_run_joins_its_measurement_and_a_new_measurement_replaces_the_old() {
        let mut figures = Figures::default();
        for seconds in [1.0, 3.0, 2.0] {
            figures.add(point("files", "gather", 1000, &[("seconds", seconds)]));
        }
        figures.add(point("files", "gather", 10, &[]));
        assert_eq!(figures.median("files", "gather", 1000, "seconds"), Some(2.0));
        assert_eq!(figures.sizes("files", "gather"), [10, 1000]);
        let mut newer = point("files", "gather", 1000, &[("seconds", 9.0)]);
        newer.measurement = "2".to_owned();
        figures.add(newer);
        assert_eq!(figures.median("files", "gather", 1000, "seconds"), Some(9.0));
        assert_eq!(figures.median("files", "gather", 1000, "memory"), None);
    }
}
