//! The flush of a folder fails, each one of a pass in turn, and the file system stops until somebody mounts it anew.

use std::time::Duration;

use sim::simulator::dice::Dice;
use sim::simulator::disk::{Forgetting, Tricks};
use sim::simulator::power::Power;
use sim::simulator::world::{Plan, World};
use tokio::time::sleep;

use crate::story;

async fn sweep(world: &World) {
    sleep(Duration::from_mins(1)).await;
    let power = Power::default();
    world.next_process(&power);
    world.collectors[0].sweep(&power).await;
    world.check();
}

/// `false` if the pass flushes fewer folders.
async fn play(has_links: bool, before: u64, forgetting: Forgetting) -> bool {
    let told = format!("links: {has_links}, folder flush {before} fails, {forgetting:?} forgotten");
    let plan = Plan {
        has_links,
        ..Plan::default()
    };
    let world = World::new(&plan).unwrap();
    for (path, size) in [("a", 700), ("day/empty", 0), ("day/hour/large", 10_000)] {
        world.record(0, path, &Dice::new(1).bytes(size));
    }
    sleep(Duration::from_hours(1)).await;
    world.disk.play(Tricks {
        stops_at_folder_flush: Some(before),
        ..Tricks::default()
    });
    // More passes find the names that the first has made; they must not rely on them.
    for _ in 0..3 {
        sweep(&world).await;
    }
    let has_stopped = world.disk.has_stopped();
    world.disk.mount_store_anew(forgetting);
    world.check();
    for _ in 0..2 {
        sweep(&world).await;
    }
    world.check_progress();
    let breaches = world.book.breaches();
    assert!(breaches.is_empty(), "{told}: {breaches:?}");
    has_stopped
}

#[test]
fn a_name_whose_folder_could_not_be_flushed_is_no_ground_for_release_in_any_later_pass() {
    let mut failed = 0;
    for has_links in [true, false] {
        for before in 0.. {
            let chance = [Dice::new(1), Dice::new(2), Dice::new(3)].map(Forgetting::ByChance);
            let mut has_stopped = false;
            for forgetting in Forgetting::certain().into_iter().chain(chance) {
                has_stopped |= story(play(has_links, before, forgetting));
            }
            if !has_stopped {
                break;
            }
            failed += 1;
        }
    }
    println!("{failed} flushes failed");
    assert!(failed > 8, "only {failed} flushes failed");
}
