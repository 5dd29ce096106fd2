//! What is excused where the store itself was spoilt: that very loss, and nothing that comes after it.

use std::time::Duration;

use sim::simulator::book::Spoiling;
use sim::simulator::power::Power;
use sim::simulator::world::{Plan, World};
use tokio::time::sleep;

use crate::{assert_swept, story};

const NAME: &[u8] = b"bee0/photo";

async fn gather(world: &World, bytes: &[u8]) {
    world.record(0, "photo", bytes);
    sleep(Duration::from_hours(1)).await;
    let power = Power::default();
    world.next_process(&power);
    assert_swept(&world.collectors[0].sweep(&power).await);
    world.check();
}

/// A store in which a photo was spoilt, so far without a breach.
async fn spoilt(how: Spoiling) -> World {
    let world = World::new(&Plan::default()).unwrap();
    gather(&world, b"the first photo").await;
    assert!(world.book.spoil(NAME, how, &world.fleet, &world.disk));
    world.check();
    assert_eq!(world.book.breaches(), [""; 0]);
    world
}

fn assert_seen(world: &World, what: &str) {
    world.check();
    let breaches = world.book.breaches();
    assert!(
        breaches.iter().any(|breach| breach.contains(what)),
        "{breaches:?}"
    );
}

#[test]
fn what_lies_under_the_name_of_a_lost_file_must_be_true() {
    story(async {
        let world = spoilt(Spoiling::IsLost).await;
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "is nothing that was recorded under that name");
    });
}

#[test]
fn what_is_stored_again_under_the_name_of_a_lost_file_must_stay_and_its_row_must_be_true() {
    story(async {
        let world = spoilt(Spoiling::IsLost).await;
        gather(&world, b"the second photo").await;
        assert_eq!(world.book.breaches(), [""; 0]);
        world.disk.lose(NAME);
        assert_seen(&world, "is gone from the store");
        assert_seen(&world, "the ledger says");
    });
}

#[test]
fn a_file_that_rotted_may_be_as_it_is_and_in_no_other_way() {
    story(async {
        let world = spoilt(Spoiling::Rots).await;
        world.disk.lose(NAME);
        assert_seen(&world, "is gone from the store");
    });
    story(async {
        let world = spoilt(Spoiling::Rots).await;
        world.disk.lose(NAME);
        world.disk.put(NAME, b"a forgery").unwrap();
        assert_seen(&world, "is nothing that was recorded under that name");
    });
}
