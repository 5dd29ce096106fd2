//! A process writes to a withdrawn file at every moment. The file is gathered as it is then, unless the write
//! came after gleaner's last inspection.

use std::time::Duration;

use sim::simulator::device::Kind;
use sim::simulator::power::Power;
use sim::simulator::rng::Rng;
use sim::simulator::world::{SETTLE_BLIND, World, WorldConfig};
use tokio::time::sleep;

use crate::{assert_swept, simulate};

/// Whether a file was removed while it was held open, starting this long after it was withdrawn. `None` if it
/// was no longer withdrawn.
async fn held(kind: Kind, delay: Duration) -> Option<bool> {
    let config = WorldConfig {
        kinds: vec![kind],
        ..WorldConfig::default()
    };
    let world = World::new(&config).unwrap();
    let power = Power::default();
    world.next_process(&power);
    world.record(0, "day/large", &Rng::new(1).bytes(9000));
    sleep(SETTLE_BLIND * 2).await;
    let holder = async {
        let mut waited = 0;
        while !world.has_withdrawn(0) {
            waited += 1;
            assert!(waited < 60_000, "nothing is ever withdrawn");
            sleep(Duration::from_millis(1)).await;
        }
        sleep(delay).await;
        world.hold_withdrawn(0)
    };
    let (ended, held) = tokio::join!(world.collectors[0].sweep(&power), holder);
    assert_swept(&ended);
    world.check();
    Some(world.was_taken_while_held(0, &held?))
}

#[test]
fn a_withdrawn_file_held_open_is_never_released() {
    for kind in [Kind::Full, Kind::NoPerl] {
        let mut moments = 0;
        for delay in 0.. {
            let Some(was_taken) = simulate(held(kind, Duration::from_millis(delay))) else {
                break;
            };
            assert!(
                !was_taken,
                "{kind:?}: held from {delay} ms after it was withdrawn"
            );
            moments += 1;
        }
        assert!(moments > 20, "{kind:?}: released after {moments} ms");
    }
}

/// The number of excused losses after a write this long after the withdrawal. `None` if the file was no
/// longer withdrawn.
async fn written(kind: Kind, delay: Duration) -> Option<u64> {
    let config = WorldConfig {
        kinds: vec![kind],
        ..WorldConfig::default()
    };
    let world = World::new(&config).unwrap();
    let power = Power::default();
    world.next_process(&power);
    world.record(0, "day/large", &Rng::new(1).bytes(9000));
    // Without a device clock, a file must be seen twice.
    if kind == Kind::SftpOnly {
        assert_swept(&world.collectors[0].sweep(&power).await);
    }
    sleep(SETTLE_BLIND * 2).await;
    let writer = async {
        let mut waited = 0;
        while !world.has_withdrawn(0) {
            waited += 1;
            assert!(waited < 60_000, "nothing is ever withdrawn");
            sleep(Duration::from_millis(1)).await;
        }
        sleep(delay).await;
        world.append_to_withdrawn(0, b"and more")
    };
    let (ended, already_stored) = tokio::join!(world.collectors[0].sweep(&power), writer);
    assert_swept(&ended);
    world.check();
    for _ in 0..3 {
        sleep(SETTLE_BLIND * 2).await;
        assert_swept(&world.collectors[0].sweep(&power).await);
    }
    world.check();
    world.check_progress();
    let breaches = world.oracle.breaches();
    assert!(
        breaches.is_empty(),
        "{kind:?}, written after {delay:?}: {breaches:?}"
    );
    already_stored.then(|| world.oracle.counts().written_too_late)
}

#[test]
fn data_written_to_a_withdrawn_file_before_the_last_inspection_is_kept() {
    for kind in [Kind::Full, Kind::NoPerl, Kind::Blind, Kind::SftpOnly] {
        let (mut moments, mut too_late) = (0, 0);
        for delay in 0.. {
            let Some(excused) = simulate(written(kind, Duration::from_millis(delay))) else {
                break;
            };
            (moments, too_late) = (moments + 1, too_late + excused);
        }
        println!("{kind:?}: {moments} moments, {too_late} after the last inspection");
        assert!(moments > 20, "{kind:?}: released after {moments} ms");
        // Of the 8 ms round trip: the half in which the reply travels, and the half in which the next request
        // travels.
        assert!(
            (1..=12).contains(&too_late),
            "{kind:?}: {too_late} moments after the last inspection"
        );
    }
}
