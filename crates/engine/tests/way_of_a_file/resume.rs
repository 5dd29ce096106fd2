//! Which version of a file is resumed.

use engine::ports::PassOutcome;

use crate::world::{TestWorld, overwrite, stored_file};

/// The size of a file that is read alone.
const LARGE: usize = 100_000;

/// Sweeps until the connection breaks within a file. Returns the offset at which reading started.
pub(crate) async fn interrupt_fetch(world: &TestWorld) -> u64 {
    world.sim.links[0].cut_in(40_000);
    let outcome = world.sweep().await.passes[0].1.outcome.clone();
    assert!(matches!(outcome, PassOutcome::Failed { .. }), "{outcome:?}");
    *world.device().requests.offsets.last().unwrap()
}

#[tokio::test(start_paused = true)]
async fn only_the_same_version_of_a_file_is_resumed() {
    let (first, other) = ("1".repeat(LARGE), "2".repeat(LARGE));
    let world = TestWorld::with_files(&[("a.np", first.as_bytes())]);
    assert_eq!(interrupt_fetch(&world).await, 0);
    let resumed_at = interrupt_fetch(&world).await;
    assert!(resumed_at > 30_000, "an untouched file is resumed");
    // The write keeps size and mtime. Only the ctime shows it.
    overwrite(&mut world.device(), "a.np", other.as_bytes());
    world.sweep().await;
    let offsets = world.device().requests.offsets.clone();
    assert_eq!(offsets, [0, resumed_at, 0], "another version restarts");
    assert_eq!(world.in_store(), [stored_file("a.np", &other)]);
}

#[tokio::test(start_paused = true)]
async fn only_a_file_that_the_device_digests_and_identifies_is_resumed() {
    for (digests, identifies) in [(true, true), (false, true), (true, false)] {
        let world = TestWorld::with_files(&[("a.np", "1".repeat(LARGE).as_bytes())]);
        world.device().abilities.digests = digests;
        world.device().abilities.complete_identities = identifies;
        interrupt_fetch(&world).await;
        let is_resumed = interrupt_fetch(&world).await > 0;
        assert_eq!(is_resumed, digests && identifies, "{digests} {identifies}");
    }
}
