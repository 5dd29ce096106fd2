//! No device holds up another, in figures.

use std::time::Duration;

use engine::fleet::Bounds;
use sim::simulator::book::station_name;
use sim::simulator::collector::Ended;
use sim::simulator::device::Kind;
use sim::simulator::dice::Dice;
use sim::simulator::link::Condition;
use sim::simulator::power::Power;
use sim::simulator::turns::Turns;
use sim::simulator::world::{Plan, SETTLE, World};
use tokio::time::sleep;

use crate::story;

/// So many devices, with a settled file each.
async fn fleet(devices: usize, parallel: usize) -> World {
    let plan = Plan {
        kinds: vec![Kind::Full; devices],
        bounds: Bounds::with_parallel(parallel),
        ..Plan::default()
    };
    let world = World::new(&plan).unwrap();
    for number in 0..devices {
        world.record(number, "photo", &Dice::new(1).bytes(20_000));
    }
    sleep(SETTLE * 2).await;
    world
}

async fn sweep(world: &World) -> Turns {
    let power = Power::default();
    world.next_process(&power);
    match world.collectors[0].sweep(&power).await {
        Ended::Swept(_, turns) => turns,
        other => panic!("{other:?}"),
    }
}

fn assert_ended(turns: &Turns, number: usize, within: Duration) {
    let (ended, latest) = (
        turns.ended_after(&station_name(number)),
        turns.latest_end(&station_name(number)),
    );
    assert!(
        ended.is_some_and(|ended| ended <= within && ended <= latest),
        "promise 4: the pass over device {number} ended after {ended:?}, not within {within:?} nor by {latest:?}"
    );
}

#[test]
fn devices_that_never_answer_and_one_that_falls_silent_cost_the_others_nothing() {
    story(async {
        let world = fleet(8, 2).await;
        world.links[0].set(Condition::Silent);
        world.links[1..6]
            .iter()
            .for_each(|link| link.set(Condition::BlackHole));
        let turns = sweep(&world).await;
        // A black hole takes 10 s, and silence a minute.
        for number in [6, 7] {
            assert_ended(&turns, number, Duration::from_secs(5));
        }
        assert!(turns.ended_after(&station_name(0)) > Some(Duration::from_secs(50)));
        assert!(turns.ended_after(&station_name(1)) > Some(Duration::from_secs(9)));
    });
}

#[test]
fn more_devices_that_never_answer_than_may_connect_at_a_time_cost_the_others_no_more_than_one_of_them() {
    story(async {
        let world = fleet(8, 1).await;
        world.links[..7]
            .iter()
            .for_each(|link| link.set(Condition::BlackHole));
        let turns = sweep(&world).await;
        assert_ended(&turns, 7, Duration::from_secs(15));
    });
}

#[test]
fn a_device_whose_pass_takes_too_long_makes_way_for_the_others() {
    story(async {
        let world = fleet(3, 1).await;
        world.record(0, "film", &Dice::new(2).bytes(200_000));
        sleep(SETTLE * 2).await;
        world.links[0].slow_down(100);
        let turns = sweep(&world).await;
        let quarter = Duration::from_mins(15);
        for number in [1, 2] {
            assert_ended(&turns, number, quarter + Duration::from_secs(5));
        }
        assert!(turns.ended_after(&station_name(0)) > Some(quarter * 2));
    });
}
