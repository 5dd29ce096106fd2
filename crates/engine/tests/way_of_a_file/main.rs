//! The engine in the simulator's world: what must hold whatever happens between two of its steps.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it is surprised"
)]

mod claims;
mod endless;
mod naming;
mod reading;
mod releasing;
mod resume;
mod room;
mod store;
mod suspects;
mod telling;
mod turns;
mod withdrawing;
mod world;
mod writers;

use engine::fleet::SweepResult;
use engine::ports::{FileFaultKind, PassOutcome, Reason};
use engine::rules::{Mode, ReleaseRule};
use model::{Amount, FailureClass, FileState, LeaveReason, SourcePath, WaitReason};
use sim::simulator::device::Request::{
    Connect, Digest, Fetch, FetchTogether, Inspect, Remove, RemoveFolders, Rename, Survey,
};

use world::{TestWorld, pair, reasons, take_away, write};

#[tokio::test(start_paused = true)]
async fn a_finished_file_is_stored_and_leaves_its_device() {
    let world = TestWorld::with_files(&[("day/a", b"one"), ("b", b"two"), ("empty", b"")]);
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Well);
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        world.in_store(),
        [pair("b", "two"), pair("day/a", "one"), pair("empty", "")]
    );
    assert_eq!(world.states(), [FileState::Released; 3]);
    assert!(world.sim.disk.staged().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    assert_eq!(world.run(Mode::DryRun).await.result(), SweepResult::Well);
    assert_eq!(world.on_device(), ["a"]);
    assert!(world.in_store().is_empty() && world.states().is_empty());
    assert_eq!(world.device().requests.begun, [Connect, Survey, Inspect]);
    assert!(world.recorded().ends.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_just_before_the_release_leads_to_both_versions_in_the_store() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    // The third look is that of the release.
    world.device().before_next(Inspect, |device| {
        device.before_next(Inspect, |device| {
            device.before_next(Inspect, |device| write(device, "/a", b"one and more"));
        });
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.on_device().len(), 1);
    world.sweep().await;
    assert_eq!(world.on_device(), [""; 0]);
    let contents: Vec<String> = world.in_store().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, ["one", "one and more"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_while_it_is_fetched_is_noticed_though_size_and_mtime_stay() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.before_next(Inspect, |device| write(device, "/a", b"two"));
    });
    world.sweep().await;
    assert!(world.in_store().is_empty(), "{:?}", world.in_store());
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "two")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_used_again_between_survey_and_withdrawal_loses_neither_file() {
    let world = TestWorld::with_files(&[("a", b"old")]);
    world.device().before_next(Rename, |device| {
        device.rename(b"a", b"a.1").unwrap();
        device.record(b"a", b"new");
    });
    world.sweep().await;
    world.sweep().await;
    assert_eq!(world.in_store(), [pair("a", "new"), pair("a.1", "old")]);
    assert_eq!(world.on_device(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_name_used_again_after_the_withdrawal_is_another_file() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.record(b"a", b"two");
    });
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], vec!["a".into()])
    );
    world.sweep().await;
    let stored = world.in_store();
    assert_eq!(stored[0], pair("a", "one"));
    assert!(
        stored[1].0.starts_with("a~") && stored[1].1 == "two",
        "{stored:?}"
    );
    assert_eq!(world.on_device(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_digest_differs_keeps_its_file() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().wrong_digests = u32::MAX;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert!(world.in_store().is_empty() && world.sim.disk.staged().is_empty());
    world.device().wrong_digests = 0;
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_of_an_earlier_pass_is_no_proof() {
    for is_lost in [true, false] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.ends_at((Remove, FailureClass::Protocol));
        assert_eq!(world.sweep().await.result(), SweepResult::Partial);
        assert_eq!(world.states(), [FileState::Stored], "{is_lost}");
        world.ends_at(None);
        if is_lost {
            world.sim.disk.lose(b"a");
        } else {
            assert!(world.sim.disk.rot(b"a"));
        }
        world.sweep().await;
        assert_eq!(world.on_device(), [""; 0], "{is_lost}");
        let stored = world.in_store();
        assert!(stored.iter().any(|(_, content)| content == "one"), "{stored:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_file_is_released_without_being_fetched_again() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.ends_at((Remove, FailureClass::Stalled));
    world.sweep().await;
    world.ends_at(None);
    world.device().requests.begun.clear();
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (Vec::new(), vec![FileState::Released])
    );
    assert!(!world.device().requests.begun.contains(&Fetch));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_could_not_be_noted_is_noted_by_the_next_pass() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.ends_at((Remove, FailureClass::Stalled));
    world.sweep().await;
    world.ends_at(None);
    take_away(&mut world.device(), "");
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released]);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_written_is_stored_once_and_reported_each_time() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().faults.refuses_renames = Some(FileFaultKind::Permission);
    for _ in 0..3 {
        let summary = world.sweep().await;
        assert_eq!(summary.result(), SweepResult::Partial);
        assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::FolderUnwritable)]);
    }
    assert_eq!(
        (world.states(), world.on_device()),
        (vec![FileState::Kept], vec!["a".into()])
    );
    assert_eq!(world.asked(Fetch), 1);
    world.device().faults.refuses_renames = None;
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
    assert_eq!(world.states(), [FileState::Released; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_keep_is_stored_once_and_stays_in_place() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    for _ in 0..2 {
        let summary = world.sweep().await;
        assert_eq!(summary.result(), SweepResult::Well);
        assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::KeptByRule)]);
    }
    assert_eq!(
        (world.states(), world.on_device()),
        (vec![FileState::Kept], vec!["a".into()])
    );
    assert!(!world.device().requests.begun.contains(&Rename));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_together_with_others_is_read_by_itself() {
    let large = vec![7; 100_000];
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"four"), ("c", b""), ("d", &large)]);
    world.device().faults.passes_over = Some(4);
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 4]);
    assert!(world.on_device().is_empty());
    assert_eq!((world.asked(FetchTogether), world.asked(Fetch)), (1, 4));

    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().abilities.reads_together = false;
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released]);
    assert!(!world.device().requests.begun.contains(&FetchTogether));
}

