//! The port `Ledger`.

use std::time::Duration;

use engine::ports::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, DeviceReport, FolderNumbers, Ledger,
    MAX_SUSPECTS, PassEnd, PassOutcome, Record, RowId, Sighting, Suspicion, Unseen,
};
use futures_util::future::join_all;
use model::{
    Amount, BatchId, DeviceName, Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath,
    Timestamp,
};

use super::{Checked, ensure, path, same, told};

/// A place that holds one ledger from process to process.
pub trait Place {
    /// The implementation.
    type Ledger: Ledger;

    /// Opens the ledger as a new process does, after the last one has ended.
    fn open(&self) -> Self::Ledger;
}

/// Every promise of the port, each in a fresh place.
pub async fn check<P: Place>(fresh: impl Fn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        what_is_recorded_is_remembered_in_the_order_asked_for,
        of_several_rows_of_a_path_the_newest_is_remembered,
        devices_and_sources_share_nothing,
        only_stored_files_that_were_withdrawn_are_told_as_withdrawn,
        a_file_is_sighted_since_it_was_first_seen_like_that,
        sightings_that_are_not_repeated_are_forgotten,
        sightings_that_a_cut_listing_did_not_repeat_are_kept,
        suspects_are_known_by_how_often_and_in_which_order_they_were_noted,
        claims_are_known_until_their_device_tells_others,
        the_clock_of_the_last_pass_that_told_one_is_kept,
        what_was_answered_is_there_for_the_next_process,
        records_made_at_the_same_time_have_rows_of_their_own,
    )
}

fn device(name: &str) -> Result<DeviceName, String> {
    DeviceName::new(name).map_err(told)
}

fn source(text: &str) -> Result<SourcePath, String> {
    SourcePath::new(text).map_err(told)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn identity(size: u64) -> Identity {
    Identity {
        device_number: Some(1),
        inode: Some(7),
        size,
        modified: at(-60),
        changed: Some(at(-59)),
    }
}

fn record(row: RowId, name: &str, size: u64) -> Result<Record, String> {
    Ok(Record {
        pass: row,
        device: device("bee")?,
        source: source("/photos")?,
        path: path(name)?,
        identity: identity(size),
        digest: Digest::from_bytes([u8::try_from(size).unwrap_or_default(); 32]),
        device_digest: true,
        store_name: path(format!("bee/{name}"))?,
        was_there: false,
        withdrawn: BatchId::new("1-1-0"),
        at: at(0),
    })
}

async fn begin(ledger: &impl Ledger) -> Result<RowId, String> {
    ledger.begin_pass(&device("bee")?, at(0)).await.map_err(told)
}

async fn what_is_recorded_is_remembered_in_the_order_asked_for<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let pass = begin(&ledger).await?;
    let odd = path(b"\xff'\n\x01")?;
    let second = Record {
        path: odd.clone(),
        ..record(pass, "b", 20)?
    };
    let rows = ledger
        .record(vec![record(pass, "a", 10)?, second])
        .await
        .map_err(told)?;
    same("rows", &rows.len(), &2)?;
    let asked = [odd, path("missing")?, path("a")?];
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &asked)
        .await
        .map_err(told)?;
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

async fn of_several_rows_of_a_path_the_newest_is_remembered<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let pass = begin(&ledger).await?;
    ledger.record(vec![record(pass, "a", 10)?]).await.map_err(told)?;
    // The collector's clock may have been set back: the order of recording counts, not the time.
    let again = Record {
        at: at(-1000),
        ..record(pass, "a", 11)?
    };
    ledger.record(vec![again]).await.map_err(told)?;
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &[path("a")?])
        .await
        .map_err(told)?;
    let size = found
        .into_iter()
        .flatten()
        .next()
        .map(|known| known.identity.size);
    same("size", &size, &Some(11))
}

async fn devices_and_sources_share_nothing<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let pass = begin(&ledger).await?;
    ledger.record(vec![record(pass, "a", 10)?]).await.map_err(told)?;
    for (name, folder) in [("wasp", "/photos"), ("bee", "/videos")] {
        let (name, folder) = (device(name)?, source(folder)?);
        let found = ledger
            .known_files(&name, &folder, &[path("a")?])
            .await
            .map_err(told)?;
        ensure(found == [None], || {
            format!("{name:?} {folder:?} remembers {found:?}")
        })?;
        let withdrawn = ledger.withdrawn_rows(&name, &folder).await.map_err(told)?;
        ensure(withdrawn.is_empty(), || {
            format!("{name:?} {folder:?} has {withdrawn:?} withdrawn")
        })?;
    }
    Ok(())
}

