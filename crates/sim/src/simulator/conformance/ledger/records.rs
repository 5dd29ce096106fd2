//! Rows of files.

use engine::ports::{Ledger, Record, RowId};
use futures_util::future::join_all;
use model::{Digest, FileState, LeaveReason, RelativePath};

use super::fixture::{LedgerFixture, at, begin, device, identity, record, record_sightings, source};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn known_files_are_returned_in_the_order_requested<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let odd = path(b"\xff'\n\x01")?;
    let second = Record {
        path: odd.clone(),
        ..record("b", 20)?
    };
    let rows = ledger
        .record(&lease, vec![record("a", 10)?, second])
        .await
        .map_err(message)?;
    same("rows", &rows.len(), &2)?;
    let asked = [odd, path("missing")?, path("a")?];
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &asked)
        .await
        .map_err(message)?;
    let found_rows: Vec<Option<RowId>> = found
        .iter()
        .map(|known| known.as_ref().map(|known| known.row))
        .collect();
    same(
        "rows remembered",
        &found_rows,
        &vec![rows.get(1).copied(), None, rows.first().copied()],
    )?;
    let first = found
        .into_iter()
        .flatten()
        .last()
        .ok_or("nothing is remembered")?;
    same("identity", &first.identity, &identity(10))?;
    same("digest", &first.digest, &Digest::from_bytes([10; 32]))?;
    same("name in the store", &first.store_name, &path("bee/a")?)?;
    same("state", &first.state, &FileState::Stored)
}

pub(super) async fn the_newest_row_of_a_path_is_returned<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    ledger
        .record(&lease, vec![record("a", 10)?])
        .await
        .map_err(message)?;
    // The collector's clock may have been set back: the order of records counts, not their time.
    let again = Record {
        at: at(-1000),
        ..record("a", 11)?
    };
    ledger.record(&lease, vec![again]).await.map_err(message)?;
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &[path("a")?])
        .await
        .map_err(message)?;
    let size = found
        .into_iter()
        .flatten()
        .next()
        .map(|known| known.identity.size);
    same("size", &size, &Some(11))
}

pub(super) async fn devices_and_sources_share_nothing<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    ledger
        .record(&lease, vec![record("a", 10)?])
        .await
        .map_err(message)?;
    for (name, folder) in [("wasp", "/photos"), ("bee", "/videos")] {
        let (name, folder) = (device(name)?, source(folder)?);
        let found = ledger
            .known_files(&name, &folder, &[path("a")?])
            .await
            .map_err(message)?;
        ensure(found == [None], || {
            format!("{name:?} {folder:?} remembers {found:?}")
        })?;
        let withdrawn = ledger.withdrawn_rows(&name, &folder).await.map_err(message)?;
        ensure(withdrawn.is_empty(), || {
            format!("{name:?} {folder:?} has {withdrawn:?} withdrawn")
        })?;
    }
    Ok(())
}

pub(super) async fn only_stored_files_with_a_batch_are_withdrawn_rows<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let in_place = Record {
        withdrawn: None,
        ..record("in fixture", 1)?
    };
    let records = vec![record("a", 10)?, record("b", 20)?, in_place];
    let rows = ledger.record(&lease, records).await.map_err(message)?;
    let (Some(first), Some(second), Some(third)) = (rows.first(), rows.get(1), rows.get(2)) else {
        return Err("rows are missing".to_owned());
    };
    let kept = Some(LeaveReason::KeptByRule);
    let settled = vec![
        (*first, FileState::Released, None),
        (*third, FileState::Kept, kept),
    ];
    ledger.set_states(&lease, settled, at(1)).await.map_err(message)?;
    let (bee, photos) = (device("bee")?, source("/photos")?);
    let withdrawn = ledger.withdrawn_rows(&bee, &photos).await.map_err(message)?;
    let rows_found: Vec<RowId> = withdrawn.iter().map(|row| row.row).collect();
    same("withdrawn rows", &rows_found, &vec![*second])?;
    let asked = [path("a")?, path("in fixture")?];
    let states = ledger.known_files(&bee, &photos, &asked).await.map_err(message)?;
    let states: Vec<FileState> = states.into_iter().flatten().map(|known| known.state).collect();
    same("states", &states, &vec![FileState::Released, FileState::Kept])
}

pub(super) async fn committed_data_is_there_for_the_next_process<P: LedgerFixture>(fixture: &P) -> Checked {
    let first = fixture.open();
    let (id, lease) = (first.id().clone(), begin(&first).await?);
    let rows = first
        .record(&lease, vec![record("a", 10)?])
        .await
        .map_err(message)?;
    record_sightings(&first, &lease, "/photos", &[("b", 1)], 0).await?;
    drop(first);
    let second = fixture.open();
    same("id", second.id(), &id)?;
    let found = second
        .known_files(&device("bee")?, &source("/photos")?, &[path("a")?])
        .await
        .map_err(message)?;
    let row = found.into_iter().flatten().next().map(|known| known.row);
    same("row", &row, &rows.first().copied())?;
    let again = begin(&second).await?;
    same(
        "sightings",
        &record_sightings(&second, &again, "/photos", &[("b", 1)], 9).await?,
        &vec![at(0)],
    )?;
    ensure(again.row() != lease.row(), || {
        "the row of an earlier pass is given again".to_owned()
    })
}

pub(super) async fn concurrent_records_get_rows_of_their_own<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let names: Vec<String> = (0..50).map(|number| format!("file-{number}")).collect();
    let recording = names.iter().map(|name| async {
        let row = ledger
            .record(&lease, vec![record(name, 1)?])
            .await
            .map_err(message)?;
        row.first().copied().ok_or_else(|| "no row".to_owned())
    });
    let rows: Result<Vec<RowId>, String> = join_all(recording).await.into_iter().collect();
    let rows = rows?;
    let asked: Result<Vec<RelativePath>, String> = names.iter().map(path).collect();
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &asked?)
        .await
        .map_err(message)?;
    let found: Vec<RowId> = found.into_iter().flatten().map(|known| known.row).collect();
    same("rows", &found, &rows)
}
