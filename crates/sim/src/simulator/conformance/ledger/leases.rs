//! Only the last pass that was begun over a device writes about it.

use engine::ports::{
    ClockReading, FileFilter, History, Ledger, LedgerError, PassEnd, PassLease, Remaining, RowId, Sighting,
    Unseen,
};
use model::{DeviceName, FileState};

use super::fixture::{
    LedgerFixture, at, begin, begin_over, device, identity, record, record_sightings, source,
};
use super::history::remaining;
use super::passes::end;
use super::suspects::suspects;
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn a_second_pass_makes_the_lease_of_the_first_stale<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let first = begin(&ledger).await?;
    ledger
        .record(&first, vec![record("a", 1)?])
        .await
        .map_err(message)?;
    let second = begin(&ledger).await?;
    ensure(first.token() != second.token(), || {
        "two leases are equal".to_owned()
    })?;
    is_lost("the first", &ledger.record(&first, vec![record("b", 2)?]).await)?;
    ledger
        .record(&second, vec![record("c", 3)?])
        .await
        .map_err(message)?;
    drop(ledger);

    let ledger = fixture.open();
    let third = begin(&ledger).await?;
    for (what, stale) in [("the first", &first), ("the second", &second)] {
        is_lost(what, &ledger.record(stale, vec![record("b", 2)?]).await)?;
    }
    ledger
        .record(&third, vec![record("d", 4)?])
        .await
        .map_err(message)?;
    // A lease with another token than the ledger gave is no lease.
    let forged = PassLease::new(third.row(), device("bee")?, third.token() + 1);
    is_lost(
        "a later one",
        &ledger.record(&forged, vec![record("b", 2)?]).await,
    )?;
    let never_visited = PassLease::new(third.row(), device("wasp")?, 0);
    is_lost(
        "none",
        &ledger.record(&never_visited, vec![record("b", 2)?]).await,
    )
}

pub(super) async fn a_stale_lease_writes_nothing<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let stale = begin(&ledger).await?;
    let rows = write_all(&ledger, &stale).await?;
    let lease = begin(&ledger).await?;
    let before = everything(fixture, &ledger).await?;
    let photos = source("/photos")?;
    let several = vec![record("b", 2)?, record("c", 3)?];
    is_lost("record", &ledger.record(&stale, several).await)?;
    let released = rows
        .into_iter()
        .map(|row| (row, FileState::Released, None))
        .collect();
    is_lost("set_states", &ledger.set_states(&stale, released, at(9)).await)?;
    let noted = ledger.record_suspects(&stale, &photos, vec![path("suspect")?, path("other")?]);
    is_lost("record_suspects", &noted.await)?;
    let cleared = ledger.clear_suspects(&stale, &photos, vec![path("suspect")?]);
    is_lost("clear_suspects", &cleared.await)?;
    let sighting = Sighting {
        path: path("changed")?,
        identity: identity(2),
    };
    let seen = ledger.record_sightings(&stale, &photos, vec![sighting], Unseen::Forget, at(9));
    is_lost("record_sightings", &seen.await)?;
    is_lost("finish_pass", &ledger.finish_pass(&stale, full_end(9)?).await)?;
    same("what can be read", &everything(fixture, &ledger).await?, &before)?;
    same(
        "sightings",
        &record_sightings(&ledger, &lease, "/photos", &[("seen", 1), ("changed", 1)], 10).await?,
        &vec![at(1), at(1)],
    )
}

pub(super) async fn a_stale_lease_keeps_what_the_successor_reported<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let first = begin(&ledger).await?;
    let second = begin(&ledger).await?;
    let mut later = full_end(7)?;
    later.remaining = Some(remaining(&["left by the second"])?);
    ledger.finish_pass(&second, later).await.map_err(message)?;
    let before = everything(fixture, &ledger).await?;
    is_lost("the first", &ledger.finish_pass(&first, full_end(8)?).await)?;
    same("what can be read", &everything(fixture, &ledger).await?, &before)?;
    let history = fixture.history();
    let files = history.remaining(&device("bee")?, 9).map_err(message)?;
    let paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
    same("remaining files", &paths, &vec!["left by the second".to_owned()])
}

