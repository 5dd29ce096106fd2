//! The status of devices.

use engine::ports::{DeviceStatus, DiskUse, PastPass, StateTotals};
use model::{Amount, DeviceName, FileState, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{passes, remaining, totals, values};

const LAST_PASS: &str = include_str!("../sql/read/last_pass.sql");
const LAST_CONCLUSIVE_PASS: &str = include_str!("../sql/read/last_conclusive_pass.sql");

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
        last_conclusive_pass: pass(ledger, device, LAST_CONCLUSIVE_PASS)?,
        totals: totals(ledger, device)?,
        released_today: today.released,
        stored_today: today.stored,
        remaining: remaining::totals(ledger, device)?,
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

fn pass(ledger: &Connection, device: i64, query: &'static str) -> rusqlite::Result<Option<PastPass>> {
    ledger
        .prepare_cached(query)?
        .query_row(named_params! { ":device": device }, pass_row)
        .optional()
}

pub(super) fn passes(ledger: &Connection, device: i64, limit: usize) -> rusqlite::Result<Vec<PastPass>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    ledger
        .prepare_cached(include_str!("../sql/read/passes.sql"))?
        .query_map(named_params! { ":device": device, ":limit": limit }, pass_row)?
        .collect()
}

fn pass_row(row: &Row<'_>) -> rusqlite::Result<PastPass> {
    let code: Option<String> = row.get("outcome")?;
    let class: Option<String> = row.get("class")?;
    let message: Option<String> = row.get("message")?;
    let remedy: Option<String> = row.get("remedy")?;
    let outcome = code.map(|code| {
        let outcome = passes::outcome(&code, class.as_deref(), message.unwrap_or_default(), remedy);
        values::validate("outcome", Type::Text, outcome)
    });
    let count = |files, bytes| -> rusqlite::Result<Amount> {
        Ok(Amount::new(
            values::count(row, files)?,
            values::count(row, bytes)?,
        ))
    };
    Ok(PastPass {
        begun: values::time(row, "begun")?,
        ended: values::optional_time(row, "ended")?,
        outcome: outcome.transpose()?,
        released: count("released_files", "released_bytes")?,
        stored: count("stored_files", "stored_bytes")?,
        took: row.get::<_, Option<i64>>("took")?.map(values::duration),
    })
}
