//! The free space of the store.

use engine::fleet::SweepResult;
use engine::ports::Reason;
use model::{FailureClass, FileState, LeaveReason, WaitReason};

use sim::simulator::device::Request::{Remove, Survey};

use crate::world::{TestWorld, reasons, stored_file};

#[tokio::test(start_paused = true)]
async fn batches_continue_while_the_free_space_is_requested() {
    let names: Vec<String> = (0..600).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = TestWorld::with_files(&files);
    let probe = world.probe.clone();
    let before_batches = move || probe.lock().delays_condition = true;
    world.device().before_next(Survey, move |_| before_batches());
    world.sweep().await;
    assert!(world.on_device().is_empty());
    assert!(
        world.store().published_during_delay,
        "the running batch made no progress meanwhile"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_too_large_for_the_store_is_left_and_others_are_stored() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", &[7; 5000]), ("c", b"three")]);
    world.sim.disk.set_store_largest_file(Some(4096));
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::TooLarge)]);
    assert_eq!(
        world.in_store(),
        [stored_file("a", "one"), stored_file("c", "three")]
    );
    assert_eq!(world.on_device().len(), 1, "the whole file is on the device");
    world.sim.disk.set_store_largest_file(None);
    world.sweep().await;
    assert!(world.on_device().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stored_file_needs_no_free_space_to_be_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.fail_session_at((Remove, FailureClass::Protocol));
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Stored]);
    world.fail_session_at(None);
    world.leave_room(1);
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (vec![], vec![FileState::Released])
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_reports_no_room_takes_every_file() {
    let names: Vec<String> = (0..600).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = TestWorld::with_files(&files);
    world.probe.lock().changes_condition = Some(|condition| condition.room = Some(0));
    let summary = world.sweep().await;
    assert!(reasons(&summary).contains(&Reason::Wait(WaitReason::NoRoom)));
    assert_eq!(world.on_device().len(), files.len());
    world.probe.lock().changes_condition = Some(|condition| condition.room = None);
    world.sweep().await;
    assert!(world.on_device().is_empty());
}
