//! The engine in the simulator's world: what must hold whatever happens between two of its steps.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]

mod claims;
mod endless_listings;
mod naming;
mod reading;
mod releasing;
mod reports;
mod resume;
mod slots;
mod store;
mod store_room;
mod suspects;
mod taken_over;
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

use world::{TestWorld, overwrite, reasons, remove_files, stored_file};

#[tokio::test(start_paused = true)]
async fn a_finished_file_is_stored_and_leaves_its_device() {
    let world = TestWorld::with_files(&[("day/a", b"one"), ("b", b"two"), ("empty", b"")]);
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Well);
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        world.in_store(),
        [
            stored_file("b", "two"),
            stored_file("day/a", "one"),
            stored_file("empty", "")
        ]
    );
    assert_eq!(world.states(), [FileState::Released; 3]);
    assert!(world.sim.disk.staged().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    assert_eq!(world.sweep_in(Mode::DryRun).await.result(), SweepResult::Well);
    assert_eq!(world.on_device(), ["a"]);
    assert!(world.in_store().is_empty() && world.states().is_empty());
    assert_eq!(world.device().requests.begun, [Connect, Survey, Inspect]);
    assert!(world.recorded().passes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_just_before_the_release_stores_both_versions() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    // The third inspection is that of the release.
    world.device().before_next(Inspect, |device| {
        device.before_next(Inspect, |device| {
            device.before_next(Inspect, |device| overwrite(device, "/a", b"one and more"));
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
async fn a_write_during_the_fetch_is_noticed_despite_same_size_and_mtime() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.before_next(Inspect, |device| overwrite(device, "/a", b"two"));
    });
    world.sweep().await;
    assert!(world.in_store().is_empty(), "{:?}", world.in_store());
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "two")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_reused_between_survey_and_withdrawal_loses_neither_file() {
    let world = TestWorld::with_files(&[("a", b"old")]);
    world.device().before_next(Rename, |device| {
        device.rename(b"a", b"a.1").unwrap();
        device.record(b"a", b"new");
    });
    world.sweep().await;
    world.sweep().await;
    assert_eq!(
        world.in_store(),
        [stored_file("a", "new"), stored_file("a.1", "old")]
    );
    assert_eq!(world.on_device(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_name_reused_after_the_withdrawal_is_another_file() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.record(b"a", b"two");
    });
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "one")], vec!["a".into()])
    );
    world.sweep().await;
    let stored = world.in_store();
    assert_eq!(stored[0], stored_file("a", "one"));
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
        (vec![stored_file("a", "one")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_of_an_earlier_pass_does_not_prove_the_stored_copy() {
    for is_lost in [true, false] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.fail_session_at((Remove, FailureClass::Protocol));
        assert_eq!(world.sweep().await.result(), SweepResult::Partial);
        assert_eq!(world.states(), [FileState::Stored], "{is_lost}");
        world.fail_session_at(None);
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
    world.fail_session_at((Remove, FailureClass::Stalled));
    world.sweep().await;
    world.fail_session_at(None);
    world.device().requests.begun.clear();
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (Vec::new(), vec![FileState::Released])
    );
    assert!(!world.device().requests.begun.contains(&Fetch));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_not_recorded_is_recorded_by_the_next_pass() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.fail_session_at((Remove, FailureClass::Stalled));
    world.sweep().await;
    world.fail_session_at(None);
    remove_files(&mut world.device(), "");
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released]);
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_read_only_folder_is_stored_once_and_reported_each_time() {
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
    assert_eq!(world.request_count(Fetch), 1);
    world.device().faults.refuses_renames = None;
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![stored_file("a", "one")])
    );
    assert_eq!(world.states(), [FileState::Released; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_file_kept_by_rule_is_stored_once_and_stays_in_place() {
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
async fn a_file_skipped_by_the_shared_stream_is_read_individually() {
    let large = vec![7; 100_000];
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"four"), ("c", b""), ("d", &large)]);
    world.device().faults.passes_over = Some(4);
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 4]);
    assert!(world.on_device().is_empty());
    assert_eq!(
        (world.request_count(FetchTogether), world.request_count(Fetch)),
        (1, 4)
    );

    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().abilities.reads_together = false;
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released]);
    assert!(!world.device().requests.begun.contains(&FetchTogether));
}

#[tokio::test(start_paused = true)]
async fn a_device_without_atomic_rename_keeps_its_stored_files() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().abilities.renames_atomically = false;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::RenameUnsupported)]);
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "one")], vec!["a".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_store_ends_the_sweep_and_the_next_one_continues() {
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
        (vec![stored_file("a", "one")], Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_marker_marks_a_file_as_done_and_is_gathered_after_it() {
    let mut world = TestWorld::with_files(&[("a", b"one"), ("a.done", b""), ("b", b"two")]);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::NotMarkedDone)]);
    assert_eq!(world.on_device(), ["a.done", "b"]);
    world.sweep().await;
    assert_eq!(world.on_device(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_fails_at_any_step_loses_no_file() {
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
        world.fail_session_at((step, FailureClass::TunnelDown));
        assert_eq!(world.sweep().await.result(), SweepResult::Unreachable, "{step:?}");
        for content in ["one", "two"] {
            let on_device = world.device().holds(content.as_bytes());
            assert!(
                on_device || world.in_store().iter().any(|(_, stored)| stored == content),
                "{step:?}: {content}"
            );
        }
        world.fail_session_at(None);
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
async fn a_file_larger_than_the_free_space_blocks_no_other_file() {
    let world = TestWorld::with_files(&[("a-large", b"much too large"), ("b", b"two")]);
    world.leave_room(5);
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::NoRoom)]);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (vec!["a-large".into()], vec![stored_file("b", "two")])
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_device_is_emptied() {
    let world = TestWorld::with_files(&[("day/a", b"one"), ("b", b"two")]);
    world.device().is_full = true;
    assert_eq!(world.sweep().await.result(), SweepResult::Well);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (
            Vec::new(),
            vec![stored_file("b", "two"), stored_file("day/a", "one")]
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_blocks_no_other_source() {
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
        (Vec::new(), vec![stored_file("a", "one")])
    );
}

#[tokio::test(start_paused = true)]
async fn files_that_a_failed_batch_did_not_reach_are_reported_as_waiting() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.fail_session_at((Fetch, FailureClass::TunnelDown));
    let summary = world.sweep().await;
    let remaining = summary.passes[0].1.remaining.as_ref().unwrap();
    assert_eq!(
        remaining.totals,
        [(Reason::Wait(WaitReason::NotReached), Amount::new(2, 6))]
    );
}
