//! Each folder flush of a pass fails in turn, and the file system stops until it is mounted again.

use std::time::Duration;

use sim::simulator::disk::{CrashLoss, DiskFaults};
use sim::simulator::power::Power;
use sim::simulator::rng::Rng;
use sim::simulator::world::{World, WorldConfig};
use tokio::time::sleep;

use crate::simulate;

async fn sweep(world: &World) {
    sleep(Duration::from_mins(1)).await;
    let power = Power::default();
    world.next_process(&power);
    world.collectors[0].sweep(&power).await;
    world.check();
}

/// Returns `false` if the pass flushes fewer folders.
async fn run(has_links: bool, before: u64, loss: CrashLoss) -> bool {
    let context = format!("links: {has_links}, folder flush {before} fails, {loss:?} forgotten");
    let config = WorldConfig {
        has_links,
        ..WorldConfig::default()
    };
    let world = World::new(&config).unwrap();
    for (path, size) in [("a", 700), ("day/empty", 0), ("day/hour/large", 10_000)] {
        world.record(0, path, &Rng::new(1).bytes(size));
    }
    sleep(Duration::from_hours(1)).await;
    world.disk.set_faults(DiskFaults {
        stops_at_folder_flush: Some(before),
        ..DiskFaults::default()
    });
    // Later passes find the names that the first pass made; they must not rely on these names.
    for _ in 0..3 {
        sweep(&world).await;
    }
    let has_stopped = world.disk.has_stopped();
    world.disk.mount_store_anew(loss);
    world.check();
    for _ in 0..2 {
        sweep(&world).await;
    }
    world.check_progress();
    let breaches = world.oracle.breaches();
    assert!(breaches.is_empty(), "{context}: {breaches:?}");
    has_stopped
}

#[test]
fn a_name_in_an_unflushed_folder_never_justifies_a_release() {
    let mut failed = 0;
    for has_links in [true, false] {
        for before in 0.. {
            let chance = [Rng::new(1), Rng::new(2), Rng::new(3)].map(CrashLoss::Random);
            let mut has_stopped = false;
            for loss in CrashLoss::certain().into_iter().chain(chance) {
                has_stopped |= simulate(run(has_links, before, loss));
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
