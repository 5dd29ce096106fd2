//! Another process begins a pass over the same device: this pass ends, loses nothing, and delays no device.

use std::time::Duration;

use engine::event::PassSummary;
use engine::fleet::{Bounds, SweepResult};
use engine::ports::PassOutcome;
use engine::rules::{Mode, ReleaseRule};
use model::{Amount, FailureClass, FileState, Timestamp};
use sim::simulator::device::Request::{
    self, Connect, Digest, FetchTogether, Inspect, Remove, Rename, Survey,
};
use tokio::time::sleep;

use crate::world::{TestWorld, stored_file};

impl TestWorld {
    /// Another process takes the first device over just before the next such request.
    fn take_over_before(&self, request: Request) {
        let (ledger, name) = (self.ledger().clone(), self.rules.name.clone());
        self.device().before_next(request, move |_| {
            ledger.take_over(&name, Timestamp::EPOCH);
        });
    }

    /// Sweeps all devices, and asserts that the first was taken over and all others were served.
    async fn sweep_taken_over(&self, context: &str) -> PassSummary {
        sleep(Duration::from_mins(1)).await;
        let devices = &self.sim.collectors[0].rules;
        let summary = self.sweep_now(devices, Bounds::with_parallel(4), Mode::Act).await;
        assert_eq!(summary.result(), SweepResult::Partial, "{context}");
        assert_eq!(
            (summary.ledger_failure, summary.not_visited),
            (None, vec![]),
            "{context}"
        );
        let (first, others): (Vec<_>, Vec<_>) = summary
            .passes
            .into_iter()
            .partition(|(device, _)| *device == self.rules.name);
        for (_, other) in others {
            assert_eq!(other.outcome, PassOutcome::Well, "{context}");
        }
        let (_, first) = first.into_iter().next().unwrap();
        let name = self.rules.name.as_str();
        let is_taken_over = matches!(
            &first.outcome,
            PassOutcome::Failed { class: FailureClass::TakenOver, message, .. } if message.contains(name)
        );
        assert!(is_taken_over, "{context}: {:?}", first.outcome);
        first
    }

    /// The ends of the passes over the first device: neither the stale pass nor its successor has one.
    fn ends_of_first(&self) -> usize {
        let passes = self.recorded().passes;
        let ended = passes.iter().filter(|pass| pass.end.is_some());
        ended.filter(|pass| pass.device == self.rules.name).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_taken_over_loses_nothing_in_any_stage() {
    for request in [Connect, Survey, Rename, FetchTogether, Digest, Inspect, Remove] {
        let context = format!("{request:?}");
        let world = TestWorld::with_devices(2);
        world.sim.record(0, "a", b"one");
        world.sim.record(1, "b", b"two");
        world.take_over_before(request);
        let taken_over = world.sweep_taken_over(&context).await;
        assert_eq!(world.ends_of_first(), 0, "{context}");
        let of_first = world.recorded().rows.into_iter();
        let of_first = of_first.filter(|row| row.device == world.rules.name);
        let states: Vec<FileState> = of_first.map(|row| row.state).collect();
        if request == Remove {
            // The file was recorded before. The next pass finds out that it is gone.
            assert_eq!(states, [FileState::Stored], "{context}");
            assert_eq!(taken_over.stored, Amount::new(1, 3), "{context}");
        } else {
            assert_eq!(states, [], "{context}");
            assert_eq!(world.on_device().len(), 1, "{context}");
        }
        world.sweep().await;
        assert_eq!(world.on_device(), [""; 0], "{context}");
        assert_eq!(world.states(), [FileState::Released; 2], "{context}");
        let names: Vec<String> = world.in_store().into_iter().map(|(_, content)| content).collect();
        assert_eq!(names, ["one", "two"], "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_without_files_that_is_taken_over_keeps_the_record_as_it_is() {
    let world = TestWorld::with_devices(2);
    world.take_over_before(Survey);
    world.sweep_taken_over("an empty device").await;
    assert_eq!(world.ends_of_first(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_taken_over_records_no_sighting() {
    let world = TestWorld::with_devices(2);
    world.record_in_the_future(0, "a");
    world.take_over_before(Survey);
    world.sweep_taken_over("the first sighting").await;
    // The next sighting counts as the first one.
    world.sweep().await;
    assert_eq!(world.on_device(), ["a"]);
    world.sweep().await;
    assert_eq!(world.on_device(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_taken_over_while_the_device_stalls_suspects_no_file() {
    let world = TestWorld::with_devices(2);
    world.sim.record(0, "a", b"one");
    world.device().faults.silent_over = vec!["a"];
    world.take_over_before(FetchTogether);
    world.sweep_taken_over("a stalled device").await;
    assert_eq!(world.suspects().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_taken_over_before_it_keeps_a_file_keeps_it_later() {
    let mut world = TestWorld::with_devices(2);
    world.sim.collectors[0].rules[0].rules.release = ReleaseRule::Keep;
    world.rules.rules.release = ReleaseRule::Keep;
    world.sim.record(0, "a", b"one");
    world.take_over_before(FetchTogether);
    world.sweep_taken_over("a file that is kept").await;
    world.sweep().await;
    assert_eq!(
        (world.in_store(), world.states()),
        (vec![stored_file("a", "one")], vec![FileState::Kept])
    );
}
