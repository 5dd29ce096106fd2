//! A file with which every session ends: it goes last, and in the end alone, so that all others are stored.

use engine::event::Event;
use engine::ports::{Ledger as _, PassOutcome, Reason};
use engine::rules::{Mode, ReleaseRule};
use model::{Amount, FailureClass, RelativePath, SourcePath, WaitReason};

use sim::simulator::device::Request::{Digest, Fetch, FetchTogether, Rename, Survey};

use crate::world::{TestWorld, short_plans};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl TestWorld {
    fn hangs_at(&self, names: &[&'static str]) {
        self.device().faults.silent_over = names.to_vec();
    }

    /// With how often each was noted, the one that was noted longest ago first.
    async fn suspects(&self) -> Vec<(String, u64)> {
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

    /// Notes them so many times.
    async fn record_suspects(&self, paths: &[&str], times: usize) {
        let (device, source) = (&self.rules.name, &self.rules.sources[0]);
        for _ in 0..times {
            let paths = paths.iter().map(|path| RelativePath::new(path).unwrap());
            let noted = self.ledger().record_suspects(device, source, paths.collect());
            noted.await.unwrap();
        }
    }

    async fn fails(&self, expected: &str) {
        let summary = self.sweep().await;
        let failed = PassOutcome::Failed {
            class: FailureClass::Stalled,
            message: expected.into(),
            remedy: None,
        };
        assert_eq!(summary.passes[0].1.outcome, failed);
    }
}

fn noted(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    let names = names.iter();
    names.map(|(name, times)| ((*name).to_owned(), *times)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_over_which_a_device_falls_silent_holds_up_no_other() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.hangs_at(&["b"]);
    let after = async |message: &str, released: &[&str], suspects: &[(&str, u64)]| {
        world.fails(message).await;
        assert_eq!(
            (world.released(), world.suspects().await),
            (names(released), noted(suspects))
        );
    };
    let (one, several) = (
        "no answer; it was to send b",
        "no answer; it was to send b, or one of 1 files after it",
    );
    // `a` had come, but the batch is not whole. `c` may have been on its way.
    after(several, &[], &[("b", 1), ("c", 1)]).await;
    // Once may have been the link's fault.
    after(several, &[], &[("b", 2), ("c", 2)]).await;
    after(several, &["a"], &[("b", 3), ("c", 3)]).await;
    after(one, &["a"], &[("c", 3), ("b", 4)]).await;
    after(one, &["a", "c"], &[("b", 5)]).await;
    // It can be read again at last; what is new goes before it all the same.
    world.hangs_at(&[]);
    world.sim.record(0, "d", b"four");
    world.sweep().await;
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["a", "c", "d", "b"]), noted(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn of_several_files_over_which_a_device_falls_silent_each_has_its_turn() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.hangs_at(&["a", "b"]);
    for _ in 0..8 {
        world.sweep().await;
    }
    assert_eq!(world.released(), names(&["c"]));
    world.hangs_at(&["a"]);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.released(), names(&["c", "b"]));
    assert_eq!(world.suspects().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_makes_no_suspect_where_files_are_gone_on_with() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.ends_at((FetchTogether, FailureClass::TunnelDown));
    world.sweep().await;
    assert_eq!(world.suspects().await, noted(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_file_too_large_for_the_life_of_a_link_goes_last() {
    let large = vec![7; usize::try_from(engine::ports::device::SMALL_FILE_MAX).unwrap() + 1];
    let world = TestWorld::with_files(&[("a", &large), ("b", b"two")]);
    world.device().abilities.digests = false;
    world.ends_at((Fetch, FailureClass::TunnelDown));
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.suspects().await, noted(&[("a", 2)]));
    world.ends_at(None);
    world.sweep().await;
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["b", "a"]), noted(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn where_all_others_came_the_one_that_did_not_is_the_only_suspect() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.device().abilities.reads_together = false;
    world.hangs_at(&["a"]);
    for _ in 0..3 {
        world.fails("no answer; it was to send a").await;
    }
    assert_eq!(
        (world.released(), world.suspects().await),
        (names(&["b"]), noted(&[("a", 3)]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_does_not_come_makes_a_suspect_of_the_largest_file() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"three"), ("c", b"two")]);
    world.device().faults.silent_at = Some(Digest);
    world.fails("no answer; it was to send b").await;
    assert_eq!(world.suspects().await, noted(&[("b", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_of_one_source_holds_up_no_other_and_hides_no_failure() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.record_suspects(&["a"], 2).await;
    world.hangs_at(&["a"]);
    world
        .fails("no answer; before that: no such folder; it was to send a")
        .await;
    assert_eq!(world.asked(Survey), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_waits_for_what_one_plan_does_not_hold() {
    let files: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = TestWorld::with_files(&files);
    world.record_suspects(&["f00"], 2).await;
    world.run_within(short_plans(), Mode::Act).await;
    let released = world.released();
    assert_eq!((released.len(), released.last().unwrap().as_str()), (40, "f00"));
}

#[tokio::test(start_paused = true)]
async fn suspects_behind_the_end_of_a_session_were_not_reached() {
    let not_reached = Reason::Wait(WaitReason::NotReached);
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a", "b"], 3).await;
    world.hangs_at(&["a"]);
    let remaining = world.sweep().await.passes[0].1.remaining.clone().unwrap();
    assert_eq!(remaining.totals, [(not_reached, Amount::new(2, 6))]);

    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["b"], 2).await;
    world.hangs_at(&["a"]);
    let remaining = world.sweep().await.passes[0].1.remaining.clone().unwrap();
    assert_eq!(remaining.totals, [(not_reached, Amount::new(2, 6))]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_another_stage_gives_the_next_suspect_a_turn() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a", "b"], 3).await;
    world.ends_at((Rename, FailureClass::Stalled));
    world.fails("gone").await;
    assert_eq!(world.suspects().await, noted(&[("b", 3), ("a", 4)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_no_suspect_though_it_stays_on_the_device() {
    let mut world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.record_suspects(&["a"], 1).await;
    world.record_suspects(&["b"], 3).await;
    world.leave_room(1);
    world.sweep().await;
    assert_eq!(world.suspects().await, noted(&[("a", 1), ("b", 3)]));
    world.sim.disk.set_store_capacity(None);
    world.sweep().await;
    assert_eq!((world.in_store().len(), world.suspects().await), (2, noted(&[])));
}

#[tokio::test(start_paused = true)]
async fn a_new_file_of_the_name_of_a_suspect_is_another() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.hangs_at(&["a"]);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert!(world.on_device()[0].starts_with(".gleaner-withdrawn"));
    world.sim.record(0, "a", b"another");
    world.hangs_at(&[]);
    world.sweep().await;
    let sizes = world.device().requests.together.clone();
    assert_eq!(sizes[sizes.len() - 2..], [7, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_gone_makes_no_file_a_suspect() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.ends_at((FetchTogether, FailureClass::SourceMissing));
    world.sweep().await;
    assert_eq!(world.suspects().await, noted(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_a_suspect_last() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.record_suspects(&["a"], 2).await;
    world.run(Mode::DryRun).await;
    let events = world.events();
    let planned = events.iter().filter_map(|event| match event {
        Event::Planned { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(planned.collect::<Vec<_>>(), ["b", "a"]);
}
