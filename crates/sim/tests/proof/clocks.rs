//! The collector's clock is set between two surveys of a device without a clock.

use std::time::Duration;

use sim::simulator::device::Kind;
use sim::simulator::power::Power;
use sim::simulator::world::{SETTLE_BLIND, World, WorldConfig};
use tokio::time::sleep;

use crate::{assert_swept, simulate};

#[test]
fn setting_the_clock_does_not_age_files_between_two_surveys() {
    for hours in [-2, 2] {
        simulate(async {
            let config = WorldConfig {
                kinds: vec![Kind::SftpOnly],
                ..WorldConfig::default()
            };
            let world = World::new(&config).unwrap();
            let power = Power::default();
            world.next_process(&power);
            world.record(0, "photo", b"some bytes, and perhaps more to come");
            assert_swept(&world.collectors[0].sweep(&power).await);
            world.clock.jump(hours * 3_600_000_000_000);
            sleep(Duration::from_secs(10)).await;
            assert_swept(&world.collectors[0].sweep(&power).await);
            let taken = world.disk.visible();
            assert!(
                taken.is_empty(),
                "clock set by {hours} h: taken after 10 s: {taken:?}"
            );
            sleep(SETTLE_BLIND).await;
            assert_swept(&world.collectors[0].sweep(&power).await);
            world.check_progress();
            assert_eq!(world.oracle.breaches(), [""; 0], "clock set by {hours} h");
        });
    }
}
