//! A device that waits for its turn after it was connected to: its first listing may be as old as the
//! connection, its pass is not.

use std::time::Duration;

use engine::event::{Event, PassSummary};
use engine::fleet::{Bounds, SweepSummary};
use engine::ports::{PassOutcome, Reason};
use engine::rules::Mode;
use model::WaitReason;
use sim::simulator::device::Request::{Connect, Survey};
use tokio::time::sleep;

use crate::world::{TestWorld, short_plans};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// Records files on the first device, and lets each be named after half a minute.
fn record_slowly(world: &TestWorld, files: u32) {
    for number in 0..files {
        world.sim.record(0, &format!("f{number:02}"), b"one");
    }
    world.device().faults.pause_before_each_name = HALF_A_MINUTE;
}

/// Two devices. The first is listed in five minutes, and the second has to wait for its turn for as long.
fn two_devices() -> TestWorld {
    let world = TestWorld::with_devices(2);
    record_slowly(&world, 10);
    world
}

/// One device at a time; what became of the second.
async fn second_in_turn(world: &TestWorld) -> PassSummary {
    let devices = &world.sim.collectors[0].rules;
    let summary = world.visit(devices, Bounds::with_parallel(1), Mode::Act).await;
    let SweepSummary { passes, .. } = summary;
    let second = passes.into_iter().find(|(device, _)| *device == devices[1].name);
    second.unwrap().1
}

fn waits(pass: &PassSummary) -> Vec<Reason> {
    let remaining = pass.remaining.as_ref().unwrap();
    remaining.totals.iter().map(|(reason, ..)| *reason).collect()
}

#[tokio::test(start_paused = true)]
async fn waiting_for_its_turn_makes_no_file_of_a_device_look_settled() {
    let world = two_devices();
    world.sim.record(1, "a", b"one");
    // The listing is made when the device is connected to.
    sleep(Duration::from_secs(20)).await;
    let pass = second_in_turn(&world).await;
    assert_eq!(waits(&pass), [Reason::Wait(WaitReason::Settling)]);
    assert_eq!(pass.released.files, 0);
    assert_eq!(second_in_turn(&world).await.released.files, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_its_turn_brings_two_looks_at_a_device_no_further_apart() {
    let world = two_devices();
    world.record_in_the_future(1, "a");
    let unsure = [Reason::Wait(WaitReason::ClockUntrusted)];
    let mut rules = world.sim.collectors[0].rules.clone();
    let alone = rules.split_off(1);
    let first = world.visit(&alone, Bounds::with_parallel(1), Mode::Act).await;
    assert_eq!(waits(&first.passes[0].1), unsure);
    // The second listing, asked for ten seconds after the first, is heard five minutes later.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(waits(&second_in_turn(&world).await), unsure);
    // The third is asked for when the file has been seen for the whole of `settle`.
    assert_eq!(second_in_turn(&world).await.released.files, 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_waited_long_for_its_turn_is_emptied_all_the_same() {
    let mut world = TestWorld::with_devices(2);
    // The first of two keeps the only place for as long as a pass should take.
    record_slowly(&world, 40);
    world.sim.collectors[0].rules[0].rules.max_listing_time = Duration::from_hours(1);
    world.sim.record(1, "a", b"one");
    sleep(Duration::from_mins(1)).await;
    let pass = second_in_turn(&world).await;
    assert_eq!((pass.outcome, pass.released.files), (PassOutcome::Well, 1));
}

#[tokio::test(start_paused = true)]
async fn what_took_long_to_list_is_gathered_all_the_same() {
    let mut world = TestWorld::new();
    record_slowly(&world, 48);
    world.rules.rules.max_listing_time = Duration::from_hours(1);
    assert_eq!(world.sweep().await.passes[0].1.released.files, 48);
    // Nor does the time that went into a listing that was cut off go from what it has named.
    let mut world = TestWorld::new();
    record_slowly(&world, 48);
    world.rules.rules.max_listing_time = Duration::from_mins(20);
    assert_eq!(world.sweep().await.passes[0].1.released.files, 39);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_broke_while_its_device_waited_for_its_turn_is_made_anew() {
    let world = two_devices();
    let link = world.sim.links[1].clone();
    world.device().before_next(Survey, move |_| link.cut());
    let pass = second_in_turn(&world).await;
    assert_eq!(pass.outcome, PassOutcome::Well);
    let requests = world.sim.fleet[1].lock().requests.begun.clone();
    assert_eq!(requests[..2], [Connect, Connect]);
}

#[tokio::test(start_paused = true)]
async fn what_a_plan_has_no_room_for_is_surveyed_again_oldest_first() {
    let names = (0..40).map(|number| format!("f{number:02}"));
    let world = TestWorld::new();
    for name in names.rev() {
        world.sim.record(0, &name, b"one");
        sleep(Duration::from_secs(1)).await;
    }
    let summary = world.run_within(short_plans(), Mode::Act).await;
    assert_eq!(summary.passes[0].1.released.files, 40);
    let events = world.events().clone();
    let ready = events.iter().filter_map(|event| match event {
        Event::Surveyed { ready, .. } => Some(ready.files),
        _ => None,
    });
    assert_eq!(ready.collect::<Vec<_>>(), [10, 10, 10, 10]);
    let first = &world.released()[..10];
    assert!(first.iter().all(|name| name.as_str() >= "f30"), "{first:?}");
}
