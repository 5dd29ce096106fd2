use engine::ports::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, DeviceReport, DiskUse, FolderNumbers,
    History as _, Ledger as _, PassEnd, PassLease, PassOutcome, Reason, Remaining, RemainingFile, RowId,
    WriterCheck,
};
use model::{FailureClass, LeaveReason, WaitReason};

use super::{TempLedger, at, device, pass_end, run_pass, source};
use model::Amount;

fn down() -> PassOutcome {
    PassOutcome::Failed {
        class: FailureClass::TunnelDown,
        message: "connection refused".into(),
        remedy: None,
    }
}

fn claim(inode: u64) -> Claim {
    let numbers = FolderNumbers {
        device_number: u64::MAX,
        inode,
    };
    Claim {
        folder: ClaimedFolder {
            boot_id: "boot".into(),
            numbers,
        },
        since: at(40),
    }
}

fn report() -> DeviceReport {
    DeviceReport {
        seen_at: at(50),
        clock: Some(ClockReading {
            offset: -1_500_000_000,
            boot_id: Some("c0ffee".into()),
            at: at(40),
        }),
        claims: vec![(source(), claim(3))],
        disks: vec![(
            source(),
            Some(DiskUse {
                total: u64::MAX,
                available: 1 << 63,
            }),
        )],
        shortcomings: vec!["no digest tool".into(), "no atomic rename".into()],
        writer_check: Some(WriterCheck::Leases),
        compression: Some(CompressionFinding {
            paid: true,
            at: at(45),
        }),
        hung_up_on_command: Some(at(41)),
    }
}

fn remaining() -> Remaining {
    let file = |path: &str, reason| RemainingFile {
        source: source(),
        path: path.into(),
        reason,
        size: u64::MAX,
        detail: Some("a detail".into()),
    };
    let (settling, unreadable) = (
        Reason::Wait(WaitReason::Settling),
        Reason::Leave(LeaveReason::Unreadable),
    );
    Remaining {
        files: vec![
            file("z", settling),
            file("a\\xff", settling),
            file("m", unreadable),
        ],
        totals: vec![
            (settling, Amount::new(2, 20)),
            (unreadable, Amount::new(1_000_000, u64::MAX)),
        ],
    }
}

#[tokio::test]
async fn a_pass_has_no_outcome_until_it_is_finished() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = ledger.begin_pass(&device("pi1"), at(0)).await.unwrap();
    let summary = &temp.reader().passes(&device("pi1"), 10).unwrap()[0];
    assert_eq!(
        (summary.begun, summary.ended, summary.outcome.clone()),
        (at(0), None, None)
    );
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!((status.last_attempt, status.last_pass), (Some(at(0)), None));
    let end = PassEnd {
        released: Amount::new(3, 30),
        stored: Amount::new(2, 20),
        ..pass_end(PassOutcome::Partial)
    };
    ledger.finish_pass(&lease, end).await.unwrap();
    let summary = temp
        .reader()
        .device(&device("pi1"), at(0))
        .unwrap()
        .unwrap()
        .last_pass
        .unwrap();
    assert_eq!(
        (summary.ended, summary.outcome),
        (Some(at(60)), Some(PassOutcome::Partial))
    );
    assert_eq!(summary.released, Amount { files: 3, bytes: 30 });
    assert_eq!(summary.stored, Amount { files: 2, bytes: 20 });
    assert_eq!(summary.took, Some(std::time::Duration::from_mins(1)));
}

#[tokio::test]
async fn every_outcome_is_read_as_it_was_written() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let mut outcomes = vec![
        PassOutcome::Well,
        PassOutcome::Partial,
        PassOutcome::CollectorFailed {
            message: "no space".into(),
        },
        PassOutcome::Interrupted,
    ];
    outcomes.extend(FailureClass::ALL.map(|class| PassOutcome::Failed {
        class,
        message: "m".into(),
        remedy: class.is_unreachable().then(|| "wait".into()),
    }));
    for outcome in outcomes {
        run_pass(&ledger, "pi1", at(0), outcome.clone()).await;
        assert_eq!(
            temp.reader().passes(&device("pi1"), 1).unwrap()[0].outcome,
            Some(outcome)
        );
    }
}

