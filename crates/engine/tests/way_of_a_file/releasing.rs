//! What a device or its owner does between the last byte and the release.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FailureClass, FileState, LeaveReason, Timestamp, WaitReason};

use crate::device::{NOW, State};
use crate::{FakeWorld, pair};

/// Sweeps a world of one file, and meddles just before the look that the release takes: the third.
fn swept_with(meddle: fn(&mut State)) -> (FakeWorld, Vec<Reason>) {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("inspect", move |state| {
        state.before_next("inspect", move |state| state.before_next("inspect", meddle));
    });
    let summary = world.sweep();
    assert_eq!(world.in_store(), [pair("a", "one")]);
    (world, FakeWorld::reasons(&summary))
}

#[test]
fn a_file_that_was_opened_after_it_was_verified_is_not_released() {
    let (world, reasons) = swept_with(|state| {
        state.open.insert(1);
    });
    assert_eq!(reasons, [Reason::Wait(WaitReason::Open)]);
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
    world.devices.state().open.clear();
    world.sweep();
    assert_eq!(
        (world.on_device().len(), world.states()),
        (0, vec![FileState::Released])
    );
}

#[test]
fn a_stored_file_that_its_owner_took_out_of_the_withdrawn_folder_is_settled() {
    let (world, reasons) = swept_with(|state| state.files.clear());
    assert_eq!(reasons, []);
    assert_eq!(world.states(), [FileState::Released]);
    // It was not we who removed it.
    assert!(!world.devices.state().requests.contains(&"remove"));
}

#[test]
fn a_stored_file_that_cannot_be_looked_at_is_not_released() {
    let (world, reasons) = swept_with(|state| state.refuses_looks = Some(("a", FileFaultKind::Permission)));
    assert_eq!(reasons, [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
}

#[test]
fn a_file_in_a_folder_that_cannot_be_listed_is_not_taken_for_released() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("remove", FailureClass::Protocol));
    world.sweep();
    world.devices.state().fails_at = None;
    world.devices.state().unlistable = Some(".gleaner-withdrawn/ours");
    world.sweep();
    assert_eq!(
        (world.on_device().len(), world.states()),
        (1, vec![FileState::Stored])
    );
    world.devices.state().unlistable = None;
    world.sweep();
    assert_eq!(
        (world.on_device(), world.states()),
        (vec![], vec![FileState::Released])
    );
}

#[test]
fn what_stays_by_rule_needs_no_second_look() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.sweep();
    // From now on the clock says nothing of this file, and it is known all the same.
    let future = Timestamp::from_seconds(NOW + 3600);
    let identity = {
        let mut state = world.devices.state();
        let file = state.files.get_mut("a").unwrap();
        (file.identity.modified, file.identity.changed) = (future, Some(future));
        file.identity
    };
    world.ledger.rows.lock().unwrap()[0].record.identity = identity;
    let summary = world.sweep();
    assert_eq!(
        FakeWorld::reasons(&summary),
        [Reason::Leave(LeaveReason::KeptByRule)]
    );
}
