//! The ledger and the reporter receive what happened to a file.

use std::time::Duration;

use engine::event::Event;
use engine::ports::{NoShell, Placement, PublishFault, Reason};
use model::{Amount, LeaveReason, WaitReason};
use tokio::time::sleep;

use crate::world::{HOUR, TestWorld, reasons};

#[tokio::test(start_paused = true)]
async fn the_record_says_whether_the_device_digested_the_file_too() {
    for digests in [true, false] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.device().abilities.digests = digests;
        world.sweep().await;
        assert_eq!(world.recorded().rows[0].record.device_digest, digests);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_device_cannot_digest_waits_and_says_why() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().faults.cannot_digest = true;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert_eq!(world.details(), ["the device could not digest it"]);
    assert!(world.in_store().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_a_file_whose_name_is_taken_is_a_conflict() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.sim.disk.put(b"a", b"other").unwrap();
    world.sweep().await;
    let events = world.events();
    let stored = events.iter().filter_map(|event| match event {
        Event::Stored {
            path,
            conflict,
            placed,
            ..
        } => Some((path.to_string(), *conflict, *placed)),
        _ => None,
    });
    let mut stored: Vec<_> = stored.collect();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        stored,
        [
            ("a".into(), true, Placement::New),
            ("b".into(), false, Placement::New)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_in_the_store_before_is_not_counted_as_stored() {
    for already_stored in [true, false] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        if already_stored {
            world.sim.disk.put(b"a", b"one").unwrap();
        }
        world.sweep().await;
        assert_eq!(world.recorded().rows[0].record.already_stored, already_stored);
        let stored = if already_stored {
            Amount::ZERO
        } else {
            Amount::new(1, 3)
        };
        assert_eq!(world.recorded().ends()[0].stored, stored);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_without_a_name_stays_on_its_device_and_not_in_staging() {
    let name = Reason::Leave(LeaveReason::Name);
    for (fault, reason, detail) in [
        (PublishFault::Unacceptable("odd".into()), name, "odd"),
        (
            PublishFault::Failed("moved".into()),
            Reason::Wait(WaitReason::Unproved),
            "moved",
        ),
        (
            PublishFault::Taken,
            name,
            "every name for its content is taken by other content in the store",
        ),
    ] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.store().publish_fault = Some(fault);
        let summary = world.sweep().await;
        assert_eq!(reasons(&summary), [reason]);
        assert_eq!(world.details(), [detail]);
        assert_eq!(world.on_device().len(), 1);
        assert!(world.states().is_empty() && world.sim.disk.staged().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_about_compression_is_used_for_a_day() {
    let cases = [
        (None, 1, None),
        (Some(true), 1, Some(true)),
        (Some(false), 23, Some(false)),
        (Some(true), 25, None),
        // The collector's clock was set back in between.
        (Some(true), -2, None),
    ];
    for (found, hours, remembered) in cases {
        let world = TestWorld::new();
        world.device().compression_paid = found;
        world.sweep().await;
        match u64::try_from(hours) {
            Ok(hours) => sleep(Duration::from_hours(hours)).await,
            Err(_) => world.sim.clock.jump(hours * HOUR),
        }
        world.sweep().await;
        let hints = world.device().requests.hints.clone();
        let hints: Vec<_> = hints.iter().map(|hints| hints.compression_paid).collect();
        assert_eq!(hints, [None, remembered], "{found:?} {hours}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_records_what_its_session_found_out_about_compression() {
    for paid in [None, Some(true), Some(false)] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.device().compression_paid = paid;
        world.sweep().await;
        let ends = world.recorded().ends();
        let report = ends[0].report.as_ref().unwrap();
        assert_eq!(report.compression.map(|found| found.paid), paid);
    }
}

#[tokio::test(start_paused = true)]
async fn files_of_other_collectors_in_staging_are_reported() {
    for (files, reported) in [(0, vec![]), (3, vec![3])] {
        let world = TestWorld::new();
        for number in 0..files {
            let name = format!(".gleaner/staging/other/partial/{number}");
            world.sim.disk.put(name.as_bytes(), b"part").unwrap();
        }
        sleep(Duration::from_hours(8 * 24)).await;
        world.sweep().await;
        let events = world.events();
        let foreign = events.iter().filter_map(|event| match event {
            Event::ForeignStaging { files } => Some(*files),
            _ => None,
        });
        assert_eq!(foreign.collect::<Vec<_>>(), reported);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_hangs_up_on_commands_is_known_for_a_day() {
    let world = TestWorld::new();
    let hangs_up = |hangs_up: bool| {
        world.device().abilities.no_shell = hangs_up.then_some(NoShell::HangsUp);
    };
    hangs_up(true);
    world.sweep().await;
    sleep(Duration::from_hours(13)).await;
    world.sweep().await;
    // A pass that only used the finding does not renew it.
    sleep(Duration::from_hours(13)).await;
    world.sweep().await;
    hangs_up(false);
    world.sweep().await;
    world.sweep().await;
    let hints = world.device().requests.hints.clone();
    let hints: Vec<_> = hints.iter().map(|hints| hints.hangs_up_on_commands).collect();
    assert_eq!(hints, [false, true, false, true, false]);
}