#[tokio::test]
async fn the_report_of_a_device_is_kept_until_the_next_report() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    assert_eq!(ledger.last_clock(&device("pi1")).await.unwrap(), None);
    let lease = ledger.begin_pass(&device("pi1"), at(0)).await.unwrap();
    assert_eq!(ledger.last_clock(&device("pi1")).await.unwrap(), None);
    let end = PassEnd {
        report: Some(report()),
        ..pass_end(PassOutcome::Well)
    };
    ledger.finish_pass(&lease, end).await.unwrap();
    assert_eq!(ledger.last_clock(&device("pi1")).await.unwrap(), report().clock);
    assert_eq!(
        ledger.last_compression(&device("pi1")).await.unwrap(),
        report().compression
    );
    assert_eq!(
        ledger.last_hang_up_on_command(&device("pi1")).await.unwrap(),
        Some(at(41))
    );
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(status.last_seen, Some(at(50)));
    assert_eq!(status.disks, report().disks);
    assert_eq!(status.shortcomings, report().shortcomings);
    assert_eq!(status.writer_check, Some(WriterCheck::Leases));
    let claims = vec![(device("pi1"), source(), claim(3))];
    assert_eq!(ledger.claims().await.unwrap(), claims);
    // A pass that did not reach the device keeps its last report; a pass that did replaces it.
    run_pass(&ledger, "pi1", at(100), down()).await;
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(
        (status.last_seen, status.disks, status.clock),
        (Some(at(50)), report().disks, report().clock)
    );
    let lease = ledger.begin_pass(&device("pi1"), at(200)).await.unwrap();
    let report = DeviceReport {
        shortcomings: Vec::new(),
        writer_check: None,
        compression: None,
        hung_up_on_command: Some(at(41)),
        claims: Vec::new(),
        disks: vec![(source(), None)],
        ..report()
    };
    let end = PassEnd {
        report: Some(report),
        ..pass_end(PassOutcome::Well)
    };
    ledger.finish_pass(&lease, end).await.unwrap();
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(
        (status.shortcomings, status.disks, status.writer_check),
        (Vec::new(), vec![(source(), None)], Some(WriterCheck::Leases)),
        "a pass without files reports no writer check"
    );
    assert_eq!(ledger.claims().await.unwrap(), []);
}

#[tokio::test]
async fn a_device_is_failing_from_its_first_failure_until_it_is_served() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let failing_since = || {
        temp.reader()
            .device(&device("pi1"), at(0))
            .unwrap()
            .unwrap()
            .failing_since
    };
    run_pass(&ledger, "pi1", at(0), PassOutcome::Well).await;
    assert_eq!(failing_since(), None);
    run_pass(&ledger, "pi1", at(100), down()).await;
    run_pass(&ledger, "pi1", at(200), down()).await;
    // A failure of the collector says nothing about the device.
    run_pass(
        &ledger,
        "pi1",
        at(300),
        PassOutcome::CollectorFailed {
            message: String::new(),
        },
    )
    .await;
    run_pass(&ledger, "pi1", at(400), PassOutcome::Interrupted).await;
    assert_eq!(failing_since(), Some(at(100)));
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    assert_eq!(status.last_pass.unwrap().outcome, Some(PassOutcome::Interrupted));
    assert_eq!(status.last_conclusive_pass.unwrap().outcome, Some(down()));
    run_pass(&ledger, "pi1", at(500), PassOutcome::Partial).await;
    assert_eq!(failing_since(), None);
}

#[tokio::test]
async fn only_a_complete_survey_replaces_the_remaining_files() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let finish = async |outcome, remaining| {
        let lease = ledger.begin_pass(&device("pi1"), at(0)).await.unwrap();
        ledger
            .finish_pass(
                &lease,
                PassEnd {
                    remaining,
                    ..pass_end(outcome)
                },
            )
            .await
            .unwrap();
    };
    let files = || temp.reader().remaining(&device("pi1"), 100).unwrap();
    let totals = || {
        temp.reader()
            .device(&device("pi1"), at(0))
            .unwrap()
            .unwrap()
            .remaining
    };
    finish(PassOutcome::Partial, Some(remaining())).await;
    for outcome in [
        PassOutcome::CollectorFailed {
            message: String::new(),
        },
        PassOutcome::Interrupted,
        down(),
    ] {
        finish(outcome, None).await;
        assert_eq!(files(), remaining().files);
        assert_eq!(totals(), remaining().totals);
    }
    assert_eq!(
        temp.reader().remaining(&device("pi1"), 1).unwrap(),
        remaining().files[..1]
    );
    let mut fewer = remaining();
    fewer.files.remove(0);
    fewer.totals[0].1.files = 1;
    finish(PassOutcome::Partial, Some(fewer.clone())).await;
    assert_eq!(files(), fewer.files);
    finish(PassOutcome::Well, Some(Remaining::default())).await;
    assert_eq!((files(), totals()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn old_passes_with_an_unchanged_outcome_are_deleted_and_others_kept() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    for round in 0..5 {
        run_pass(&ledger, "pi1", at(round), PassOutcome::Well).await;
        for _ in 0..100 {
            run_pass(&ledger, "pi1", at(round), down()).await;
        }
    }
    let passes = temp.reader().passes(&device("pi1"), 10_000).unwrap();
    // Of 505 passes: the newest 200 that repeat, and ten with another outcome.
    assert_eq!(passes.len(), 210);
    let well = passes
        .iter()
        .filter(|pass| pass.outcome == Some(PassOutcome::Well));
    assert_eq!(
        well.map(|pass| pass.begun).collect::<Vec<_>>(),
        [at(4), at(3), at(2), at(1), at(0)]
    );
}

#[tokio::test]
async fn a_pass_that_was_never_begun_cannot_be_finished() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = ledger.begin_pass(&device("pi1"), at(0)).await.unwrap();
    let other = PassLease::new(RowId(lease.row().0 + 1), device("pi1"), lease.token());
    assert!(
        ledger
            .finish_pass(&other, pass_end(PassOutcome::Well))
            .await
            .is_err()
    );
    let summary = &temp.reader().passes(&device("pi1"), 1).unwrap()[0];
    assert_eq!(summary.outcome, None);
}
