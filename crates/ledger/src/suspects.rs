//! Suspects: files that may have ended a session with their device.

use engine::ports::Suspicion;
use model::{DeviceName, RelativePath, SourcePath};
use rusqlite::{Connection, Row, named_params};

use crate::{names, values};

/// The suspects of a source, with the path at which each was found.
pub(crate) fn all(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
) -> rusqlite::Result<Vec<(RelativePath, Suspicion)>> {
    let Some(source) = names::known_source_of(ledger, device, source)? else {
        return Ok(Vec::new());
    };
    let suspect = |row: &Row<'_>| {
        let suspicion = Suspicion {
            noted: row.get("id")?,
            times: values::count(row, "times")?,
        };
        Ok((values::path(row, "path")?, suspicion))
    };
    ledger
        .prepare_cached("SELECT id, path, times FROM suspect WHERE source = :source")?
        .query_map(named_params! { ":source": source }, suspect)?
        .collect()
}

/// Records suspects as the newest, counts each once more, and keeps the newest `max` of the source.
pub(crate) fn record(
    ledger: &Connection,
    device: i64,
    source: &SourcePath,
    paths: &[RelativePath],
    max: usize,
) -> rusqlite::Result<()> {
    let source = names::source(ledger, device, source)?;
    let mut insert = ledger.prepare_cached(include_str!("sql/write/suspect.sql"))?;
    for path in paths {
        insert.execute(named_params! { ":source": source, ":path": path.as_bytes() })?;
    }
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    ledger
        .prepare_cached(include_str!("sql/write/forget_suspects.sql"))?
        .execute(named_params! { ":source": source, ":max": max })
        .map(drop)
}

/// Forgets these suspects of a source.
pub(crate) fn clear(
    ledger: &Connection,
    device: i64,
    source: &SourcePath,
    paths: &[RelativePath],
) -> rusqlite::Result<()> {
    let Some(source) = names::known_source(ledger, device, source)? else {
        return Ok(());
    };
    let mut delete = ledger.prepare_cached("DELETE FROM suspect WHERE source = :source AND path = :path")?;
    for path in paths {
        delete.execute(named_params! { ":source": source, ":path": path.as_bytes() })?;
    }
    Ok(())
}
