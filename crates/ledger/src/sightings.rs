//! Files whose clock cannot be trusted, and since when their identity is unchanged.

use std::collections::HashSet;

use engine::ports::{Sighting, Unseen};
use model::{SourcePath, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::names;
use crate::values::{self, to_signed};

/// Records sightings on `device` and returns, for each, when its identity was first seen. `unseen` decides
/// what happens to the source's other sightings; if known and new ones together exceed `max`, the others are
/// forgotten in any case.
///
/// Ignores a recorded time later than `at`: the collector's clock was set back since.
pub(crate) fn record(
    ledger: &Connection,
    device: i64,
    source: &SourcePath,
    sightings: &[Sighting],
    unseen: Unseen,
    max: usize,
    at: Timestamp,
) -> rusqlite::Result<Vec<Timestamp>> {
    let source = names::source(ledger, device, source)?;
    if unseen == Unseen::Forget || !all_fit(ledger, source, sightings, max)? {
        forget_unseen(ledger, source, sightings)?;
    }
    let mut times = Vec::with_capacity(sightings.len());
    for sighting in sightings {
        let since = match known_since(ledger, source, sighting)? {
            Some(since) if since <= at => since,
            Some(_) | None => {
                write(ledger, source, sighting, at)?;
                at
            }
        };
        times.push(since);
    }
    Ok(times)
}

/// Whether the known sightings and these are at most `max` together. A file that is in both counts twice.
fn all_fit(ledger: &Connection, source: i64, sightings: &[Sighting], max: usize) -> rusqlite::Result<bool> {
    let known: i64 = ledger
        .prepare_cached("SELECT count(*) FROM sighting WHERE source = :source")?
        .query_row(named_params! { ":source": source }, |row| row.get(0))?;
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    Ok(known.saturating_add(sightings.len()) <= max)
}

fn forget_unseen(ledger: &Connection, source: i64, sightings: &[Sighting]) -> rusqlite::Result<()> {
    let seen: HashSet<&[u8]> = sightings
        .iter()
        .map(|sighting| sighting.path.as_bytes())
        .collect();
    let mut gone: Vec<Vec<u8>> = Vec::new();
    let mut known = ledger.prepare_cached("SELECT path FROM sighting WHERE source = :source")?;
    let mut rows = known.query(named_params! { ":source": source })?;
    while let Some(row) = rows.next()? {
        let path = row.get_ref("path")?.as_blob()?;
        if !seen.contains(path) {
            gone.push(path.to_vec());
        }
    }
    let mut forget = ledger.prepare_cached("DELETE FROM sighting WHERE source = :source AND path = :path")?;
    for path in gone {
        forget.execute(named_params! { ":source": source, ":path": path })?;
    }
    Ok(())
}

/// When the file's present identity was first seen; `None` if the file is new or has changed.
fn known_since(ledger: &Connection, source: i64, sighting: &Sighting) -> rusqlite::Result<Option<Timestamp>> {
    let key = named_params! { ":source": source, ":path": sighting.path.as_bytes() };
    let known = ledger
        .prepare_cached(include_str!("sql/read/sighting.sql"))?
        .query_row(key, |row| {
            Ok((values::identity(row)?, values::time(row, "since")?))
        })
        .optional()?;
    Ok(known.and_then(|(identity, since)| (identity == sighting.identity).then_some(since)))
}

fn write(ledger: &Connection, source: i64, sighting: &Sighting, at: Timestamp) -> rusqlite::Result<()> {
    let identity = &sighting.identity;
    let row = named_params! {
        ":source": source,
        ":path": sighting.path.as_bytes(),
        ":size": to_signed(identity.size),
        ":modified": identity.modified.nanoseconds(),
        ":changed": identity.changed.map(Timestamp::nanoseconds),
        ":device_number": identity.device_number.map(to_signed),
        ":inode": identity.inode.map(to_signed),
        ":since": at.nanoseconds(),
    };
    ledger
        .prepare_cached(include_str!("sql/write/sighting.sql"))?
        .execute(row)
        .map(drop)
}
