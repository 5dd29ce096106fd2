//! The lists of recorded files and of stored copies.

use engine::ports::{FileFilter, FileRow, History, Ledger, Record, StoredCopy};
use model::{Digest, FileState, LeaveReason};

use super::fixture::{LedgerFixture, at, begin, begin_over, device, record, source};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn a_recorded_file_is_read_as_it_was_written<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let recorded = record("a", 10)?;
    let rows = ledger
        .record(&lease, vec![recorded.clone()])
        .await
        .map_err(message)?;
    let mut expected = FileRow {
        device: device("bee")?,
        source: recorded.source,
        path: recorded.path,
        identity: recorded.identity,
        digest: recorded.digest,
        device_digest: recorded.device_digest,
        store_name: recorded.store_name,
        already_stored: recorded.already_stored,
        withdrawn: recorded.withdrawn,
        state: FileState::Stored,
        reason: None,
        stored_at: recorded.at,
        released_at: None,
    };
    same(
        "recorded",
        &files(fixture, FileFilter::default())?,
        &vec![expected.clone()],
    )?;
    let (kept, released) = (LeaveReason::RemovalRefused, FileState::Released);
    for (seconds, state, reason, released_at) in [
        (1, FileState::Kept, Some(kept), None),
        (2, released, None, Some(at(2))),
        // It keeps the time of the first release.
        (3, released, None, Some(at(2))),
    ] {
        let states = rows.iter().map(|row| (*row, state, reason)).collect();
        ledger
            .set_states(&lease, states, at(seconds))
            .await
            .map_err(message)?;
        (expected.state, expected.reason, expected.released_at) = (state, reason, released_at);
        same(
            "changed",
            &files(fixture, FileFilter::default())?,
            &vec![expected.clone()],
        )?;
    }
    Ok(())
}

pub(super) async fn files_are_listed_by_device_and_source_oldest_first<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    record_several(fixture).await?;
    let names = names(fixture, FileFilter::default())?;
    let expected = [
        "bee films/y",
        "bee photos/b",
        "bee photos/a",
        "wasp photos/c",
        "wasp photos/d",
    ];
    same("files", &names, &expected.map(str::to_owned).to_vec())
}

pub(super) async fn a_filter_selects_the_files_that_match_it<P: LedgerFixture>(fixture: &P) -> Checked {
    record_several(fixture).await?;
    let all = FileFilter::default;
    let of_wasp = FileFilter {
        devices: vec![device("wasp")?, device("hornet")?],
        ..all()
    };
    let of_nothing = FileFilter {
        devices: vec![device("hornet")?],
        ..all()
    };
    let stored = FileFilter {
        states: vec![FileState::Stored],
        ..all()
    };
    let not_stored = FileFilter {
        states: vec![FileState::Kept, FileState::Released],
        ..all()
    };
    let since = FileFilter {
        since: Some(at(3)),
        ..all()
    };
    for (what, filter, expected) in [
        ("of a device", of_wasp, vec!["wasp photos/c", "wasp photos/d"]),
        ("of an unknown device", of_nothing, vec![]),
        (
            "stored",
            stored,
            vec!["bee films/y", "bee photos/b", "wasp photos/c"],
        ),
        ("not stored", not_stored, vec!["bee photos/a", "wasp photos/d"]),
        ("since a time", since, vec!["bee photos/a", "wasp photos/d"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        same(what, &names(fixture, filter)?, &expected)?;
    }
    Ok(())
}

pub(super) async fn each_name_and_content_in_the_store_is_listed_once<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    for (name, content) in [("b", 1), ("a", 1), ("b", 1), ("b", 2), ("c", 1), ("b", 1)] {
        let stored = Record {
            digest: Digest::from_bytes([content; 32]),
            ..record(name, 10)?
        };
        ledger.record(&lease, vec![stored]).await.map_err(message)?;
    }
    let history = fixture.history();
    let copies: Result<Vec<StoredCopy>, _> = history.stored_copies().collect();
    let copies = copies.map_err(message)?;
    ensure(copies.iter().all(|copy| copy.size == 10), || {
        format!("{copies:?}")
    })?;
    let found: Vec<_> = copies
        .into_iter()
        .map(|copy| (copy.store_name, copy.digest))
        .collect();
    let mut expected = Vec::new();
    for (name, content) in [("bee/a", 1), ("bee/b", 1), ("bee/b", 2), ("bee/c", 1)] {
        expected.push((path(name)?, Digest::from_bytes([content; 32])));
    }
    same("copies", &found, &expected)
}

/// Records files of two devices and two sources: `a` is released, `d` kept.
async fn record_several<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    for (name, folder, file, seconds, state) in [
        ("wasp", "/photos", "c", 2, FileState::Stored),
        ("bee", "/photos", "a", 3, FileState::Released),
        ("bee", "/photos", "b", 2, FileState::Stored),
        ("wasp", "/photos", "d", 4, FileState::Kept),
        ("bee", "/films", "y", 1, FileState::Stored),
    ] {
        let lease = begin_over(&ledger, name).await?;
        let file = Record {
            source: source(folder)?,
            at: at(seconds),
            ..record(file, 10)?
        };
        let rows = ledger.record(&lease, vec![file]).await.map_err(message)?;
        let states = rows.into_iter().map(|row| (row, state, None));
        let states = states.filter(|_| state != FileState::Stored).collect();
        ledger.set_states(&lease, states, at(9)).await.map_err(message)?;
    }
    Ok(())
}

fn files<P: LedgerFixture>(fixture: &P, filter: FileFilter) -> Result<Vec<FileRow>, String> {
    let history = fixture.history();
    let files: Result<Vec<FileRow>, _> = history.files(filter).map_err(message)?.collect();
    files.map_err(message)
}

/// The device, source and path of each listed file.
fn names<P: LedgerFixture>(fixture: &P, filter: FileFilter) -> Result<Vec<String>, String> {
    let files = files(fixture, filter)?.into_iter();
    let name = |file: FileRow| {
        let folder = file.source.to_string();
        format!("{} {}/{}", file.device, folder.trim_start_matches('/'), file.path)
    };
    Ok(files.map(name).collect())
}
