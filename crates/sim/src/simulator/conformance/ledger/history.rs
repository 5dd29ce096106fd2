//! What commands read about devices and their passes.

use engine::ports::{
    ClockReading, History, Ledger, PassEnd, PassOutcome, Reason, Record, Remaining, RemainingFile,
    StateTotals,
};
use model::{Amount, FailureClass, FileState, LeaveReason, WaitReason};

use super::fixture::{LedgerFixture, at, begin, begin_over, device, record, source};
use super::passes::end;
use crate::simulator::conformance::{Checked, message, same};

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
    let known = history.device(&bee, at(6)).map_err(message)?.ok_or("no status")?;
    same("last seen", &known.last_seen, &Some(at(1)))?;
    same("clock", &known.clock, &Some(clock))?;
    same(
        "shortcomings",
        &known.shortcomings,
        &vec!["no digest tool".to_owned()],
    )?;
    same("disks", &known.disks, &vec![(source("/photos")?, None)])?;
    let totals = StateTotals {
        stored: Amount::new(2, 50),
        released: Amount::new(1, 20),
        kept: Amount::new(1, 30),
    };
    same("totals", &known.totals, &totals)?;
    same("stored today", &known.stored_today, &Amount::new(3, 60))?;
    same("released today", &known.released_today, &Amount::new(1, 20))?;
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
