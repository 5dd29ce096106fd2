//! What passes report about their device.

use std::time::Duration;

use engine::ports::{
    Claim, ClaimedFolder, ClockReading, CompressionFinding, DeviceReport, FolderNumbers, Ledger, PassEnd,
    PassOutcome,
};

use model::Amount;

use super::fixture::{LedgerFixture, at, begin, begin_over, device, source};
use crate::simulator::conformance::{Checked, ensure, message, same};

pub(super) fn end(clock: Option<ClockReading>) -> PassEnd {
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
    PassEnd {
        at: at(5),
        outcome: PassOutcome::Well,
        released: Amount::ZERO,
        stored: Amount::ZERO,
        took: Duration::from_secs(1),
        report,
        remaining: None,
    }
}

pub(super) async fn claims_last_until_their_device_reports_others<P: LedgerFixture>(fixture: &P) -> Checked {
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
        let ledger = fixture.open();
        let lease = begin_over(&ledger, name).await?;
        let mut end = end(Some(clock.clone()));
        if let Some(report) = &mut end.report {
            report.claims = claims;
        }
        ledger.finish_pass(&lease, end).await.map_err(message)?;
    }
    let mut known = fixture.open().claims().await.map_err(message)?;
    known.sort_by_key(|(device, ..)| device.clone());
    let expected = vec![
        (device("bee")?, source("/photos")?, claim(u64::MAX)),
        (device("wasp")?, source("/photos")?, claim(3)),
    ];
    same("the claims", &known, &expected)
}

pub(super) async fn the_last_reported_clock_is_kept<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let clock = ClockReading {
        offset: -3,
        boot_id: Some("boot".to_owned()),
        at: at(1),
    };
    same(
        "before the first pass",
        &ledger.last_clock(&device("bee")?).await.map_err(message)?,
        &None,
    )?;
    let first = begin(&ledger).await?;
    ledger
        .finish_pass(&first, end(Some(clock.clone())))
        .await
        .map_err(message)?;
    let second = begin(&ledger).await?;
    ensure(first.row() != second.row(), || {
        "two passes have one row".to_owned()
    })?;
    ledger.finish_pass(&second, end(None)).await.map_err(message)?;
    same(
        "after a pass without a clock",
        &ledger.last_clock(&device("bee")?).await.map_err(message)?,
        &Some(clock),
    )?;
    let found = CompressionFinding {
        paid: true,
        at: at(1),
    };
    same(
        "compression after a pass without a finding",
        &ledger.last_compression(&device("bee")?).await.map_err(message)?,
        &Some(found),
    )?;
    same(
        "a hang-up over a command, after a pass that did not connection the device",
        &ledger
            .last_hang_up_on_command(&device("bee")?)
            .await
            .map_err(message)?,
        &Some(at(1)),
    )?;
    same(
        "compression of another device",
        &ledger.last_compression(&device("wasp")?).await.map_err(message)?,
        &None,
    )?;
    same(
        "clock of another device",
        &ledger.last_clock(&device("wasp")?).await.map_err(message)?,
        &None,
    )
}