async fn only_stored_files_that_were_withdrawn_are_told_as_withdrawn<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let pass = begin(&ledger).await?;
    let in_place = Record {
        withdrawn: None,
        ..record(pass, "in place", 1)?
    };
    let records = vec![record(pass, "a", 10)?, record(pass, "b", 20)?, in_place];
    let rows = ledger.record(records).await.map_err(told)?;
    let (Some(first), Some(second), Some(third)) = (rows.first(), rows.get(1), rows.get(2)) else {
        return Err("rows are missing".to_owned());
    };
    let kept = Some(LeaveReason::KeptByRule);
    let settled = vec![
        (*first, FileState::Released, None),
        (*third, FileState::Kept, kept),
    ];
    ledger.set_states(settled, at(1)).await.map_err(told)?;
    let (bee, photos) = (device("bee")?, source("/photos")?);
    let withdrawn = ledger.withdrawn_rows(&bee, &photos).await.map_err(told)?;
    let told_rows: Vec<RowId> = withdrawn.iter().map(|row| row.row).collect();
    same("withdrawn rows", &told_rows, &vec![*second])?;
    let asked = [path("a")?, path("in place")?];
    let states = ledger.known_files(&bee, &photos, &asked).await.map_err(told)?;
    let states: Vec<FileState> = states.into_iter().flatten().map(|known| known.state).collect();
    same("states", &states, &vec![FileState::Released, FileState::Kept])
}

async fn record_sightings(
    ledger: &impl Ledger,
    folder: &str,
    files: &[(&str, u64)],
    seconds: i64,
) -> Result<Vec<Timestamp>, String> {
    sighted_among(ledger, folder, files, Unseen::Forget, seconds).await
}

async fn sighted_among(
    ledger: &impl Ledger,
    folder: &str,
    files: &[(&str, u64)],
    others: Unseen,
    seconds: i64,
) -> Result<Vec<Timestamp>, String> {
    let sighting = |(name, size): &(&str, u64)| {
        Ok(Sighting {
            path: path(name)?,
            identity: identity(*size),
        })
    };
    let sightings: Result<Vec<Sighting>, String> = files.iter().map(sighting).collect();
    ledger
        .record_sightings(&device("bee")?, &source(folder)?, sightings?, others, at(seconds))
        .await
        .map_err(told)
}

async fn a_file_is_sighted_since_it_was_first_seen_like_that<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    same(
        "new",
        &record_sightings(&ledger, "/photos", &[("a", 1), ("b", 1)], 0).await?,
        &vec![at(0), at(0)],
    )?;
    let found = record_sightings(&ledger, "/photos", &[("c", 1), ("b", 2), ("a", 1)], 10).await?;
    same(
        "another, a changed one and an old one",
        &found,
        &vec![at(10), at(10), at(0)],
    )?;
    let found = record_sightings(&ledger, "/photos", &[("a", 1)], -5).await?;
    same("after the clock was set back", &found, &vec![at(-5)])?;
    same(
        "from then on",
        &record_sightings(&ledger, "/photos", &[("a", 1)], 6).await?,
        &vec![at(-5)],
    )
}

async fn sightings_that_are_not_repeated_are_forgotten<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    record_sightings(&ledger, "/photos", &[("a", 1), ("b", 1)], 0).await?;
    record_sightings(&ledger, "/photos", &[("b", 1)], 1).await?;
    record_sightings(&ledger, "/videos", &[], 2).await?;
    let found = record_sightings(&ledger, "/photos", &[("a", 1), ("b", 1)], 3).await?;
    same(
        "one that was gone and one that was not",
        &found,
        &vec![at(3), at(0)],
    )
}

async fn sightings_that_a_cut_listing_did_not_repeat_are_kept<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    record_sightings(&ledger, "/photos", &[("a", 1), ("b", 1)], 0).await?;
    let found = sighted_among(&ledger, "/photos", &[("b", 2), ("c", 1)], Unseen::Retain, 1).await?;
    same("a changed one and a new one", &found, &vec![at(1), at(1)])?;
    let found = record_sightings(&ledger, "/photos", &[("a", 1), ("b", 2), ("c", 1)], 2).await?;
    same("all of them", &found, &vec![at(0), at(1), at(1)])
}

