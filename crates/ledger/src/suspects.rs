//! Files that may be why a session with their device ended.

use engine::ports::Suspicion;
use model::{DeviceName, RelativePath, SourcePath};
use rusqlite::{Connection, Row, named_params};

use crate::{names, values};

/// Those of a source.
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

/// Notes some, as the newest, and keeps at most so many of their source.
pub(crate) fn note(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
    paths: &[RelativePath],
    most: usize,
) -> rusqlite::Result<()> {
    let device = names::device(ledger, device)?;
    let source = names::source(ledger, device, source)?;
    let mut note = ledger.prepare_cached(include_str!("sql/write/suspect.sql"))?;
    for path in paths {
        note.execute(named_params! { ":source": source, ":path": path.as_bytes() })?;
    }
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    ledger
        .prepare_cached(include_str!("sql/write/forget_suspects.sql"))?
        .execute(named_params! { ":source": source, ":most": most })
        .map(drop)
}

/// Forgets some.
pub(crate) fn forget(
    ledger: &Connection,
    device: &DeviceName,
    source: &SourcePath,
    paths: &[RelativePath],
) -> rusqlite::Result<()> {
    let Some(source) = names::known_source_of(ledger, device, source)? else {
        return Ok(());
    };
    let mut forget = ledger.prepare_cached("DELETE FROM suspect WHERE source = :source AND path = :path")?;
    for path in paths {
        forget.execute(named_params! { ":source": source, ":path": path.as_bytes() })?;
    }
    Ok(())
}
