//! The record of files: what is remembered, what is recorded, what is settled.

use engine::ports::{Record, Remembered, RowId, WithdrawnRow};
use model::{DeviceName, FileState, LeaveReason, PassId, RelativePath, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::names;
use crate::values::{self, bits};

pub(crate) const REMEMBERED: &str = include_str!("sql/read/remembered.sql");

pub(crate) const WITHDRAWN_ROWS: &str = include_str!("sql/read/withdrawn_rows.sql");

/// The newest row of each path.
pub(crate) fn remembered(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
    paths: &[RelativePath],
) -> rusqlite::Result<Vec<Option<Remembered>>> {
    let device = names::known_device(ledger, device)?;
    let source = device
        .map(|device| names::known_source(ledger, device, source))
        .transpose()?;
    let Some(source) = source.flatten() else {
        return Ok(vec![None; paths.len()]);
    };
    let mut newest = ledger.prepare_cached(REMEMBERED)?;
    let one = |path: &RelativePath| {
        let row = named_params! { ":source": source, ":path": path.as_bytes() };
        newest.query_row(row, remembered_row).optional()
    };
    paths.iter().map(one).collect()
}

/// The rows of a source whose files lie withdrawn, or are gone without its having been noted.
pub(crate) fn withdrawn(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
) -> rusqlite::Result<Vec<WithdrawnRow>> {
    let device = names::known_device(ledger, device)?;
    let source = device
        .map(|device| names::known_source(ledger, device, source))
        .transpose()?;
    let Some(source) = source.flatten() else {
        return Ok(Vec::new());
    };
    let withdrawn_row = |row: &Row<'_>| {
        let batch: String = row.get("batch_name")?;
        Ok(WithdrawnRow {
            row: RowId(row.get("id")?),
            path: values::path(row, "path")?,
            withdrawn: values::admitted("batch", Type::Text, PassId::new(batch))?,
        })
    };
    ledger
        .prepare_cached(WITHDRAWN_ROWS)?
        .query_map(named_params! { ":source": source }, withdrawn_row)?
        .collect()
}

fn remembered_row(row: &Row<'_>) -> rusqlite::Result<Remembered> {
    Ok(Remembered {
        row: RowId(row.get("id")?),
        identity: values::identity(row)?,
        digest: values::digest(row)?,
        store_name: values::path(row, "store_name")?,
        state: values::state(row)?,
    })
}

/// Records published files.
pub(crate) fn record(ledger: &Connection, records: &[Record]) -> rusqlite::Result<Vec<RowId>> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let device = names::device(ledger, &record.device)?;
        rows.push(insert(ledger, device, record)?);
        let size = record.identity.size;
        count(ledger, device, FileState::Stored, Change::More, size)?;
        if !record.was_there {
            let counted = Day {
                stored: (1, size),
                released: (0, 0),
            };
            count_on_day(ledger, device, record.at, &counted)?;
        }
    }
    Ok(rows)
}

fn insert(ledger: &Connection, device: i64, record: &Record) -> rusqlite::Result<RowId> {
    let source = names::source(ledger, device, &record.source)?;
    let batch = record
        .withdrawn
        .as_ref()
        .map(|batch| names::batch(ledger, batch))
        .transpose()?;
    let identity = &record.identity;
    let row = named_params! {
        ":source": source,
        ":path": record.path.as_bytes(),
        ":size": bits(identity.size),
        ":modified": identity.modified.nanoseconds(),
        ":changed": identity.changed.map(Timestamp::nanoseconds),
        ":device_number": identity.device_number.map(bits),
        ":inode": identity.inode.map(bits),
        ":digest": record.digest.as_bytes(),
        ":device_digest": record.device_digest,
        ":store_name": record.store_name.as_bytes(),
        ":was_there": record.was_there,
        ":batch": batch,
        ":pass": record.pass.0,
        ":stored_at": record.at.nanoseconds(),
    };
    ledger
        .prepare_cached(include_str!("sql/write/record.sql"))?
        .insert(row)
        .map(RowId)
}

