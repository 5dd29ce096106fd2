//! A device that waits for its slot after it was connected: its first listing may be as old as the
//! connection, but its pass begins with the slot.

use std::time::Duration;

use engine::event::{Event, PassSummary};
use engine::fleet::{Bounds, SweepSummary};
use engine::ports::{PassOutcome, Reason};
use engine::rules::Mode;
use model::WaitReason;
use sim::simulator::device::Request::{Connect, Survey};
use tokio::time::sleep;

use crate::world::{TestWorld, ten_file_plans};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// Records files on the first device, which lists one every half a minute.
fn record_slowly(world: &TestWorld, files: u32) {
    for number in 0..files {
        world.sim.record(0, &format!("f{number:02}"), b"one");
    }
    world.device().faults.pause_before_each_name = HALF_A_MINUTE;
}

/// Two devices. Listing the first takes five minutes. The second waits for its slot meanwhile.
fn two_devices() -> TestWorld {
    let world = TestWorld::with_devices(2);
    record_slowly(&world, 10);
    world
}

/// Sweeps one device at a time. Returns the summary of the second.
async fn sweep_second(world: &TestWorld) -> PassSummary {
    let devices = &world.sim.collectors[0].rules;
    let summary = world
        .sweep_now(devices, Bounds::with_parallel(1), Mode::Act)
        .await;
    let SweepSummary { passes, .. } = summary;
    let second = passes.into_iter().find(|(device, _)| *device == devices[1].name);
    second.unwrap().1
}

fn waits(pass: &PassSummary) -> Vec<Reason> {
    let remaining = pass.remaining.as_ref().unwrap();
    remaining.totals.iter().map(|(reason, ..)| *reason).collect()
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_makes_no_file_seem_settled() {
    let world = two_devices();
    world.sim.record(1, "a", b"one");
    // The listing is made on connect.
    sleep(Duration::from_secs(20)).await;
    let pass = sweep_second(&world).await;
    assert_eq!(waits(&pass), [Reason::Wait(WaitReason::Settling)]);
    assert_eq!(pass.released.files, 0);
    assert_eq!(sweep_second(&world).await.released.files, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_does_not_lengthen_the_time_between_two_looks() {
    let world = two_devices();
    world.record_in_the_future(1, "a");
    let unsure = [Reason::Wait(WaitReason::ClockUntrusted)];
    let mut rules = world.sim.collectors[0].rules.clone();
    let alone = rules.split_off(1);
    let first = world.sweep_now(&alone, Bounds::with_parallel(1), Mode::Act).await;
    assert_eq!(waits(&first.passes[0].1), unsure);
    // The second listing is requested ten seconds after the first, and read five minutes later.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(waits(&sweep_second(&world).await), unsure);
    // The third listing is requested after the file has been seen for all of `settle`.
    assert_eq!(sweep_second(&world).await.released.files, 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_waited_long_for_its_slot_is_emptied() {
    let mut world = TestWorld::with_devices(2);
    // The first device holds the only slot for as long as a pass may take.
    record_slowly(&world, 40);
    world.sim.collectors[0].rules[0].rules.max_listing_time = Duration::from_hours(1);
    world.sim.record(1, "a", b"one");
    sleep(Duration::from_mins(1)).await;
    let pass = sweep_second(&world).await;
    assert_eq!((pass.outcome, pass.released.files), (PassOutcome::Well, 1));
}

#[tokio::test(start_paused = true)]
async fn files_that_took_long_to_list_are_gathered() {
    let mut world = TestWorld::new();
    record_slowly(&world, 48);
    world.rules.rules.max_listing_time = Duration::from_hours(1);
    assert_eq!(world.sweep().await.passes[0].1.released.files, 48);
    // The time of a listing that was cut off does not reduce the time for the files that it listed.
    let mut world = TestWorld::new();
    record_slowly(&world, 48);
    world.rules.rules.max_listing_time = Duration::from_mins(20);
    assert_eq!(world.sweep().await.passes[0].1.released.files, 39);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_broke_while_waiting_for_a_slot_is_reconnected() {
    let world = two_devices();
    let link = world.sim.links[1].clone();
    world.device().before_next(Survey, move |_| link.cut());
    let pass = sweep_second(&world).await;
    assert_eq!(pass.outcome, PassOutcome::Well);
    let requests = world.sim.fleet[1].lock().requests.begun.clone();
    assert_eq!(requests[..2], [Connect, Connect]);
}

#[tokio::test(start_paused = true)]
async fn files_that_do_not_fit_into_a_plan_are_surveyed_again_oldest_first() {
    let names = (0..40).map(|number| format!("f{number:02}"));
    let world = TestWorld::new();
    for name in names.rev() {
        world.sim.record(0, &name, b"one");
        sleep(Duration::from_secs(1)).await;
    }
    let summary = world.sweep_within(ten_file_plans(), Mode::Act).await;
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
