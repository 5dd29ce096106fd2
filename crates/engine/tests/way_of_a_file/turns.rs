//! A device that waits for its turn after it was connected to: its first listing may be as old as the connection, its pass is not.

use std::time::Duration;

use engine::event::Event;
use engine::fleet::Bounds;
use engine::ports::{PassOutcome, Reason};
use engine::rules::Mode;
use model::{DeviceName, Timestamp, WaitReason};

use crate::device::NOW;
use crate::{FakeWorld, short_plans};

#[test]
fn waiting_for_its_turn_makes_no_file_of_a_device_look_settled() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    // The listing may have been made when the device was connected to, and the file was written 20 s before that.
    let just_now = Timestamp::from_seconds(NOW - 20);
    for file in world.devices.state().files.values_mut() {
        (file.identity.modified, file.identity.changed) = (just_now, Some(just_now));
    }
    *world.ledger.waits_before_survey.lock().unwrap() = Duration::from_mins(5);
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Settling)]);
    assert_eq!(world.on_device(), ["a"]);
}

#[test]
fn waiting_for_its_turn_brings_two_looks_at_a_device_no_further_apart() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    // A time that has not come yet: the device's clock says nothing of this file.
    let future = Timestamp::from_seconds(NOW + 3600);
    for file in world.devices.state().files.values_mut() {
        (file.identity.modified, file.identity.changed) = (future, Some(future));
    }
    let waits = [Reason::Wait(WaitReason::ClockUntrusted)];
    assert_eq!(FakeWorld::reasons(&world.sweep()), waits);
    // The second listing, asked for a moment after the first, is heard five minutes later.
    *world.ledger.waits_before_survey.lock().unwrap() = Duration::from_mins(5);
    assert_eq!(FakeWorld::reasons(&world.sweep()), waits);
    // Had it been seen for the whole of `settle` when the visit begins, it would be settled.
    let earlier =
        |since: &mut Option<Timestamp>| *since = since.map(|since| since.minus(Duration::from_secs(40)));
    earlier(&mut world.ledger.sighted_since.lock().unwrap());
    world.sweep();
    assert_eq!(world.on_device(), [""; 0]);
}

#[test]
fn a_device_that_waited_long_for_its_turn_is_emptied_all_the_same() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.rules.longest_listing = Duration::from_hours(1);
    // The first of two keeps the only place for as long as a pass should take.
    world.devices.state().pauses_before_each_name = Duration::from_mins(20);
    let mut second = world.rules.clone();
    second.name = DeviceName::new("wasp").unwrap();
    world.devices.state().before_next("survey", |state| {
        state.before_next("survey", |state| state.pauses_before_each_name = Duration::ZERO);
    });
    let devices = [world.rules.clone(), second];
    let summary = world.visit(&devices, Bounds::with_parallel(1), Mode::Act);
    let of = |name: &str| {
        let (_, pass) = summary
            .passes
            .iter()
            .find(|(device, _)| device.as_str() == name)
            .unwrap();
        (pass.outcome.clone(), pass.released.0)
    };
    assert_eq!(of("wasp"), (PassOutcome::Well, 1));
}

#[test]
fn what_took_long_to_list_is_gathered_all_the_same() {
    let mut world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.rules.rules.longest_listing = Duration::from_hours(1);
    world.devices.state().pauses_before_each_name = Duration::from_mins(12);
    assert_eq!(world.sweep().passes[0].1.released.0, 2);
    // Nor does the time that went into a listing that was cut off go from what it has named.
    let mut world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.rules.rules.longest_listing = Duration::from_mins(20);
    world.devices.state().pauses_before_each_name = Duration::from_mins(15);
    assert_eq!(world.sweep().passes[0].1.released.0, 1);
}

#[test]
fn a_device_whose_link_broke_while_it_waited_for_its_turn_is_connected_to_once_more() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().ends_while_it_waits = true;
    let summary = world.sweep();
    assert_eq!(summary.passes[0].1.outcome, PassOutcome::Well);
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(world.devices.state().requests[..2], ["connect", "connect"]);
}

#[test]
fn what_a_plan_has_no_room_for_is_surveyed_again_in_the_same_pass_oldest_first() {
    let names: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let world = FakeWorld::new();
    for (age, name) in names.iter().rev().enumerate() {
        world.devices.state().record(name, b"one");
        let age = i64::try_from(age).unwrap();
        let modified = Timestamp::from_seconds(NOW - 3600 + age);
        world
            .devices
            .state()
            .files
            .get_mut(name)
            .unwrap()
            .identity
            .modified = modified;
    }
    let summary = world.visit(std::slice::from_ref(&world.rules), short_plans(), Mode::Act);
    assert_eq!(summary.passes[0].1.released.0, 40);
    let events = world.reporter.0.lock().unwrap();
    let ready = events.iter().filter_map(|event| match event {
        Event::Surveyed { ready, .. } => Some(ready.0),
        _ => None,
    });
    assert_eq!(ready.collect::<Vec<_>>(), [10, 10, 10, 10]);
    let released = events.iter().filter_map(|event| match event {
        Event::Released { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert!(released.take(10).all(|name| name.as_str() >= "f30"));
}
