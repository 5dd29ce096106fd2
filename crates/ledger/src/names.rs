//! Names that stand in many rows, by number: devices, sources and batches.

use model::{DeviceName, PassId, SourcePath};
use rusqlite::{Connection, OptionalExtension as _, named_params};

/// The number of a device; a new one if it has none.
pub(crate) fn device(ledger: &Connection, name: &DeviceName) -> rusqlite::Result<i64> {
    if let Some(id) = known_device(ledger, name)? {
        return Ok(id);
    }
    let row = named_params! { ":name": name.as_str() };
    ledger
        .prepare_cached("INSERT INTO device (name) VALUES (:name)")?
        .insert(row)
}

/// The number of a device; `None` if it was never visited.
pub(crate) fn known_device(ledger: &Connection, name: &DeviceName) -> rusqlite::Result<Option<i64>> {
    let row = named_params! { ":name": name.as_str() };
    ledger
        .prepare_cached("SELECT id FROM device WHERE name = :name")?
        .query_row(row, |row| row.get("id"))
        .optional()
}

/// The number of a source of a device; a new one if it has none.
pub(crate) fn source(ledger: &Connection, device: i64, path: &SourcePath) -> rusqlite::Result<i64> {
    if let Some(id) = known_source(ledger, device, path)? {
        return Ok(id);
    }
    let row = named_params! { ":device": device, ":path": path.as_bytes() };
    ledger
        .prepare_cached("INSERT INTO source (device, path) VALUES (:device, :path)")?
        .insert(row)
}

/// The number of a source of a device; `None` if nothing was ever noted of it.
pub(crate) fn known_source(
    ledger: &Connection,
    device: i64,
    path: &SourcePath,
) -> rusqlite::Result<Option<i64>> {
    let row = named_params! { ":device": device, ":path": path.as_bytes() };
    ledger
        .prepare_cached("SELECT id FROM source WHERE device = :device AND path = :path")?
        .query_row(row, |row| row.get("id"))
        .optional()
}

/// The number of a batch; a new one if it has none.
pub(crate) fn batch(ledger: &Connection, name: &PassId) -> rusqlite::Result<i64> {
    let row = named_params! { ":name": name.as_str() };
    let known = ledger
        .prepare_cached("SELECT id FROM batch WHERE name = :name")?
        .query_row(row, |row| row.get("id"))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => ledger
            .prepare_cached("INSERT INTO batch (name) VALUES (:name)")?
            .insert(row),
    }
}
