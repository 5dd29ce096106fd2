//! Which version of a file is gone on with.

use engine::ports::PassOutcome;

use crate::world::{TestWorld, pair, write};

/// More than is read together with others.
const LARGE: usize = 100_000;

/// Sweeps until the connection breaks in the midst of a file; from where on it was read.
pub(crate) async fn broken_off(world: &TestWorld) -> u64 {
    world.sim.links[0].cut_in(40_000);
    let outcome = world.sweep().await.passes[0].1.outcome.clone();
    assert!(matches!(outcome, PassOutcome::Failed { .. }), "{outcome:?}");
    *world.device().requests.offsets.last().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_on_with_is_the_very_same_version() {
    let (first, other) = ("1".repeat(LARGE), "2".repeat(LARGE));
    let world = TestWorld::with_files(&[("a.np", first.as_bytes())]);
    assert_eq!(broken_off(&world).await, 0);
    let gone_on_with = broken_off(&world).await;
    assert!(gone_on_with > 30_000, "an untouched file is gone on with");
    // Written to where it lies, with the same size and mtime: only its ctime tells.
    write(&mut world.device(), "a.np", other.as_bytes());
    world.sweep().await;
    let offsets = world.device().requests.offsets.clone();
    assert_eq!(offsets, [0, gone_on_with, 0], "another version begins anew");
    assert_eq!(world.in_store(), [pair("a.np", &other)]);
}

#[tokio::test(start_paused = true)]
async fn only_what_the_device_digests_and_identifies_is_gone_on_with() {
    for (digests, identifies) in [(true, true), (false, true), (true, false)] {
        let world = TestWorld::with_files(&[("a.np", "1".repeat(LARGE).as_bytes())]);
        world.device().abilities.digests = digests;
        world.device().abilities.complete_identities = identifies;
        broken_off(&world).await;
        let is_gone_on_with = broken_off(&world).await > 0;
        assert_eq!(is_gone_on_with, digests && identifies, "{digests} {identifies}");
    }
}