/// Notes that recorded files are gone from their device, or are kept there.
///
/// The latest word counts, whatever was said before: a file that a power cut on the device brought back is there. Settling a
/// row again as it is changes nothing; so the time at which it was released stays that of the first time.
pub(crate) fn settle(
    ledger: &Connection,
    rows: &[(RowId, FileState, Option<LeaveReason>)],
    at: Timestamp,
) -> rusqlite::Result<()> {
    for (row, state, reason) in rows {
        let (device, before, size) = known_row(ledger, *row)?;
        let change = named_params! {
            ":id": row.0,
            ":state": state.code(),
            ":reason": reason.map(LeaveReason::code),
            ":at": at.nanoseconds(),
        };
        ledger
            .prepare_cached(include_str!("sql/write/settle.sql"))?
            .execute(change)?;
        if before == *state {
            continue;
        }
        count(ledger, device, before, Change::Less, size)?;
        count(ledger, device, *state, Change::More, size)?;
        if *state == FileState::Released {
            let counted = Day {
                stored: (0, 0),
                released: (1, size),
            };
            count_on_day(ledger, device, at, &counted)?;
        }
    }
    Ok(())
}

fn known_row(ledger: &Connection, row: RowId) -> rusqlite::Result<(i64, FileState, u64)> {
    ledger
        .prepare_cached(include_str!("sql/read/row.sql"))?
        .query_row(named_params! { ":id": row.0 }, |row| {
            Ok((row.get("device")?, values::state(row)?, values::size(row)?))
        })
}

#[derive(Clone, Copy)]
enum Change {
    More,
    Less,
}

impl Change {
    fn applied(self, number: u64, by: u64) -> u64 {
        match self {
            Self::More => number.saturating_add(by),
            Self::Less => number.saturating_sub(by),
        }
    }
}

/// Counts one file of that size into or out of a state.
fn count(
    ledger: &Connection,
    device: i64,
    state: FileState,
    change: Change,
    size: u64,
) -> rusqlite::Result<()> {
    let key = named_params! { ":device": device, ":state": state.code() };
    let known = ledger
        .prepare_cached("SELECT files, bytes FROM file_total WHERE device = :device AND state = :state")?
        .query_row(key, |row| {
            Ok((values::count(row, "files")?, values::count(row, "bytes")?))
        })
        .optional()?;
    let (files, bytes) = known.unwrap_or_default();
    let row = named_params! {
        ":device": device,
        ":state": state.code(),
        ":files": bits(change.applied(files, 1)),
        ":bytes": bits(change.applied(bytes, size)),
    };
    ledger
        .prepare_cached("INSERT OR REPLACE INTO file_total (device, state, files, bytes) VALUES (:device, :state, :files, :bytes)")?
        .execute(row)
        .map(drop)
}

/// What came and went on a day: files and bytes.
pub(crate) struct Day {
    pub(crate) stored: (u64, u64),
    pub(crate) released: (u64, u64),
}

fn count_on_day(ledger: &Connection, device: i64, at: Timestamp, more: &Day) -> rusqlite::Result<()> {
    let known = on_day(ledger, device, at)?;
    let sum = |known: (u64, u64), more: (u64, u64)| {
        (
            bits(known.0.saturating_add(more.0)),
            bits(known.1.saturating_add(more.1)),
        )
    };
    let (stored, released) = (sum(known.stored, more.stored), sum(known.released, more.released));
    let row = named_params! {
        ":device": device,
        ":day": values::day(at),
        ":stored_files": stored.0,
        ":stored_bytes": stored.1,
        ":released_files": released.0,
        ":released_bytes": released.1,
    };
    ledger
        .prepare_cached(include_str!("sql/write/day.sql"))?
        .execute(row)
        .map(drop)
}

/// What came and went on the day of `at`.
pub(crate) fn on_day(ledger: &Connection, device: i64, at: Timestamp) -> rusqlite::Result<Day> {
    let key = named_params! { ":device": device, ":day": values::day(at) };
    let known = ledger
        .prepare_cached("SELECT * FROM day WHERE device = :device AND day = :day")?
        .query_row(key, |row| {
            Ok(Day {
                stored: (
                    values::count(row, "stored_files")?,
                    values::count(row, "stored_bytes")?,
                ),
                released: (
                    values::count(row, "released_files")?,
                    values::count(row, "released_bytes")?,
                ),
            })
        })
        .optional()?;
    Ok(known.unwrap_or(Day {
        stored: (0, 0),
        released: (0, 0),
    }))
}
