//! The record of files: known files, new records, changes of state.

use engine::ports::{KnownFile, Record, RowId, WithdrawnRow};
use model::{BatchId, DeviceName, FileState, LeaveReason, RelativePath, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::names::{self, IdCache};
use crate::totals::{CountedFile, TotalChanges};
use crate::values::{self, to_signed};

pub(crate) const KNOWN_FILE: &str = include_str!("sql/read/known_file.sql");

pub(crate) const WITHDRAWN_ROWS: &str = include_str!("sql/read/withdrawn_rows.sql");

/// The newest row of each path, in the order of `paths`.
pub(crate) fn known_files(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
    paths: &[RelativePath],
) -> rusqlite::Result<Vec<Option<KnownFile>>> {
    let Some(source) = names::known_source_of(ledger, device, source)? else {
        return Ok(vec![None; paths.len()]);
    };
    let mut newest = ledger.prepare_cached(KNOWN_FILE)?;
    let one = |path: &RelativePath| {
        let row = named_params! { ":source": source, ":path": path.as_bytes() };
        newest.query_row(row, known_file_row).optional()
    };
    paths.iter().map(one).collect()
}

/// The rows of a source whose files were withdrawn and are not recorded as released: still withdrawn, or
/// removed by a process that ended before it recorded the removal.
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
            withdrawn: values::validate("batch", Type::Text, BatchId::new(batch))?,
        })
    };
    ledger
        .prepare_cached(WITHDRAWN_ROWS)?
        .query_map(named_params! { ":source": source }, withdrawn_row)?
        .collect()
}

fn known_file_row(row: &Row<'_>) -> rusqlite::Result<KnownFile> {
    Ok(KnownFile {
        row: RowId(row.get("id")?),
        identity: values::identity(row)?,
        digest: values::digest(row)?,
        store_name: values::path(row, "store_name")?,
        state: values::state(row)?,
    })
}

/// Records published files of `device` in the row `pass`. Returns their rows in the order of `records`.
pub(crate) fn record(
    ledger: &Connection,
    device: i64,
    pass: RowId,
    records: &[Record],
) -> rusqlite::Result<Vec<RowId>> {
    let mut rows = Vec::with_capacity(records.len());
    let mut ids = IdCache::default();
    let mut changes = TotalChanges::default();
    for record in records {
        let source = ids.source(ledger, device, &record.source)?;
        let batch = record.withdrawn.as_ref().map(|batch| ids.batch(ledger, batch));
        rows.push(insert(ledger, source, batch.transpose()?, pass, record)?);
        changes.add_record(device, record.identity.size, record.already_stored, record.at);
    }
    changes.write(ledger)?;
    Ok(rows)
}

fn insert(
    ledger: &Connection,
    source: i64,
    batch: Option<i64>,
    pass: RowId,
    record: &Record,
) -> rusqlite::Result<RowId> {
    let identity = &record.identity;
    let row = named_params! {
        ":source": source,
        ":path": record.path.as_bytes(),
        ":size": to_signed(identity.size),
        ":modified": identity.modified.nanoseconds(),
        ":changed": identity.changed.map(Timestamp::nanoseconds),
        ":device_number": identity.device_number.map(to_signed),
        ":inode": identity.inode.map(to_signed),
        ":digest": record.digest.as_bytes(),
        ":device_digest": record.device_digest,
        ":store_name": record.store_name.as_bytes(),
        ":already_stored": record.already_stored,
        ":batch": batch,
        ":pass": pass.0,
        ":stored_at": record.at.nanoseconds(),
    };
    ledger
        .prepare_cached(include_str!("sql/write/record.sql"))?
        .insert(row)
        .map(RowId)
}

/// Sets the state of recorded files of `device`, whatever it was: after a power cut, a released file can
/// exist on its device again. Fails if a row is of another device or does not exist.
///
/// Setting the same state again changes nothing: a released file keeps the time of its first release.
pub(crate) fn set_states(
    ledger: &Connection,
    device: i64,
    rows: &[(RowId, FileState, Option<LeaveReason>)],
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut changes = TotalChanges::default();
    for (row, state, reason) in rows {
        let before = recorded_file(ledger, *row)?;
        if before.device != device {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
        let change = named_params! {
            ":id": row.0,
            ":state": state.code(),
            ":reason": reason.map(LeaveReason::code),
            ":at": at.nanoseconds(),
        };
        ledger
            .prepare_cached(include_str!("sql/write/set_state.sql"))?
            .execute(change)?;
        changes.change_state(&before, *state, at);
    }
    changes.write(ledger)
}

fn recorded_file(ledger: &Connection, row: RowId) -> rusqlite::Result<CountedFile> {
    ledger
        .prepare_cached(include_str!("sql/read/row.sql"))?
        .query_row(named_params! { ":id": row.0 }, |row| {
            Ok(CountedFile {
                device: row.get("device")?,
                state: values::state(row)?,
                size: values::size(row)?,
            })
        })
}
