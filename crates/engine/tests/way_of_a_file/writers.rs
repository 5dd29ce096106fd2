//! A file that is open, or may be open, is not gathered.

use engine::event::Event;
use engine::ports::Reason;
use engine::rules::Mode;
use model::WaitReason;
use sim::simulator::device::Request::{Fetch, Inspect, Remove};
use sim::simulator::world::{SETTLE, SETTLE_BLIND};
use tokio::time::sleep;

use crate::world::{TestWorld, open_for_writing, reasons, stored_file};

const OPEN: Reason = Reason::Wait(WaitReason::Open);

#[tokio::test(start_paused = true)]
async fn an_open_file_stays_where_it_is() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.sim.hold(0, "a");
    let summary = world.sweep().await;
    assert_eq!(
        (reasons(&summary), world.on_device()),
        (vec![OPEN], vec!["a".into()])
    );
    assert_eq!(world.device().requests.count(Fetch), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_no_open_file() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.sim.hold(0, "a");
    world.sweep_in(Mode::DryRun).await;
    let events = world.events();
    let planned = events.iter().filter_map(|event| match event {
        Event::Planned { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(planned.collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_opened_during_its_withdrawal_stays_until_it_is_closed() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world
        .device()
        .before_next(Inspect, |device| open_for_writing(device, "/a"));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [OPEN]);
    assert!(world.on_device()[0].starts_with(".gleaner-withdrawn/"));
    assert!(world.in_store().is_empty());
    assert_eq!(reasons(&world.sweep().await), [OPEN]);
    world.device().close_all();
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "one")], vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_opened_during_its_fetch_is_not_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world
        .device()
        .before_next(Fetch, |device| open_for_writing(device, "/a"));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [OPEN]);
    assert_eq!(world.on_device().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_writers_are_hidden_waits_for_settle_blind() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().hides_writers = true;
    let blind = Reason::Wait(WaitReason::SettlingBlind);
    for _ in 0..2 {
        assert_eq!(reasons(&world.sweep().await), [blind]);
        assert!(world.in_store().is_empty());
    }
    sleep(SETTLE_BLIND).await;
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "one")], vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_writers_are_hidden_at_its_release_is_not_released() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    // The third inspection is that of the release.
    world.device().before_next(Inspect, |device| {
        device.before_next(Inspect, |device| {
            device.before_next(Inspect, |device| device.hides_writers = true);
        });
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::SettlingBlind)]);
    assert_eq!(world.device().requests.count(Remove), 0);
    world.device().hides_writers = false;
    sleep(SETTLE).await;
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![stored_file("a", "one")], vec![])
    );
}
