//! A file that ends every session is fetched last, and later alone, so that all other files are stored.

use engine::event::Event;
use engine::ports::{Ledger as _, PassOutcome, Reason};
use engine::rules::{Mode, ReleaseRule};
use model::{Amount, FailureClass, RelativePath, SourcePath, WaitReason};

use sim::simulator::device::Request::{Digest, Fetch, FetchTogether, Rename, Survey};

use crate::world::{TestWorld, ten_file_plans};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl TestWorld {
    /// From now on the device stalls over these files.
    fn stall_over(&self, names: &[&'static str]) {
        self.device().faults.silent_over = names.to_vec();
    }

    /// The suspects with their numbers of failures, least recently recorded first.
    pub(crate) async fn suspects(&self) -> Vec<(String, u64)> {
        let (device, source) = (&self.rules.name, &self.rules.sources[0]);
        let suspects = self.ledger().suspects(device, source).await.unwrap();
        suspects
            .into_iter()
            .map(|(current_path, suspicion)| {
                let withdrawn = engine::withdrawn::parse(&current_path);
                let original = withdrawn.map_or(current_path, |withdrawn| withdrawn.original);
                (original.to_string(), suspicion.times)
            })
            .collect()
    }

    /// Records these suspects `times` times.
    async fn record_suspects(&self, paths: &[&str], times: usize) {
        let (lease, source) = (self.begin_pass().await, &self.rules.sources[0]);
        for _ in 0..times {
            let paths = paths.iter().map(|path| RelativePath::new(path).unwrap());
            let recorded = self.ledger().record_suspects(&lease, source, paths.collect());
            recorded.await.unwrap();
        }
    }

    /// Sweeps, and asserts that the pass ends with this failure.
    async fn sweep_fails(&self, expected: &str) {
        let summary = self.sweep().await;
        let failed = PassOutcome::Failed {
            class: FailureClass::Stalled,
            message: expected.into(),
            remedy: None,
        };
        assert_eq!(summary.passes[0].1.outcome, failed);
    }
}

fn counts(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    let names = names.iter();
    names.map(|(name, times)| ((*name).to_owned(), *times)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stalls_its_device_blocks_no_other_file() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.stall_over(&["b"]);
    let after = async |message: &str, released: &[&str], suspects: &[(&str, u64)]| {
        world.sweep_fails(message).await;
        assert_eq!(
            (world.released(), world.suspects().await),
            (names(released), counts(suspects))
        );
    };
    let (one, several) = (
        "no answer; while fetching b",
        "no answer; while fetching b (or one of the next 1)",
    );
    // `a` was received, but the batch is not complete. `c` may have been in transit.
    after(several, &[], &[("b", 1), ("c", 1)]).await;
    // One failure may be the link's fault.
    after(several, &[], &[("b", 2), ("c", 2)]).await;
    after(several, &["a"], &[("b", 3), ("c", 3)]).await;
    after(one, &["a"], &[("c", 3), ("b", 4)]).await;
    after(one, &["a", "c"], &[("b", 5)]).await;
    // The file is readable again. New files are still fetched before it.
    world.stall_over(&[]);
    world.sim.record(0, "d", b"four");
    world.sweep().await;
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["a", "c", "d", "b"]), counts(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn of_several_files_that_stall_their_device_each_is_tried_in_turn() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.stall_over(&["a", "b"]);
    for _ in 0..8 {
        world.sweep().await;
    }
    assert_eq!(world.released(), names(&["c"]));
    world.stall_over(&["a"]);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.released(), names(&["c", "b"]));
    assert_eq!(world.suspects().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broken_link_makes_no_suspect_if_files_can_be_resumed() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.fail_session_at((FetchTogether, FailureClass::TunnelDown));
    world.sweep().await;
    assert_eq!(world.suspects().await, counts(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_file_too_large_for_one_session_is_fetched_last() {
    let large = vec![7; usize::try_from(engine::ports::device::SMALL_FILE_MAX).unwrap() + 1];
    let world = TestWorld::with_files(&[("a", &large), ("b", b"two")]);
    world.device().abilities.digests = false;
    world.fail_session_at((Fetch, FailureClass::TunnelDown));
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.suspects().await, counts(&[("a", 2)]));
    world.fail_session_at(None);
    world.sweep().await;
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["b", "a"]), counts(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn the_only_file_that_did_not_arrive_is_the_only_suspect() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.device().abilities.reads_together = false;
    world.stall_over(&["a"]);
    for _ in 0..3 {
        world.sweep_fails("no answer; while fetching a").await;
    }
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["b"]), counts(&[("a", 3)]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_digest_makes_the_largest_file_a_suspect() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"three"), ("c", b"two")]);
    world.device().faults.silent_at = Some(Digest);
    world.sweep_fails("no answer; while fetching b").await;
    assert_eq!(world.suspects().await, counts(&[("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_blocks_no_other_source_and_hides_no_failure() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.record_suspects(&["a"], 2).await;
    world.stall_over(&["a"]);
    world
        .sweep_fails("no answer; before that: no such folder; while fetching a")
        .await;
    assert_eq!(world.request_count(Survey), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_waits_for_files_that_do_not_fit_into_one_plan() {
    let files: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = TestWorld::with_files(&files);
    world.record_suspects(&["f00"], 2).await;
    world.sweep_within(ten_file_plans(), Mode::Act).await;
    let released = world.released();
    assert_eq!((released.len(), released.last().unwrap().as_str()), (40, "f00"));
}

#[tokio::test(start_paused = true)]
async fn suspects_after_the_end_of_a_session_were_not_reached() {
    let not_reached = Reason::Wait(WaitReason::NotReached);
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a", "b"], 3).await;
    world.stall_over(&["a"]);
    let remaining = world.sweep().await.passes[0].1.remaining.clone().unwrap();
    assert_eq!(remaining.totals, [(not_reached, Amount::new(2, 6))]);

    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["b"], 2).await;
    world.stall_over(&["a"]);
    let remaining = world.sweep().await.passes[0].1.remaining.clone().unwrap();
    assert_eq!(remaining.totals, [(not_reached, Amount::new(2, 6))]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_another_stage_tries_the_next_suspect() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a", "b"], 3).await;
    world.fail_session_at((Rename, FailureClass::Stalled));
    world.sweep_fails("gone").await;
    assert_eq!(world.suspects().await, counts(&[("b", 3), ("a", 4)]));
}

#[tokio::test(start_paused = true)]
async fn a_recorded_file_is_not_a_suspect_even_if_it_stays() {
    let mut world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.record_suspects(&["a"], 1).await;
    world.record_suspects(&["b"], 3).await;
    world.leave_room(1);
    world.sweep().await;
    assert_eq!(world.suspects().await, counts(&[("a", 1), ("b", 3)]));
    world.sim.disk.set_store_capacity(None);
    world.sweep().await;
    assert_eq!((world.in_store().len(), world.suspects().await), (2, counts(&[])));
}

#[tokio::test(start_paused = true)]
async fn a_new_file_with_the_name_of_a_suspect_is_not_a_suspect() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.stall_over(&["a"]);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert!(world.on_device()[0].starts_with(".gleaner-withdrawn"));
    world.sim.record(0, "a", b"another");
    world.stall_over(&[]);
    world.sweep().await;
    let sizes = world.device().requests.together.clone();
    assert_eq!(sizes[sizes.len() - 2..], [7, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_makes_no_file_a_suspect() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.fail_session_at((FetchTogether, FailureClass::SourceMissing));
    world.sweep().await;
    assert_eq!(world.suspects().await, counts(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_a_suspect_last() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a"], 2).await;
    world.sweep_in(Mode::DryRun).await;
    let events = world.events();
    let planned = events.iter().filter_map(|event| match event {
        Event::Planned { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(planned.collect::<Vec<_>>(), ["b", "a"]);
}
