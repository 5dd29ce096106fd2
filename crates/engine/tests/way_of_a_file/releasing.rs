//! What a device or its owner does between the last byte and the release.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FailureClass, FileState, LeaveReason, WaitReason};
use sim::simulator::device::DeviceState;
use sim::simulator::device::Request::{Inspect, Remove};

use crate::world::{HOUR, TestWorld, hold, pair, reasons, take_away};

/// Sweeps a world of one file, and meddles just before the look that the release takes: the third.
async fn swept_with(meddle: fn(&mut DeviceState)) -> (TestWorld, Vec<Reason>) {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Inspect, move |device| {
        device.before_next(Inspect, move |device| device.before_next(Inspect, meddle));
    });
    let summary = world.sweep().await;
    assert_eq!(world.in_store(), [pair("a", "one")]);
    (world, reasons(&summary))
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_opened_after_it_was_verified_is_not_released() {
    let (world, reasons) = swept_with(|device| hold(device, "/a")).await;
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
async fn a_stored_file_that_its_owner_takes_from_its_folder_is_settled() {
    let (world, reasons) = swept_with(|device| take_away(device, "")).await;
    assert_eq!(reasons, []);
    assert_eq!(world.states(), [FileState::Released]);
    // It was not we who removed it.
    assert!(!world.device().requests.begun.contains(&Remove));
}

#[tokio::test(start_paused = true)]
async fn a_stored_file_that_cannot_be_looked_at_is_not_released() {
    let (world, reasons) = swept_with(|device| {
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
async fn a_file_in_a_folder_that_cannot_be_listed_is_not_taken_for_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.ends_at((Remove, FailureClass::Protocol));
    world.sweep().await;
    world.ends_at(None);
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
async fn what_stays_by_rule_needs_no_second_look() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.sweep().await;
    // From now on the clock says nothing of any file, and this one is known all the same.
    world.device().clock_off = HOUR;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::KeptByRule)]);
}
