//! Draws the parameters of a scenario from its seed. The order of draws is fixed: changing it changes every
//! scenario.

use std::time::Duration;

use engine::fleet::Bounds;
use engine::plan::oldest::PlanBytes;

use crate::simulator::device::Kind;
use crate::simulator::link::Condition;
use crate::simulator::naming::Naming;
use crate::simulator::rng::Rng;
use crate::simulator::world::WorldConfig;

/// Draws a world.
pub(super) fn draw_config(rng: &mut Rng, seed: u64) -> WorldConfig {
    let is_crowded = rng.one_in(4);
    let devices = rng.below(if is_crowded { 8 } else { 4 }) + 1;
    WorldConfig {
        kinds: (0..devices)
            .filter_map(|_| rng.choose(&Kind::ALL).copied())
            .collect(),
        collectors: if rng.one_in(4) { 2 } else { 1 },
        naming: if rng.one_in(3) {
            Naming::Together
        } else {
            Naming::ByDevice
        },
        has_links: !rng.one_in(5),
        is_divided: rng.one_in(5),
        round_trip: rng.duration(Duration::from_millis(6), Duration::from_millis(200)),
        bounds: Bounds {
            parallel: if rng.one_in(4) { 16 } else { rng.index(3) + 1 },
            plans: plans(rng),
            max_pass_time: engine::fleet::MAX_PASS_TIME,
        },
        bytes_per_second: rng.one_in(3).then(|| 2000 + rng.below(50_000)),
        stops_with_connection: rng.one_in(2),
        seed,
    }
}

/// Draws the plan size: everything at once, or about eighty files at a time.
fn plans(rng: &mut Rng) -> PlanBytes {
    if !rng.one_in(3) {
        return PlanBytes::default();
    }
    PlanBytes {
        own: 10_000 + rng.index(10_000),
        shared: 0,
        ..PlanBytes::default()
    }
}

/// Draws the devices that are unreachable while faults last, and how: up to half of them, in some scenarios.
pub(super) fn draw_unreachable(rng: &mut Rng, config: &WorldConfig) -> Vec<(usize, Condition)> {
    if !rng.one_in(3) {
        return Vec::new();
    }
    let ways = [Condition::BlackHole, Condition::Silent, Condition::Refusing];
    let number = rng.index(config.kinds.len() / 2 + 1);
    let gone = (0..number).filter_map(|_| Some((rng.index(config.kinds.len()), *rng.choose(&ways)?)));
    gone.collect()
}
