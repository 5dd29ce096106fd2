//! Names that stand in many rows, by number: devices, sources and batches.

use model::{BatchId, DeviceName, SourcePath};
use rusqlite::{Connection, OptionalExtension as _, named_params};

/// The numbers of the names that were last asked for: files that are recorded together share most of theirs.
#[derive(Debug, Default)]
pub(crate) struct Recent<'a> {
    device: Option<(&'a DeviceName, i64)>,
    source: Option<((i64, &'a SourcePath), i64)>,
    batch: Option<(&'a BatchId, i64)>,
}

impl<'a> Recent<'a> {
    /// As [`device`].
    pub(crate) fn device(&mut self, ledger: &Connection, name: &'a DeviceName) -> rusqlite::Result<i64> {
        recent(&mut self.device, name, || device(ledger, name))
    }

    /// As [`source`].
    pub(crate) fn source(
        &mut self,
        ledger: &Connection,
        of: i64,
        path: &'a SourcePath,
    ) -> rusqlite::Result<i64> {
        recent(&mut self.source, (of, path), || source(ledger, of, path))
    }

    /// As [`batch`].
    pub(crate) fn batch(&mut self, ledger: &Connection, name: &'a BatchId) -> rusqlite::Result<i64> {
        recent(&mut self.batch, name, || batch(ledger, name))
    }
}

fn recent<K: PartialEq>(
    last: &mut Option<(K, i64)>,
    name: K,
    ask: impl FnOnce() -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    match last {
        Some((known, id)) if *known == name => Ok(*id),
        _ => {
            let id = ask()?;
            *last = Some((name, id));
            Ok(id)
        }
    }
}

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

fn known_source(ledger: &Connection, device: i64, path: &SourcePath) -> rusqlite::Result<Option<i64>> {
    let row = named_params! { ":device": device, ":path": path.as_bytes() };
    ledger
        .prepare_cached("SELECT id FROM source WHERE device = :device AND path = :path")?
        .query_row(row, |row| row.get("id"))
        .optional()
}

/// The number of a source; `None` if nothing was ever noted of it.
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

/// The number of a batch; a new one if it has none.
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
