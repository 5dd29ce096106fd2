//! Changes on the device between the last received byte and the release.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FailureClass, FileState, LeaveReason, WaitReason};
use sim::simulator::device::DeviceState;
use sim::simulator::device::Request::{Inspect, Remove};

use crate::world::{HOUR, TestWorld, open_for_writing, reasons, remove_files, stored_file};

/// Sweeps a world of one file, and changes the device just before the third inspection: that of the release.
async fn sweep_with_change(change: fn(&mut DeviceState)) -> (TestWorld, Vec<Reason>) {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Inspect, move |device| {
        device.before_next(Inspect, move |device| device.before_next(Inspect, change));
    });
    let summary = world.sweep().await;
    assert_eq!(world.in_store(), [stored_file("a", "one")]);
    (world, reasons(&summary))
}

#[tokio::test(start_paused = true)]
async fn a_file_opened_after_its_verification_is_not_released() {
    let (world, reasons) = sweep_with_change(|device| open_for_writing(device, "/a")).await;
    assert_eq!(reasons, [Reason::Wait(WaitReason::Open)]);
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
    world.sim.close_held(0);
    world.sweep().await;
    assert_eq!(
        (world.on_device().len(), world.states()),
        (0, vec![FileState::Released])
    );
}

#[tokio::test(start_paused = true)]
async fn a_stored_file_removed_by_its_owner_is_recorded_as_released() {
    let (world, reasons) = sweep_with_change(|device| remove_files(device, "")).await;
    assert_eq!(reasons, []);
    assert_eq!(world.states(), [FileState::Released]);
    // gleaner did not remove it.
    assert!(!world.device().requests.begun.contains(&Remove));
}

#[tokio::test(start_paused = true)]
async fn a_stored_file_that_cannot_be_inspected_is_not_released() {
    let (world, reasons) = sweep_with_change(|device| {
        device.faults.refuses_inspect = Some(("a", FileFaultKind::Permission));
    })
    .await;
    assert_eq!(reasons, [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_in_an_unlistable_folder_is_not_considered_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.fail_session_at((Remove, FailureClass::Protocol));
    world.sweep().await;
    world.fail_session_at(None);
    world.device().faults.unlistable = Some(".gleaner-withdrawn/ledger0");
    world.sweep().await;
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
    world.device().faults.unlistable = None;
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (vec![], vec![FileState::Released])
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_kept_by_rule_needs_no_second_look() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.sweep().await;
    // From now on no timestamp can be trusted, but the ledger knows this file.
    world.device().clock_off = HOUR;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::KeptByRule)]);
}
