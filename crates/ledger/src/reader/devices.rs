//! What is known of devices.

use std::time::Duration;

use engine::ports::{ClockReading, DiskUse, PassOutcome, Reason, WriterCheck};
use model::{Amount, DeviceName, FileState, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{passes, remaining, totals, values};

const LAST_PASS: &str = include_str!("../sql/read/last_pass.sql");
const LAST_VERDICT: &str = include_str!("../sql/read/last_verdict.sql");

/// How many recorded files are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateTotals {
    /// In the store, and still on the device as far as is known.
    pub stored: Amount,
    /// In the store, and gone from the device.
    pub released: Amount,
    /// In the store, and staying on the device.
    pub kept: Amount,
}

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Its name.
    pub name: DeviceName,
    /// When a pass was last begun.
    pub last_attempt: Option<Timestamp>,
    /// When it was last heard.
    pub last_seen: Option<Timestamp>,
    /// Since when every pass has failed because of the device; `None` while it is served.
    pub failing_since: Option<Timestamp>,
    /// Its clock beside ours, when last told.
    pub clock: Option<ClockReading>,
    /// How full the file system of each source was when last told.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// What it lacks, in words.
    pub shortcomings: Vec<String>,
    /// How it proves that nobody writes to a file, when it last had files.
    pub writer_check: Option<WriterCheck>,
    /// The last pass that ended.
    pub last_pass: Option<PassSummary>,
    /// The last pass that ended and says something about the device: it was served, or it failed.
    pub last_verdict: Option<PassSummary>,
    /// What is recorded of it, by state.
    pub totals: StateTotals,
    /// What was released today (in UTC).
    pub released_today: Amount,
    /// What was newly stored today (in UTC).
    pub stored_today: Amount,
    /// What the last survey left on it, by reason.
    pub remaining: Vec<(Reason, Amount)>,
}

/// A pass as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassSummary {
    /// When it began.
    pub begun: Timestamp,
    /// When it ended; `None` while it runs, or if it was cut off.
    pub ended: Option<Timestamp>,
    /// How; `None` while it runs, or if it was cut off.
    pub outcome: Option<PassOutcome>,
    /// What it released.
    pub released: Amount,
    /// What it newly stored.
    pub stored: Amount,
    /// How long it took.
    pub took: Option<Duration>,
}

pub(super) fn all(ledger: &Connection, now: Timestamp) -> rusqlite::Result<Vec<DeviceStatus>> {
    let mut devices = ledger.prepare_cached("SELECT * FROM device ORDER BY name")?;
    let mut rows = devices.query(())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(status(ledger, row, now)?);
    }
    Ok(all)
}

pub(super) fn one(
    ledger: &Connection,
    name: &DeviceName,
    now: Timestamp,
) -> rusqlite::Result<Option<DeviceStatus>> {
    ledger
        .prepare_cached("SELECT * FROM device WHERE name = :name")?
        .query_row(named_params! { ":name": name.as_str() }, |row| {
            status(ledger, row, now)
        })
        .optional()
}

fn status(ledger: &Connection, row: &Row<'_>, now: Timestamp) -> rusqlite::Result<DeviceStatus> {
    let device: i64 = row.get("id")?;
    let today = totals::on_day(ledger, device, values::day(now))?;
    Ok(DeviceStatus {
        name: values::device_name(row, "name")?,
        last_attempt: values::optional_time(row, "last_attempt")?,
        last_seen: values::optional_time(row, "last_seen")?,
        failing_since: values::optional_time(row, "failing_since")?,
        clock: passes::clock_row(row)?,
        disks: disks(ledger, device)?,
        shortcomings: shortcomings(ledger, device)?,
        writer_check: values::writer_check(row)?,
        last_pass: pass(ledger, device, LAST_PASS)?,
        last_verdict: pass(ledger, device, LAST_VERDICT)?,
        totals: totals(ledger, device)?,
        released_today: (today.released),
        stored_today: (today.stored),
        remaining: remaining(ledger, device)?,
    })
}

fn disks(ledger: &Connection, device: i64) -> rusqlite::Result<Vec<(SourcePath, Option<DiskUse>)>> {
    let disk = |row: &Row<'_>| {
        let total = values::optional_number(row, "total")?;
        let available = values::optional_number(row, "available")?;
        let disk = total
            .zip(available)
            .map(|(total, available)| DiskUse { total, available });
        Ok((values::source(row, "path")?, disk))
    };
    ledger
        .prepare_cached(include_str!("../sql/read/disks.sql"))?
        .query_map(named_params! { ":device": device }, disk)?
        .collect()
}

fn shortcomings(ledger: &Connection, device: i64) -> rusqlite::Result<Vec<String>> {
    ledger
        .prepare_cached("SELECT text FROM shortcoming WHERE device = :device ORDER BY position")?
        .query_map(named_params! { ":device": device }, |row| row.get("text"))?
        .collect()
}

fn totals(ledger: &Connection, device: i64) -> rusqlite::Result<StateTotals> {
    let mut totals = StateTotals::default();
    let mut counted =
        ledger.prepare_cached("SELECT state, files, bytes FROM file_total WHERE device = :device")?;
    let mut rows = counted.query(named_params! { ":device": device })?;
    while let Some(row) = rows.next()? {
        let count = Amount::new(values::count(row, "files")?, values::count(row, "bytes")?);
        match values::state(row)? {
            FileState::Stored => totals.stored = count,
            FileState::Released => totals.released = count,
            FileState::Kept => totals.kept = count,
        }
    }
    Ok(totals)
}

fn remaining(ledger: &Connection, device: i64) -> rusqlite::Result<Vec<(Reason, Amount)>> {
    let totals = remaining::totals(ledger, device)?;
    Ok(totals)
}

fn pass(ledger: &Connection, device: i64, question: &'static str) -> rusqlite::Result<Option<PassSummary>> {
    ledger
        .prepare_cached(question)?
        .query_row(named_params! { ":device": device }, pass_row)
        .optional()
}

pub(super) fn passes(ledger: &Connection, device: i64, limit: usize) -> rusqlite::Result<Vec<PassSummary>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    ledger
        .prepare_cached(include_str!("../sql/read/passes.sql"))?
        .query_map(named_params! { ":device": device, ":limit": limit }, pass_row)?
        .collect()
}

fn pass_row(row: &Row<'_>) -> rusqlite::Result<PassSummary> {
    let code: Option<String> = row.get("outcome")?;
    let class: Option<String> = row.get("class")?;
    let message: Option<String> = row.get("message")?;
    let remedy: Option<String> = row.get("remedy")?;
    let outcome = code.map(|code| {
        let outcome = passes::outcome(&code, class.as_deref(), message.unwrap_or_default(), remedy);
        values::admitted("outcome", Type::Text, outcome)
    });
    let count = |files, bytes| -> rusqlite::Result<Amount> {
        Ok(Amount::new(
            values::count(row, files)?,
            values::count(row, bytes)?,
        ))
    };
    Ok(PassSummary {
        begun: values::time(row, "begun")?,
        ended: values::optional_time(row, "ended")?,
        outcome: outcome.transpose()?,
        released: count("released_files", "released_bytes")?,
        stored: count("stored_files", "stored_bytes")?,
        took: row.get::<_, Option<i64>>("took")?.map(values::span),
    })
}
