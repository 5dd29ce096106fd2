//! Which breaches are excused after damage to the store: that loss itself, and nothing later.

use std::time::Duration;

use sim::simulator::oracle::StoreDamage;
use sim::simulator::power::Power;
use sim::simulator::world::{World, WorldConfig};
use tokio::time::sleep;

use crate::{assert_swept, simulate};

const NAME: &[u8] = b"bee0/photo";

async fn gather(world: &World, bytes: &[u8]) {
    world.record(0, "photo", bytes);
    sleep(Duration::from_hours(1)).await;
    let power = Power::default();
    world.next_process(&power);
    assert_swept(&world.collectors[0].sweep(&power).await);
    world.check();
}

/// A world whose stored photo was damaged, so far without a breach.
async fn damaged(how: StoreDamage) -> World {
    let world = World::new(&WorldConfig::default()).unwrap();
    gather(&world, b"the first photo").await;
    assert!(world.oracle.damage(NAME, how, &world.fleet, &world.disk));
    world.check();
    assert_eq!(world.oracle.breaches(), [""; 0]);
    world
}

fn assert_seen(world: &World, what: &str) {
    world.check();
    let breaches = world.oracle.breaches();
    assert!(
        breaches.iter().any(|breach| breach.contains(what)),
        "{breaches:?}"
    );
}

#[test]
fn a_forgery_under_the_name_of_a_lost_file_is_a_breach() {
    simulate(async {
        let world = damaged(StoreDamage::FileLost).await;
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "was never recorded under that name");
    });
}

#[test]
fn a_file_stored_again_under_a_lost_name_must_stay_with_its_row() {
    simulate(async {
        let world = damaged(StoreDamage::FileLost).await;
        gather(&world, b"the second photo").await;
        assert_eq!(world.oracle.breaches(), [""; 0]);
        world.disk.lose(NAME);
        assert_seen(&world, "is gone from the store");
        assert_seen(&world, "the ledger says");
    });
}

#[test]
fn a_rotted_file_may_stay_as_it_is_but_not_change_further() {
    simulate(async {
        let world = damaged(StoreDamage::BitRot).await;
        world.disk.lose(NAME);
        assert_seen(&world, "is gone from the store");
    });
    simulate(async {
        let world = damaged(StoreDamage::BitRot).await;
        world.disk.lose(NAME);
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "was never recorded under that name");
    });
}
