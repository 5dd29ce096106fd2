//! What is excused where the store itself was damaged: that very loss, and nothing that comes after it.

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

/// A store in which a photo was damaged, so far without a breach.
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
fn what_lies_under_the_name_of_a_lost_file_must_be_true() {
    simulate(async {
        let world = damaged(StoreDamage::FileLost).await;
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "is nothing that was recorded under that name");
    });
}

#[test]
fn what_is_stored_again_under_the_name_of_a_lost_file_must_stay_and_its_row_must_be_true() {
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
fn a_file_that_rotted_may_be_as_it_is_and_in_no_other_way() {
    simulate(async {
        let world = damaged(StoreDamage::BitRot).await;
        world.disk.lose(NAME);
        assert_seen(&world, "is gone from the store");
    });
    simulate(async {
        let world = damaged(StoreDamage::BitRot).await;
        world.disk.lose(NAME);
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "is nothing that was recorded under that name");
    });
}
