//! The record of files: what is remembered, what is recorded, what is settled.

use engine::ports::{KnownFile, Record, RowId, WithdrawnRow};
use model::{BatchId, DeviceName, FileState, LeaveReason, RelativePath, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::names::{self, Recent};
use crate::totals::Changes;
use crate::values::{self, bits};

pub(crate) const REMEMBERED: &str = include_str!("sql/read/remembered.sql");

pub(crate) const WITHDRAWN_ROWS: &str = include_str!("sql/read/withdrawn_rows.sql");

/// The newest row of each path.
pub(crate) fn known_files(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
    paths: &[RelativePath],
) -> rusqlite::Result<Vec<Option<KnownFile>>> {
    let Some(source) = names::known_source_of(ledger, device, source)? else {
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
    let Some(source) = names::known_source_of(ledger, device, source)? else {
        return Ok(Vec::new());
    };
    let withdrawn_row = |row: &Row<'_>| {
        let batch: String = row.get("batch_name")?;
        Ok(WithdrawnRow {
            row: RowId(row.get("id")?),
            path: values::path(row, "path")?,
            withdrawn: values::admitted("batch", Type::Text, BatchId::new(batch))?,
        })
    };
    ledger
        .prepare_cached(WITHDRAWN_ROWS)?
        .query_map(named_params! { ":source": source }, withdrawn_row)?
        .collect()
}

fn remembered_row(row: &Row<'_>) -> rusqlite::Result<KnownFile> {
    Ok(KnownFile {
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
    let (mut names, mut changes) = (Recent::default(), Changes::default());
    for record in records {
        let device = names.device(ledger, &record.device)?;
        let source = names.source(ledger, device, &record.source)?;
        let batch = record.withdrawn.as_ref().map(|batch| names.batch(ledger, batch));
        rows.push(insert(ledger, source, batch.transpose()?, record)?);
        changes.recorded(device, record.identity.size, record.was_there, record.at);
    }
    changes.write(ledger)?;
    Ok(rows)
}

fn insert(ledger: &Connection, source: i64, batch: Option<i64>, record: &Record) -> rusqlite::Result<RowId> {
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
pub(crate) fn set_states(
    ledger: &Connection,
    rows: &[(RowId, FileState, Option<LeaveReason>)],
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut changes = Changes::default();
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
        changes.moved(device, size, (before, *state), at);
    }
    changes.write(ledger)
}

fn known_row(ledger: &Connection, row: RowId) -> rusqlite::Result<(i64, FileState, u64)> {
    ledger
        .prepare_cached(include_str!("sql/read/row.sql"))?
        .query_row(named_params! { ":id": row.0 }, |row| {
            Ok((row.get("device")?, values::state(row)?, values::size(row)?))
        })
}
