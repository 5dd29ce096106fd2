//! More and more files on one device.

use anyhow::Result;

use super::super::work::Work;
use super::arguments::{Subject, Wanted};
use super::collector::{Collector, Measured, Release, Surroundings, as_figure};
use super::figures::{Figures, Run};
use super::sql;

pub(super) const GATHER: &str = "gather";
/// They were gathered before and stay, because the configuration says so.
pub(super) const KEPT: &str = "kept";
pub(super) const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Small, so that the files count and not their bytes.
pub(super) const BYTES: u64 = 2_000;
/// Larger works are measured once: they take minutes, and over so long a time the machine's moods even out.
const REPEATED_UP_TO: usize = 100_000;

pub(super) fn measure(surroundings: &Surroundings<'_>, wanted: &Wanted, figures: &mut Figures) -> Result<()> {
    for size in SIZES {
        if !wanted.admits(Subject::Files, size) {
            continue;
        }
        let collector = surroundings.open(Work::waiting(size, BYTES))?;
        let rounds = match size {
            ..=REPEATED_UP_TO => wanted.rounds,
            _ => 1,
        };
        for _ in 0..rounds {
            collector.begin_anew(1, Release::Delete)?;
            let measured = collector.measure(&["run"], &[0])?;
            collector.check()?;
            let run = gathered(&collector, &measured, size)?;
            surroundings.keep(figures, (Subject::Files, GATHER, size), run)?;
        }
        if size > REPEATED_UP_TO {
            continue;
        }
        collector.begin_anew(1, Release::Keep)?;
        collector.ask(&["run"])?;
        for _ in 0..rounds {
            let measured = collector.measure(&["run"], &[0])?;
            let run = with_time_per_file(&measured, size)?;
            surroundings.keep(figures, (Subject::Files, KEPT, size), run)?;
        }
    }
    Ok(())
}

fn with_time_per_file(measured: &Measured, size: usize) -> Result<Run> {
    let mut run = measured.figures();
    let count = as_figure(u64::try_from(size)?);
    run.insert(
        "ms_per_file".to_owned(),
        measured.cost.wall_seconds * 1000.0 / count,
    );
    Ok(run)
}

fn gathered(collector: &Collector<'_>, measured: &Measured, size: usize) -> Result<Run> {
    let mut run = with_time_per_file(measured, size)?;
    let first = sql::numbers(&collector.ledger(), "SELECT min(released_at) FROM file;")?;
    if let Some(first) = first.first().and_then(|first| u64::try_from(*first).ok()) {
        let began = measured.began.as_secs_f64();
        run.insert(
            "first_released_seconds".to_owned(),
            as_figure(first) / 1e9 - began,
        );
    }
    let ledger = as_figure(std::fs::metadata(collector.ledger())?.len());
    let count = as_figure(u64::try_from(size)?);
    run.insert("ledger_bytes_per_file".to_owned(), ledger / count);
    Ok(run)
}
