//! Names that many rows refer to by id: devices, sources and batches.

use model::{BatchId, DeviceName, SourcePath};
use rusqlite::{Connection, OptionalExtension as _, named_params};

/// The ids of the last source and batch looked up: files recorded together share most of them.
#[derive(Debug, Default)]
pub(crate) struct IdCache<'a> {
    source: Option<((i64, &'a SourcePath), i64)>,
    batch: Option<(&'a BatchId, i64)>,
}

impl<'a> IdCache<'a> {
    /// As [`source`].
    pub(crate) fn source(
        &mut self,
        ledger: &Connection,
        device: i64,
        path: &'a SourcePath,
    ) -> rusqlite::Result<i64> {
        get_or_insert(&mut self.source, (device, path), || source(ledger, device, path))
    }

    /// As [`batch`].
    pub(crate) fn batch(&mut self, ledger: &Connection, name: &'a BatchId) -> rusqlite::Result<i64> {
        get_or_insert(&mut self.batch, name, || batch(ledger, name))
    }
}

fn get_or_insert<K: PartialEq>(
    cached: &mut Option<(K, i64)>,
    key: K,
    query: impl FnOnce() -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    match cached {
        Some((known, id)) if *known == key => Ok(*id),
        _ => {
            let id = query()?;
            *cached = Some((key, id));
            Ok(id)
        }
    }
}

/// The id of a device; inserts the device if it is new.
pub(crate) fn device(ledger: &Connection, name: &DeviceName) -> rusqlite::Result<i64> {
    if let Some(id) = known_device(ledger, name)? {
        return Ok(id);
    }
    let row = named_params! { ":name": name.as_str() };
    ledger
        .prepare_cached("INSERT INTO device (name) VALUES (:name)")?
        .insert(row)
}

/// The id of a device; `None` if it was never visited.
pub(crate) fn known_device(ledger: &Connection, name: &DeviceName) -> rusqlite::Result<Option<i64>> {
    let row = named_params! { ":name": name.as_str() };
    ledger
        .prepare_cached("SELECT id FROM device WHERE name = :name")?
        .query_row(row, |row| row.get("id"))
        .optional()
}

/// The id of a source of a device; inserts the source if it is new.
pub(crate) fn source(ledger: &Connection, device: i64, path: &SourcePath) -> rusqlite::Result<i64> {
    if let Some(id) = known_source(ledger, device, path)? {
        return Ok(id);
    }
    let row = named_params! { ":device": device, ":path": path.as_bytes() };
    ledger
        .prepare_cached("INSERT INTO source (device, path) VALUES (:device, :path)")?
        .insert(row)
}

/// The id of a source of a device; `None` if the ledger has no row of it.
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

/// The id of a source; `None` if the ledger has no row of it.
pub(crate) fn known_source_of(
    ledger: &Connection,
    device: &DeviceName,
    path: &SourcePath,
) -> rusqlite::Result<Option<i64>> {
    match known_device(ledger, device)? {
        Some(device) => known_source(ledger, device, path),
        None => Ok(None),
    }
}

/// The id of a batch; inserts the batch if it is new.
pub(crate) fn batch(ledger: &Connection, name: &BatchId) -> rusqlite::Result<i64> {
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