fn end(pass: RowId, clock: Option<ClockReading>) -> Result<PassEnd, String> {
    let report = clock.map(|clock| DeviceReport {
        seen_at: clock.at,
        compression: Some(CompressionFinding {
            paid: true,
            at: clock.at,
        }),
        hung_up_on_command: Some(at(1)),
        clock: Some(clock),
        disks: Vec::new(),
        claims: Vec::new(),
        shortcomings: Vec::new(),
        writer_check: None,
    });
    Ok(PassEnd {
        pass,
        device: device("bee")?,
        at: at(5),
        outcome: PassOutcome::Well,
        released: Amount::ZERO,
        stored: Amount::ZERO,
        took: Duration::from_secs(1),
        report,
        remaining: None,
    })
}

async fn claims_are_known_until_their_device_tells_others<P: Place>(place: &P) -> Checked {
    let claim = |inode: u64| {
        let numbers = FolderNumbers {
            device_number: u64::MAX,
            inode,
        };
        let folder = ClaimedFolder {
            boot_id: "boot".to_owned(),
            numbers,
        };
        Claim { folder, since: at(3) }
    };
    let clock = ClockReading {
        offset: 0,
        boot_id: None,
        at: at(4),
    };
    for (name, claims) in [
        (
            "bee",
            vec![(source("/photos")?, claim(1)), (source("/films")?, claim(2))],
        ),
        ("wasp", vec![(source("/photos")?, claim(3))]),
        ("bee", vec![(source("/photos")?, claim(u64::MAX))]),
    ] {
        let ledger = place.open();
        let pass = ledger.begin_pass(&device(name)?, at(0)).await.map_err(told)?;
        let mut end = end(pass, Some(clock.clone()))?;
        end.device = device(name)?;
        if let Some(report) = &mut end.report {
            report.claims = claims;
        }
        ledger.finish_pass(end).await.map_err(told)?;
    }
    let mut known = place.open().claims().await.map_err(told)?;
    known.sort_by_key(|(device, ..)| device.clone());
    let expected = vec![
        (device("bee")?, source("/photos")?, claim(u64::MAX)),
        (device("wasp")?, source("/photos")?, claim(3)),
    ];
    same("the claims", &known, &expected)
}

async fn suspects_are_known_by_how_often_and_in_which_order_they_were_noted<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let (bee, photos) = (device("bee")?, source("/photos")?);
    let paths = |names: &[&str]| names.iter().map(path).collect::<Result<Vec<_>, _>>();
    same("before any", &suspects(&ledger, "/photos").await?, &vec![])?;
    let nobody = ledger.clear_suspects(&bee, &photos, paths(&["a"])?);
    nobody.await.map_err(told)?;
    for (of, names) in [
        ("/photos", ["a", "b"]),
        ("/films", ["x", "y"]),
        ("/photos", ["c", "a"]),
    ] {
        let of = source(of)?;
        let noted = ledger.record_suspects(&bee, &of, paths(&names)?);
        noted.await.map_err(told)?;
    }
    let cleared = ledger.clear_suspects(&bee, &photos, paths(&["c", "d"])?);
    cleared.await.map_err(told)?;
    drop(ledger);

    let ledger = place.open();
    let (photos_now, films_now) = (
        suspects(&ledger, "/photos").await?,
        suspects(&ledger, "/films").await?,
    );
    let often = |suspects: &[(RelativePath, Suspicion)]| -> Vec<(String, u64)> {
        let often = |(path, suspicion): &(RelativePath, Suspicion)| (path.to_string(), suspicion.times);
        suspects.iter().map(often).collect()
    };
    let expected = |names: &[(&str, u64)]| -> Vec<(String, u64)> {
        names
            .iter()
            .map(|(name, times)| ((*name).to_owned(), *times))
            .collect()
    };
    same("photos", &often(&photos_now), &expected(&[("b", 1), ("a", 2)]))?;
    same("films", &often(&films_now), &expected(&[("x", 1), ("y", 1)]))?;
    let newest = films_now.iter().map(|(_, suspicion)| suspicion.noted).max();
    let last = photos_now.last().map(|(_, suspicion)| suspicion.noted);
    ensure(last > newest, || {
        "the order says nothing over several sources".to_owned()
    })?;

    let many: Result<Vec<_>, _> = (0..MAX_SUSPECTS)
        .map(|number| path(format!("f{number}")))
        .collect();
    ledger.record_suspects(&bee, &photos, many?).await.map_err(told)?;
    let kept = suspects(&ledger, "/photos").await?;
    same("how many are kept", &kept.len(), &MAX_SUSPECTS)?;
    let is_old = |(path, _): &(RelativePath, Suspicion)| !path.to_string().starts_with('f');
    ensure(!kept.iter().any(is_old), || "the oldest are kept".to_owned())
}