pub(super) async fn a_lease_changes_nothing_of_another_device<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let (bee, wasp) = (begin(&ledger).await?, begin_over(&ledger, "wasp").await?);
    let rows = ledger
        .record(&bee, vec![record("a", 1)?])
        .await
        .map_err(message)?;
    ledger
        .record(&wasp, vec![record("a", 2)?])
        .await
        .map_err(message)?;
    // The next pass over one device leaves the lease of the other as it is.
    let bee = begin(&ledger).await.map(|_| bee)?;
    is_lost("bee", &ledger.finish_pass(&bee, end(None)).await)?;
    let released: Vec<_> = rows.iter().map(|row| (*row, FileState::Released, None)).collect();
    let refused = ledger.set_states(&wasp, released, at(5)).await;
    ensure(matches!(refused, Err(LedgerError::Failed { .. })), || {
        format!("the state of another device's file: {refused:?}")
    })?;
    ledger.finish_pass(&wasp, end(None)).await.map_err(message)?;
    let names = [device("bee")?, device("wasp")?];
    let known = |name: DeviceName| {
        let (ledger, photos, asked) = (&ledger, source("/photos"), path("a"));
        async move {
            ledger
                .known_files(&name, &photos?, &[asked?])
                .await
                .map_err(message)
        }
    };
    for (name, size) in names.into_iter().zip([1, 2]) {
        let found = known(name).await?.into_iter().flatten();
        let found: Vec<_> = found.map(|file| (file.identity.size, file.state)).collect();
        same("size and state", &found, &vec![(size, FileState::Stored)])?;
    }
    Ok(())
}

/// Writes with every method except `finish_pass`. Returns the recorded rows.
async fn write_all(ledger: &impl Ledger, lease: &PassLease) -> Result<Vec<RowId>, String> {
    let photos = source("/photos")?;
    let rows = ledger
        .record(lease, vec![record("a", 1)?])
        .await
        .map_err(message)?;
    let noted = ledger.record_suspects(lease, &photos, vec![path("suspect")?]);
    noted.await.map_err(message)?;
    record_sightings(ledger, lease, "/photos", &[("seen", 1), ("changed", 1)], 1).await?;
    Ok(rows)
}

/// The end of a pass that reports everything that a pass can report.
fn full_end(seconds: i64) -> Result<PassEnd, String> {
    let clock = ClockReading {
        offset: seconds,
        boot_id: Some("boot".to_owned()),
        at: at(seconds),
    };
    let remaining: Remaining = remaining(&["left"])?;
    Ok(PassEnd {
        remaining: Some(remaining),
        ..end(Some(clock))
    })
}

fn is_lost<T: std::fmt::Debug>(what: &str, result: &Result<T, LedgerError>) -> Checked {
    let lost = matches!(result, Err(LedgerError::LeaseLost { .. }));
    ensure(lost, || format!("{what} with a stale lease: {result:?}"))
}

/// All that the ports let a process read about the device `bee`, as text.
async fn everything<P: LedgerFixture>(fixture: &P, ledger: &P::Ledger) -> Result<String, String> {
    let (bee, photos) = (device("bee")?, source("/photos")?);
    let history = fixture.history();
    let files = history.files(FileFilter::default()).map_err(message)?;
    let files: Result<Vec<_>, _> = files.collect();
    let read = (
        history.devices(at(0)).map_err(message)?,
        history.passes(&bee, 99).map_err(message)?,
        history.remaining(&bee, 99).map_err(message)?,
        files.map_err(message)?,
    );
    let known = (
        ledger.claims().await.map_err(message)?,
        ledger.last_clock(&bee).await.map_err(message)?,
        ledger.withdrawn_rows(&bee, &photos).await.map_err(message)?,
        suspects(ledger, "/photos").await?,
    );
    Ok(format!("{read:?} {known:?}"))
}
