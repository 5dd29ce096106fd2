//! The files that remain on a device. Each pass whose survey ran to its end replaces them.

use engine::ports::{Reason, Remaining, RemainingFile};
use model::Amount;
use rusqlite::{Connection, Row, named_params};

use crate::names;
use crate::values::{self, to_signed};

/// Replaces the remaining files and totals of a device. Writes nothing if they are unchanged, which is the
/// usual case.
pub(crate) fn replace(ledger: &Connection, device: i64, remaining: &Remaining) -> rusqlite::Result<()> {
    if files(ledger, device, remaining.files.len().saturating_add(1))? != remaining.files {
        write_files(ledger, device, &remaining.files)?;
    }
    if totals(ledger, device)? != remaining.totals {
        write_totals(ledger, device, &remaining.totals)?;
    }
    Ok(())
}

/// The first `limit` remaining files, in the order of the report.
pub(crate) fn files(ledger: &Connection, device: i64, limit: usize) -> rusqlite::Result<Vec<RemainingFile>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    ledger
        .prepare_cached(include_str!("sql/read/remaining.sql"))?
        .query_map(
            named_params! { ":device": device, ":limit": limit },
            remaining_row,
        )?
        .collect()
}

fn remaining_row(row: &Row<'_>) -> rusqlite::Result<RemainingFile> {
    Ok(RemainingFile {
        source: values::source(row, "source")?,
        path: row.get("path")?,
        reason: values::reason(row)?,
        size: values::size(row)?,
        detail: row.get("detail")?,
    })
}

/// How many files and bytes remain for each reason.
pub(crate) fn totals(ledger: &Connection, device: i64) -> rusqlite::Result<Vec<(Reason, Amount)>> {
    ledger
        .prepare_cached(
            "SELECT reason, files, bytes FROM remaining_total WHERE device = :device ORDER BY position",
        )?
        .query_map(named_params! { ":device": device }, |row| {
            Ok((
                values::reason(row)?,
                Amount::new(values::count(row, "files")?, values::count(row, "bytes")?),
            ))
        })?
        .collect()
}

fn write_files(ledger: &Connection, device: i64, files: &[RemainingFile]) -> rusqlite::Result<()> {
    ledger
        .prepare_cached("DELETE FROM remaining WHERE device = :device")?
        .execute(named_params! { ":device": device })?;
    let mut insert = ledger.prepare_cached(include_str!("sql/write/remaining.sql"))?;
    for (position, file) in (0_i64..).zip(files) {
        insert.execute(named_params! {
            ":device": device,
            ":position": position,
            ":source": names::source(ledger, device, &file.source)?,
            ":path": file.path,
            ":reason": file.reason.code(),
            ":size": to_signed(file.size),
            ":detail": file.detail,
        })?;
    }
    Ok(())
}

fn write_totals(ledger: &Connection, device: i64, totals: &[(Reason, Amount)]) -> rusqlite::Result<()> {
    ledger
        .prepare_cached("DELETE FROM remaining_total WHERE device = :device")?
        .execute(named_params! { ":device": device })?;
    let mut insert = ledger.prepare_cached(include_str!("sql/write/remaining_total.sql"))?;
    for (position, (reason, amount)) in (0_i64..).zip(totals) {
        insert.execute(named_params! {
            ":device": device,
            ":position": position,
            ":reason": reason.code(),
            ":files": to_signed(amount.files),
            ":bytes": to_signed(amount.bytes),
        })?;
    }
    Ok(())
}