#[tokio::test(start_paused = true)]
async fn a_device_without_atomic_rename_keeps_what_is_stored() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().abilities.renames_atomically = false;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::RenameUnsupported)]);
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], vec!["a".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_store_ends_the_sweep_without_loss_and_the_next_goes_on() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    let disk = world.sim.disk.clone();
    let fill = move || disk.set_store_capacity(Some(disk.store_used()));
    world.device().before_next(Fetch, move |_| fill());
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert!(matches!(
        summary.passes[0].1.outcome,
        PassOutcome::CollectorFailed { .. }
    ));
    assert!(world.in_store().is_empty() && world.on_device().len() == 1);
    world.sim.disk.set_store_capacity(None);
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_marker_says_which_files_are_done_and_goes_after_its_file() {
    let mut world = TestWorld::with_files(&[("a", b"one"), ("a.done", b""), ("b", b"two")]);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::NotMarkedDone)]);
    assert_eq!(world.on_device(), ["a.done", "b"]);
    world.sweep().await;
    assert_eq!(world.on_device(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_fails_at_any_step_loses_nothing() {
    for step in [
        Connect,
        Survey,
        Rename,
        Inspect,
        FetchTogether,
        Fetch,
        Digest,
        Remove,
        RemoveFolders,
    ] {
        let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
        world.ends_at((step, FailureClass::TunnelDown));
        assert_eq!(world.sweep().await.result(), SweepResult::Unreachable, "{step:?}");
        for content in ["one", "two"] {
            let on_device = world.device().holds(content.as_bytes());
            assert!(
                on_device || world.in_store().iter().any(|(_, stored)| stored == content),
                "{step:?}: {content}"
            );
        }
        world.ends_at(None);
        world.sweep().await;
        world.sweep().await;
        assert_eq!(
            (world.on_device(), world.in_store().len()),
            (Vec::new(), 2),
            "{step:?}"
        );
        assert!(
            world.states().iter().all(|state| *state == FileState::Released),
            "{step:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_larger_than_the_room_holds_up_no_other() {
    let world = TestWorld::with_files(&[("a-large", b"much too large"), ("b", b"two")]);
    world.leave_room(5);
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::NoRoom)]);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (vec!["a-large".into()], vec![pair("b", "two")])
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_full_is_emptied_all_the_same() {
    let world = TestWorld::with_files(&[("day/a", b"one"), ("b", b"two")]);
    world.device().is_full = true;
    assert_eq!(world.sweep().await.result(), SweepResult::Well);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("b", "two"), pair("day/a", "one")])
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_missing_holds_up_no_other() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world
        .rules
        .sources
        .insert(0, SourcePath::new("/missing").unwrap());
    let summary = world.sweep().await;
    assert!(matches!(
        summary.passes[0].1.outcome,
        PassOutcome::Failed {
            class: FailureClass::SourceMissing,
            ..
        }
    ));
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_batch_did_not_come_to_is_said_to_wait() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.ends_at((Fetch, FailureClass::TunnelDown));
    let summary = world.sweep().await;
    let remaining = summary.passes[0].1.remaining.as_ref().unwrap();
    assert_eq!(
        remaining.totals,
        [(Reason::Wait(WaitReason::NotReached), Amount::new(2, 6))]
    );
}
