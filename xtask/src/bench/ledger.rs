//! Accesses gleaner's ledger with Debian's `sqlite3`: only the ledger's own crate may execute SQL in this
//! process.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Advice, fadvise};

use super::lab::device_name;
use super::results::{Figure, Figures, as_figure};
use super::work::LEDGER_DEVICES;
use crate::command;

/// Without a journal: if it fails, the whole ledger is thrown away.
const FILL: &str = include_str!("fill.sql");
/// The record of the last device keeps its size while that of the others grows, so that the list of its files
/// keeps its length.
const QUIET_FILES: usize = 1000;

/// Fills the ledger of a fleet without waiting files: `size` files, and some of the last device. With
/// gleaner, ten million would take hours.
pub(super) fn fill(ledger: &Path, size: usize) -> Result<()> {
    record(ledger, 0..QUIET_FILES, &[device_name(LEDGER_DEVICES)])?;
    let growing: Vec<_> = (1..LEDGER_DEVICES).map(device_name).collect();
    // The numbers of the quiet device's files are taken.
    record(ledger, QUIET_FILES..QUIET_FILES + size, &growing)
}

/// Records files with these numbers, in turn for each device, with batches and passes as gleaner would.
fn record(ledger: &Path, numbers: Range<usize>, devices: &[String]) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = devices.iter().map(|name| format!("'{name}'")).collect();
    let script = FILL
        .replace("FIRST", &numbers.start.to_string())
        .replace("END", &numbers.end.to_string())
        .replace("DEVICES", &names.join(", "))
        .replace("SLOTS", &devices.len().to_string());
    run(ledger, &script).map(drop)
}

/// The size on the disk with a record of `size` files.
pub(super) fn size_figures(ledger: &Path, size: usize) -> Result<Figures> {
    const BYTES_OF_PASSES: &str =
        "SELECT sum(dbstat.pgsize) FROM dbstat JOIN sqlite_schema AS object ON object.name = dbstat.name
        WHERE object.tbl_name IN ('pass', 'batch');";
    let bytes = as_figure(fs::metadata(ledger)?.len());
    let of_passes = numbers(ledger, BYTES_OF_PASSES)?;
    let of_passes = of_passes.first().copied().unwrap_or_default();
    let mut figures = Figures::from([
        (Figure::LedgerMb, bytes / 1e6),
        (Figure::PassesMb, of_passes / 1e6),
        (Figure::PassesPercent, of_passes / bytes * 100.0),
    ]);
    if size > 0 {
        figures.insert(Figure::LedgerBytesEach, bytes / as_figure(size));
    }
    Ok(figures)
}

/// Flushes the file and drops it from the kernel's page cache.
pub(super) fn forget_cached(ledger: &Path) -> Result<()> {
    let file = fs::File::open(ledger).with_context(|| format!("open {}", ledger.display()))?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed).context("drop the ledger from the page cache")
}

/// When the first file left its device, in seconds after `began`, which is a time since 1970.
pub(super) fn first_released(ledger: &Path, began: Duration) -> Result<Option<f64>> {
    if !ledger.exists() {
        return Ok(None);
    }
    let question = format!(
        "SELECT min(released_at) FROM file WHERE released_at >= {};",
        began.as_nanos()
    );
    let first = numbers(ledger, &question)?.first().copied();
    Ok(first.map(|first| first / 1e9 - began.as_secs_f64()))
}

const SERVED: &str = "outcome IN ('well', 'partial')";
/// The passes of the last sweep, which is the only one except for a first visit.
const LAST: &str = "id > (SELECT max(id) FROM pass) - (SELECT count(*) FROM device)";

/// How many devices the last sweep did not serve, without the silent ones, and when it was done with those
/// that it served. The sweep began at `began`.
pub(super) fn sweep_figures(ledger: &Path, began: Duration, silent: usize) -> Result<Figures> {
    let count = format!("SELECT count(*) FROM pass WHERE NOT {SERVED} AND {LAST};");
    let not_served = numbers(ledger, &count)?.first().copied().unwrap_or_default();
    let not_served = (not_served - as_figure(silent)).max(0.0);
    if not_served > 0.0 {
        let why = format!(
            "SELECT '  not served: ' || count(*), outcome, class, max(message) FROM pass WHERE NOT {SERVED} AND {LAST} GROUP BY 2, 3;"
        );
        print!("{}", run(ledger, &why)?);
    }
    let mut figures = Figures::from([(Figure::NotServed, not_served)]);
    let ends = format!("SELECT min(ended), max(ended), max(took) FROM pass WHERE {SERVED} AND {LAST};");
    if let [first, last, slowest] = numbers(ledger, &ends)?.as_slice() {
        let began = began.as_secs_f64();
        figures.insert(Figure::FirstEndSeconds, first / 1e9 - began);
        figures.insert(Figure::LastEndSeconds, last / 1e9 - began);
        figures.insert(Figure::SlowestSeconds, slowest / 1e9);
    }
    Ok(figures)
}

pub(super) fn sqlite_version() -> Result<String> {
    let output_text = command::output(Command::new("sqlite3").arg("--version"))?;
    Ok(output_text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// The numbers of the first row, without those that are NULL.
fn numbers(ledger: &Path, question: &str) -> Result<Vec<f64>> {
    let output_text = run(ledger, question)?;
    let columns = output_text.lines().next().unwrap_or_default().split('|');
    columns
        .filter(|column| !column.is_empty())
        .map(|column| {
            column
                .parse()
                .with_context(|| format!("read a number from `{column}`"))
        })
        .collect()
}

/// Runs a script and returns its output: one row per line, columns separated by `|`.
fn run(ledger: &Path, script: &str) -> Result<String> {
    let mut child = Command::new("sqlite3")
        .args(["-batch", "-bail"])
        .arg(ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start sqlite3")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("sqlite3 on {}: {}", ledger.display(), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
