//! Two names that lead to one folder.

use engine::fleet::{Bounds, Chosen, SweepSummary, Verdict};
use engine::ports::PassOutcome;
use engine::rules::{DeviceRules, Mode};
use model::{DeviceName, FailureClass};
use sim::simulator::device::Request::Connect;

use crate::world::TestWorld;

/// The device that a name leads to, under another name.
fn second_name(world: &mut TestWorld) -> DeviceRules {
    let collector = &mut world.sim.collectors[0];
    let station = collector.stations[world.rules.name.as_str()].clone();
    collector.stations.insert("alias".to_owned(), station);
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
    let summary = world.visit(&visited, Bounds::with_parallel(4), Mode::Act).await;
    assert_eq!(summary.verdict(), Verdict::Partial);
    let said = refusals(&summary);
    assert!(
        said.len() == 1 && said[0].contains("alias") && said[0].contains(first.name.as_str()),
        "{said:?}"
    );
    assert_eq!(world.in_store().len(), 1);
    assert_eq!(world.recorded().rows.len(), 1);

    // What the ledger knows holds in a sweep over the other name alone.
    world.sim.record(0, "b", b"two");
    world.device().requests.begun.clear();
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let served = if said[0].starts_with("alias") {
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
        .visit_some(chosen, Bounds::with_parallel(4), Mode::Act)
        .await;
    assert_eq!(refusals(&summary).len(), 1);
    assert_eq!(world.device().requests.begun, [Connect]);
    assert_eq!(world.on_device(), ["b"]);
}