/// The suspects of a source of `bee`, the one that was noted longest ago first.
async fn suspects(ledger: &impl Ledger, of: &str) -> Result<Vec<(RelativePath, Suspicion)>, String> {
    let (bee, of) = (device("bee")?, source(of)?);
    let found = ledger.suspects(&bee, &of);
    let mut found = found.await.map_err(told)?;
    found.sort_by_key(|(_, suspicion)| suspicion.noted);
    Ok(found)
}

async fn the_clock_of_the_last_pass_that_told_one_is_kept<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let clock = ClockReading {
        offset: -3,
        boot_id: Some("boot".to_owned()),
        at: at(1),
    };
    same(
        "before the first pass",
        &ledger.last_clock(&device("bee")?).await.map_err(told)?,
        &None,
    )?;
    let first = begin(&ledger).await?;
    ledger
        .finish_pass(end(first, Some(clock.clone()))?)
        .await
        .map_err(told)?;
    let second = begin(&ledger).await?;
    ensure(first != second, || "two passes have one row".to_owned())?;
    ledger.finish_pass(end(second, None)?).await.map_err(told)?;
    same(
        "after a pass that told none",
        &ledger.last_clock(&device("bee")?).await.map_err(told)?,
        &Some(clock),
    )?;
    let found = CompressionFinding {
        paid: true,
        at: at(1),
    };
    same(
        "compression after a pass that found nothing out",
        &ledger.last_compression(&device("bee")?).await.map_err(told)?,
        &Some(found),
    )?;
    same(
        "a hang-up over a command, after a pass that did not reach the device",
        &ledger
            .last_hang_up_on_command(&device("bee")?)
            .await
            .map_err(told)?,
        &Some(at(1)),
    )?;
    same(
        "compression of another device",
        &ledger.last_compression(&device("wasp")?).await.map_err(told)?,
        &None,
    )?;
    same(
        "of another device",
        &ledger.last_clock(&device("wasp")?).await.map_err(told)?,
        &None,
    )
}

async fn what_was_answered_is_there_for_the_next_process<P: Place>(place: &P) -> Checked {
    let first = place.open();
    let (id, pass) = (first.id().clone(), begin(&first).await?);
    let rows = first.record(vec![record(pass, "a", 10)?]).await.map_err(told)?;
    record_sightings(&first, "/photos", &[("b", 1)], 0).await?;
    drop(first);
    let second = place.open();
    same("id", second.id(), &id)?;
    let found = second
        .known_files(&device("bee")?, &source("/photos")?, &[path("a")?])
        .await
        .map_err(told)?;
    let row = found.into_iter().flatten().next().map(|known| known.row);
    same("row", &row, &rows.first().copied())?;
    same(
        "sightings",
        &record_sightings(&second, "/photos", &[("b", 1)], 9).await?,
        &vec![at(0)],
    )?;
    ensure(begin(&second).await? != pass, || {
        "the row of an earlier pass is given again".to_owned()
    })
}

async fn records_made_at_the_same_time_have_rows_of_their_own<P: Place>(place: &P) -> Checked {
    let ledger = place.open();
    let pass = begin(&ledger).await?;
    let names: Vec<String> = (0..50).map(|number| format!("file-{number}")).collect();
    let recording = names.iter().map(|name| async {
        let row = ledger.record(vec![record(pass, name, 1)?]).await.map_err(told)?;
        row.first().copied().ok_or_else(|| "no row".to_owned())
    });
    let rows: Result<Vec<RowId>, String> = join_all(recording).await.into_iter().collect();
    let rows = rows?;
    let asked: Result<Vec<RelativePath>, String> = names.iter().map(path).collect();
    let found = ledger
        .known_files(&device("bee")?, &source("/photos")?, &asked?)
        .await
        .map_err(told)?;
    let found: Vec<RowId> = found.into_iter().flatten().map(|known| known.row).collect();
    same("rows", &found, &rows)
}
