//! Two names that lead to one folder.

use engine::fleet::{Bounds, Chosen, SweepResult, SweepSummary};
use engine::ports::PassOutcome;
use engine::rules::{DeviceRules, Mode};
use model::{DeviceName, FailureClass};
use sim::simulator::device::Request::Connect;
use sim::simulator::link::Condition;

use crate::world::TestWorld;

/// The rules of a second name, "alias", that leads to the first device.
fn second_name(world: &mut TestWorld) -> DeviceRules {
    let collector = &mut world.sim.collectors[0];
    let endpoint = collector.endpoints[world.rules.name.as_str()].clone();
    collector.endpoints.insert("alias".to_owned(), endpoint);
    DeviceRules {
        name: DeviceName::new("alias").unwrap(),
        ..world.rules.clone()
    }
}

fn refusals(summary: &SweepSummary) -> Vec<String> {
    let passes = summary.passes.iter();
    let refused = passes.filter_map(|(device, pass)| match &pass.outcome {
        PassOutcome::Failed {
            class: FailureClass::SameDevice,
            message,
            ..
        } => Some(format!("{device}: {message}")),
        _ => None,
    });
    refused.collect()
}

#[tokio::test(start_paused = true)]
async fn of_two_names_that_lead_to_one_folder_only_the_first_touches_it() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    let alias = second_name(&mut world);
    let first = world.rules.clone();
    let visited = [first.clone(), alias.clone()];
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let summary = world
        .sweep_now(&visited, Bounds::with_parallel(4), Mode::Act)
        .await;
    assert_eq!(summary.result(), SweepResult::Partial);
    let refused = refusals(&summary);
    assert!(
        refused.len() == 1 && refused[0].contains("alias") && refused[0].contains(first.name.as_str()),
        "{refused:?}"
    );
    assert_eq!(world.in_store().len(), 1);
    assert_eq!(world.recorded().rows.len(), 1);

    // The claims in the ledger also apply to a sweep over the other name alone.
    world.sim.record(0, "b", b"two");
    world.device().requests.begun.clear();
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let served = if refused[0].starts_with("alias") {
        &alias
    } else {
        &first
    };
    let other = std::slice::from_ref(served);
    let chosen = Chosen {
        visited: other,
        configured: &visited,
    };
    let summary = world
        .sweep_chosen(chosen, Bounds::with_parallel(4), Mode::Act)
        .await;
    assert_eq!(refusals(&summary).len(), 1);
    assert_eq!(world.device().requests.begun, [Connect]);
    assert_eq!(world.on_device(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_with_a_corrected_port_refuses_no_name_while_it_is_offline() {
    let mut world = TestWorld::with_devices(2);
    let rules = world.sim.collectors[0].rules.clone();
    let [wrong, right] = [&rules[0], &rules[1]].map(|device| device.name.to_string());
    let endpoints = world.sim.collectors[0].endpoints.clone();
    let own = endpoints[&wrong].clone();
    let lead = |world: &mut TestWorld, to| world.sim.collectors[0].endpoints.insert(wrong.clone(), to);
    lead(&mut world, endpoints[&right].clone());
    for device in &rules {
        let chosen = Chosen {
            visited: std::slice::from_ref(device),
            configured: &rules,
        };
        let summary = world
            .sweep_chosen(chosen, Bounds::with_parallel(1), Mode::Act)
            .await;
        assert_eq!(
            refusals(&summary).len(),
            usize::from(device.name.as_str() == right)
        );
    }

    own.link.set(Condition::BlackHole);
    lead(&mut world, own);
    world.sim.record(1, "a", b"one");
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let summary = world.sweep_now(&rules, Bounds::with_parallel(1), Mode::Act).await;
    assert_eq!(summary.result(), SweepResult::Unreachable);
    assert_eq!(world.in_store().len(), 1);

    // The other name stays first even if this one leads there again.
    lead(&mut world, endpoints[&right].clone());
    for _ in 0..2 {
        let summary = world.sweep_now(&rules, Bounds::with_parallel(4), Mode::Act).await;
        let refused = refusals(&summary);
        assert!(
            refused.len() == 1 && refused[0].starts_with(&wrong),
            "{refused:?}"
        );
    }
}
