//! What commands read of the ledger.

use engine::ports::{
    ClockReading, FileFilter, FileRow, History, Ledger, PassEnd, PassOutcome, Reason, Record, Remaining,
    RemainingFile, StateTotals, StoredCopy,
};
use model::{Amount, Digest, FailureClass, FileState, LeaveReason, WaitReason};

use super::fixture::{LedgerFixture, at, begin, begin_over, device, record, source};
use super::passes::end;
use crate::simulator::conformance::{Checked, ensure, message, path, same};

/// Files of ten bytes that remain because they settle.
pub(super) fn remaining(paths: &[&str]) -> Result<Remaining, String> {
    let (reason, source) = (Reason::Wait(WaitReason::Settling), source("/photos")?);
    let file = |path: &&str| RemainingFile {
        source: source.clone(),
        path: (*path).to_owned(),
        reason,
        size: 10,
        detail: None,
    };
    let files: Vec<RemainingFile> = paths.iter().map(file).collect();
    let count = files.len() as u64;
    Ok(Remaining {
        files,
        totals: vec![(reason, Amount::new(count, 10 * count))],
    })
}

fn failed() -> PassOutcome {
    PassOutcome::Failed {
        class: FailureClass::TunnelDown,
        message: "no answer".to_owned(),
        remedy: None,
    }
}

pub(super) async fn ids_are_those_of_the_ledger<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let history = fixture.history();
    same("id", History::id(&history), Ledger::id(&ledger))?;
    same("store", &history.store(), &None)
}

pub(super) async fn a_device_that_was_never_visited_has_no_history<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    begin(&ledger).await?;
    let (history, wasp) = (fixture.history(), device("wasp")?);
    let names: Vec<_> = history.devices(at(0)).map_err(message)?;
    let names: Vec<_> = names.into_iter().map(|device| device.name).collect();
    same("devices", &names, &vec![device("bee")?])?;
    same("status", &history.device(&wasp, at(0)).map_err(message)?, &None)?;
    same("passes", &history.passes(&wasp, 9).map_err(message)?, &Vec::new())?;
    same(
        "remaining",
        &history.remaining(&wasp, 9).map_err(message)?,
        &Vec::new(),
    )
}

pub(super) async fn a_pass_has_no_outcome_until_it_is_finished<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let (history, bee) = (fixture.history(), device("bee")?);
    let pass = || -> Result<_, String> {
        let passes = history.passes(&bee, 9).map_err(message)?;
        passes
            .into_iter()
            .next()
            .ok_or_else(|| "no pass is listed".to_owned())
    };
    let begun = pass()?;
    same(
        "begun",
        &(begun.begun, begun.ended, begun.outcome),
        &(at(0), None, None),
    )?;
    let status = history.device(&bee, at(0)).map_err(message)?.ok_or("no status")?;
    same(
        "status",
        &(status.last_attempt, status.last_pass),
        &(Some(at(0)), None),
    )?;
    let end = PassEnd {
        outcome: PassOutcome::Partial,
        released: Amount::new(3, 30),
        stored: Amount::new(2, 20),
        ..end(None)
    };
    ledger.finish_pass(&lease, end.clone()).await.map_err(message)?;
    let ended = pass()?;
    same(
        "ended",
        &(ended.ended, ended.outcome),
        &(Some(end.at), Some(end.outcome)),
    )?;
    same(
        "amounts",
        &(ended.released, ended.stored),
        &(end.released, end.stored),
    )?;
    same("took", &ended.took, &Some(end.took))
}

pub(super) async fn passes_are_listed_newest_first<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    // The collector's clock may be set back: the order of the passes counts, not their time.
    for seconds in [3, 1, 2] {
        let lease = ledger
            .begin_pass(&device("bee")?, at(seconds))
            .await
            .map_err(message)?;
        begin_over(&ledger, "wasp").await?;
        ledger.finish_pass(&lease, end(None)).await.map_err(message)?;
    }
    let history = fixture.history();
    let begun = |limit| -> Result<Vec<_>, String> {
        let passes = history.passes(&device("bee")?, limit).map_err(message)?;
        Ok(passes.into_iter().map(|pass| pass.begun).collect())
    };
    same("all", &begun(9)?, &vec![at(2), at(1), at(3)])?;
    same("the newest two", &begun(2)?, &vec![at(2), at(1)])
}

