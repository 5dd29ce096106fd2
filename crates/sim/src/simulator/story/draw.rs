//! What a story is made of, drawn from its seed.

use std::time::Duration;

use engine::fleet::Bounds;
use engine::plan::oldest::PlanBytes;

use crate::simulator::book::Naming;
use crate::simulator::device::Kind;
use crate::simulator::dice::Dice;
use crate::simulator::link::Condition;
use crate::simulator::world::Plan;

/// A world.
pub(super) fn draw(dice: &mut Dice, seed: u64) -> Plan {
    let is_crowded = dice.one_in(4);
    let devices = dice.below(if is_crowded { 8 } else { 4 }) + 1;
    Plan {
        kinds: (0..devices)
            .filter_map(|_| dice.pick(&Kind::ALL).copied())
            .collect(),
        collectors: if dice.one_in(4) { 2 } else { 1 },
        naming: if dice.one_in(3) {
            Naming::Together
        } else {
            Naming::ByDevice
        },
        has_links: !dice.one_in(5),
        is_divided: dice.one_in(5),
        round_trip: dice.span(Duration::from_millis(6), Duration::from_millis(200)),
        bounds: Bounds {
            parallel: match dice.one_in(4) {
                true => 16,
                false => dice.index(3) + 1,
            },
            plans: plans(dice),
            max_pass_time: engine::fleet::MAX_PASS_TIME,
        },
        bytes_per_second: dice.one_in(3).then(|| 2000 + dice.below(50_000)),
        stops_with_connection: dice.one_in(2),
        seed,
    }
}

/// Plans that hold all there is, or some eighty files at a time.
fn plans(dice: &mut Dice) -> PlanBytes {
    if !dice.one_in(3) {
        return PlanBytes::default();
    }
    PlanBytes {
        own: 10_000 + dice.index(10_000),
        shared: 0,
        ..PlanBytes::default()
    }
}

/// Devices that are out of reach while faults last, each in a way of its own: up to half of them, in some stories.
pub(super) fn gone(dice: &mut Dice, plan: &Plan) -> Vec<(usize, Condition)> {
    if !dice.one_in(3) {
        return Vec::new();
    }
    let ways = [Condition::BlackHole, Condition::Silent, Condition::Refusing];
    let number = dice.index(plan.kinds.len() / 2 + 1);
    let gone = (0..number).filter_map(|_| Some((dice.index(plan.kinds.len()), *dice.pick(&ways)?)));
    gone.collect()
}
