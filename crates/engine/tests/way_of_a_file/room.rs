//! A store that is asked for room.

use engine::fleet::SweepResult;
use engine::ports::Reason;
use model::{FailureClass, FileState, LeaveReason};

use sim::simulator::device::Request::{Remove, Survey};

use crate::world::{TestWorld, pair, reasons};

#[tokio::test(start_paused = true)]
async fn batches_go_on_while_the_store_is_asked_for_room() {
    let names: Vec<String> = (0..600).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = TestWorld::with_files(&files);
    let watch = world.watch.clone();
    let before_batches = move || watch.lock().tells_room_late = true;
    world.device().before_next(Survey, move |_| before_batches());
    world.sweep().await;
    assert!(world.on_device().is_empty());
    assert!(
        world.store().was_published_when_room_was_told,
        "a batch under way did nothing meanwhile"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_store_cannot_hold_is_left_and_others_are_stored() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", &[7; 5000]), ("c", b"three")]);
    world.sim.disk.set_store_largest_file(Some(4096));
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::TooLarge)]);
    assert_eq!(world.in_store(), [pair("a", "one"), pair("c", "three")]);
    assert_eq!(world.on_device().len(), 1, "it is whole on the device");
    world.sim.disk.set_store_largest_file(None);
    world.sweep().await;
    assert!(world.on_device().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_already_needs_no_room_to_be_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.ends_at((Remove, FailureClass::Protocol));
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Stored]);
    world.ends_at(None);
    world.leave_room(1);
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (vec![], vec![FileState::Released])
    );
}