pub(super) async fn a_status_has_the_last_report_and_all_totals<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let known = Record {
        already_stored: true,
        ..record("known", 40)?
    };
    let records = vec![
        record("stored", 10)?,
        record("released", 20)?,
        record("kept", 30)?,
        known,
    ];
    let rows = ledger.record(&lease, records).await.map_err(message)?;
    let state = |index: usize, state, reason| rows.get(index).map(|row| (*row, state, reason));
    let states = [
        state(1, FileState::Released, None),
        state(2, FileState::Kept, Some(LeaveReason::KeptByRule)),
    ];
    let states = states.into_iter().flatten().collect();
    ledger.set_states(&lease, states, at(6)).await.map_err(message)?;
    let clock = ClockReading {
        offset: -3,
        boot_id: Some("boot".to_owned()),
        at: at(1),
    };
    let mut ended = end(Some(clock.clone()));
    if let Some(report) = &mut ended.report {
        report.shortcomings = vec!["no digest tool".to_owned()];
        report.disks = vec![(source("/photos")?, None)];
    }
    ledger.finish_pass(&lease, ended).await.map_err(message)?;
    let (history, bee) = (fixture.history(), device("bee")?);
    let status = history.device(&bee, at(6)).map_err(message)?.ok_or("no status")?;
    same("last seen", &status.last_seen, &Some(at(1)))?;
    same("clock", &status.clock, &Some(clock))?;
    same(
        "shortcomings",
        &status.shortcomings,
        &vec!["no digest tool".to_owned()],
    )?;
    same("disks", &status.disks, &vec![(source("/photos")?, None)])?;
    let totals = StateTotals {
        stored: Amount::new(2, 50),
        released: Amount::new(1, 20),
        kept: Amount::new(1, 30),
    };
    same("totals", &status.totals, &totals)?;
    same("stored today", &status.stored_today, &Amount::new(3, 60))?;
    same("released today", &status.released_today, &Amount::new(1, 20))?;
    let tomorrow = history
        .device(&bee, at(86_400))
        .map_err(message)?
        .ok_or("no status")?;
    let (stored, released) = (tomorrow.stored_today, tomorrow.released_today);
    same("the next day", &(stored, released), &(Amount::ZERO, Amount::ZERO))
}

pub(super) async fn a_device_fails_since_its_first_failure<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let (history, bee) = (fixture.history(), device("bee")?);
    let collector_failed = PassOutcome::CollectorFailed {
        message: "the disk is full".to_owned(),
    };
    let passes = [
        (1, failed(), Some(at(1)), failed()),
        (2, failed(), Some(at(1)), failed()),
        (3, collector_failed, Some(at(1)), failed()),
        (4, PassOutcome::Interrupted, Some(at(1)), failed()),
        (5, PassOutcome::Well, None, PassOutcome::Well),
    ];
    for (seconds, outcome, since, conclusive) in passes {
        let lease = ledger.begin_pass(&bee, at(seconds)).await.map_err(message)?;
        let end = PassEnd {
            outcome: outcome.clone(),
            ..end(None)
        };
        ledger.finish_pass(&lease, end).await.map_err(message)?;
        let status = history.device(&bee, at(0)).map_err(message)?.ok_or("no status")?;
        same("failing since", &status.failing_since, &since)?;
        let last = status.last_pass.and_then(|pass| pass.outcome);
        same("the last outcome", &last, &Some(outcome))?;
        let last = status.last_conclusive_pass.and_then(|pass| pass.outcome);
        same("the last conclusive outcome", &last, &Some(conclusive))?;
    }
    Ok(())
}

pub(super) async fn only_a_complete_survey_replaces_the_remaining_files<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let (history, bee) = (fixture.history(), device("bee")?);
    let first = remaining(&["c", "a"])?;
    for (surveyed, expected) in [
        (Some(first.clone()), first.clone()),
        (None, first),
        (Some(Remaining::default()), Remaining::default()),
    ] {
        let lease = begin(&ledger).await?;
        let end = PassEnd {
            remaining: surveyed,
            ..end(None)
        };
        ledger.finish_pass(&lease, end).await.map_err(message)?;
        same(
            "files",
            &history.remaining(&bee, 9).map_err(message)?,
            &expected.files,
        )?;
        let one = history.remaining(&bee, 1).map_err(message)?;
        same(
            "the first file",
            &one,
            &expected.files.into_iter().take(1).collect(),
        )?;
        let status = history.device(&bee, at(0)).map_err(message)?.ok_or("no status")?;
        same("totals", &status.remaining, &expected.totals)?;
    }
    Ok(())
}

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
