//! No device delays another, in figures.

use std::time::Duration;

use engine::fleet::Bounds;
use sim::simulator::collector::ProcessEnd;
use sim::simulator::device::Kind;
use sim::simulator::link::Condition;
use sim::simulator::naming::device_name;
use sim::simulator::power::Power;
use sim::simulator::rng::Rng;
use sim::simulator::timing::SweepTiming;
use sim::simulator::world::{SETTLE, World, WorldConfig};
use tokio::time::sleep;

use crate::simulate;

/// A fleet of this size, with one settled file on each device.
async fn fleet(devices: usize, parallel: usize) -> World {
    let config = WorldConfig {
        kinds: vec![Kind::Full; devices],
        bounds: Bounds::with_parallel(parallel),
        ..WorldConfig::default()
    };
    let world = World::new(&config).unwrap();
    for number in 0..devices {
        world.record(number, "photo", &Rng::new(1).bytes(20_000));
    }
    sleep(SETTLE * 2).await;
    world
}

async fn sweep(world: &World) -> SweepTiming {
    let power = Power::default();
    world.next_process(&power);
    match world.collectors[0].sweep(&power).await {
        ProcessEnd::Swept(_, timing) => timing,
        other => panic!("{other:?}"),
    }
}

fn assert_ended(timing: &SweepTiming, number: usize, within: Duration) {
    let (ended, latest) = (
        timing.ended_after(&device_name(number)),
        timing.latest_end(&device_name(number)),
    );
    assert!(
        ended.is_some_and(|ended| ended <= within && ended <= latest),
        "promise 4: the pass over device {number} ended after {ended:?}, not within {within:?} nor by {latest:?}"
    );
}

#[test]
fn unreachable_and_silent_devices_cost_the_others_nothing() {
    simulate(async {
        let world = fleet(8, 2).await;
        world.links[0].set(Condition::Silent);
        world.links[1..6]
            .iter()
            .for_each(|link| link.set(Condition::BlackHole));
        let timing = sweep(&world).await;
        // A black hole takes 10 s, a silent device one minute.
        for number in [6, 7] {
            assert_ended(&timing, number, Duration::from_secs(5));
        }
        assert!(timing.ended_after(&device_name(0)) > Some(Duration::from_secs(50)));
        assert!(timing.ended_after(&device_name(1)) > Some(Duration::from_secs(9)));
    });
}

#[test]
fn many_unreachable_devices_cost_the_others_one_connect_timeout() {
    simulate(async {
        let world = fleet(8, 1).await;
        world.links[..7]
            .iter()
            .for_each(|link| link.set(Condition::BlackHole));
        let timing = sweep(&world).await;
        assert_ended(&timing, 7, Duration::from_secs(15));
    });
}

#[test]
fn a_pass_that_takes_too_long_gives_up_its_slot() {
    simulate(async {
        let world = fleet(3, 1).await;
        world.record(0, "film", &Rng::new(2).bytes(200_000));
        sleep(SETTLE * 2).await;
        world.links[0].slow_down(100);
        let timing = sweep(&world).await;
        let quarter = Duration::from_mins(15);
        for number in [1, 2] {
            assert_ended(&timing, number, quarter + Duration::from_secs(5));
        }
        assert!(timing.ended_after(&device_name(0)) > Some(quarter * 2));
    });
}
