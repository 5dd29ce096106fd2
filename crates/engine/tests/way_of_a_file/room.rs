//! A store that is asked for room.

use model::{FailureClass, FileState};

use crate::FakeWorld;
use crate::device::State;

#[test]
fn batches_go_on_while_the_store_is_asked_for_room() {
    let names: Vec<String> = (0..600).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = FakeWorld::with_files(&files);
    let late = world.store.tells_room_late.clone();
    let before_batches = move |_: &mut State| *late.lock().unwrap() = true;
    world.devices.state().before_next("survey", before_batches);
    world.sweep();
    assert!(world.on_device().is_empty());
    assert!(
        *world.store.was_published_when_room_was_told.lock().unwrap(),
        "a batch under way did nothing meanwhile"
    );
}

#[test]
fn what_is_stored_already_needs_no_room_to_be_released() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("remove", FailureClass::Protocol));
    world.sweep();
    assert_eq!(world.states(), [FileState::Stored]);
    world.devices.state().fails_at = None;
    *world.store.room.lock().unwrap() = Some(1);
    world.sweep();
    assert_eq!(
        (world.on_device(), world.states()),
        (vec![], vec![FileState::Released])
    );
}
