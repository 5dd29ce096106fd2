//! A file with which every session ends: it goes last, and in the end alone, so that all others come home.

use engine::event::Event;
use engine::fleet::{Bounds, Verdict};
use engine::oldest::PlanBytes;
use engine::ports::{Abilities, Ledger as _, PassOutcome, Reason};
use engine::rules::Mode;
use model::{FailureClass, RelativePath, SourcePath, WaitReason};

use crate::FakeWorld;
use crate::device::all_abilities;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl FakeWorld {
    fn hangs_at(&self, names: &[&'static str]) {
        self.devices.state().hangs_at = names.to_vec();
    }

    /// With how often each was noted, the one that was noted longest ago first.
    fn suspects(&self) -> Vec<(String, u64)> {
        let suspects = self.ledger.suspects.lock().unwrap();
        let suspects = suspects.iter();
        suspects
            .map(|(_, path, suspicion)| (path.to_string(), suspicion.times))
            .collect()
    }

    fn suspect(&self, paths: &[&str]) {
        let paths = paths.iter().map(|path| RelativePath::new(path).unwrap());
        let noted = self
            .ledger
            .suspect(&self.rules.name, &self.rules.sources[0], paths.collect());
        futures_util::FutureExt::now_or_never(noted).unwrap().unwrap();
    }

    fn released(&self) -> Vec<String> {
        let events = self.reporter.0.lock().unwrap();
        let released = events.iter().filter_map(|event| match event {
            Event::Released { path, .. } => Some(path.to_string()),
            _ => None,
        });
        released.collect()
    }

    fn fails(&self, expected: &str) {
        let summary = self.sweep();
        let failed = PassOutcome::Failed {
            class: FailureClass::Stalled,
            message: expected.into(),
        };
        assert_eq!(summary.passes[0].1.outcome, failed);
    }
}

fn noted(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    let names = names.iter();
    names.map(|(name, times)| ((*name).to_owned(), *times)).collect()
}

#[test]
fn a_file_over_which_a_device_falls_silent_keeps_no_other_from_coming_home_and_is_named() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.hangs_at(&["b"]);
    // `a` had come, but the batch is not whole. `c` may have been on its way.
    world.fails("silent; it was to send b, or one of 1 files after it");
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&[]), noted(&[("b", 1), ("c", 1)]))
    );
    world.fails("silent; it was to send b, or one of 1 files after it");
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["a"]), noted(&[("b", 2), ("c", 2)]))
    );
    world.fails("silent; it was to send b");
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["a"]), noted(&[("c", 2), ("b", 3)]))
    );
    world.fails("silent; it was to send b");
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["a", "c"]), noted(&[("b", 4)]))
    );
    // It can be read again at last; what is new goes before it all the same.
    world.hangs_at(&[]);
    world.devices.state().record("d", b"four");
    world.sweep();
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["a", "c", "d", "b"]), noted(&[]))
    );
}

#[test]
fn of_several_files_over_which_a_device_falls_silent_each_has_its_turn() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.hangs_at(&["a", "b"]);
    (0..4).for_each(|_| drop(world.sweep()));
    world.hangs_at(&["a"]);
    (0..2).for_each(|_| drop(world.sweep()));
    let mut released = world.released();
    released.sort();
    assert_eq!(released, names(&["b", "c"]));
    assert_eq!(world.suspects().len(), 1);
}

#[test]
fn a_link_that_breaks_makes_a_suspect_of_one_file_only_and_costs_it_no_batch_of_its_own() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two"), ("c", b"three")]);
    world.devices.state().fails_at = Some(("fetch_together", FailureClass::TunnelDown));
    world.sweep();
    assert_eq!(world.suspects(), noted(&[("a", 1)]));
    world.suspect(&["b"]);
    world.devices.state().fails_at = None;
    world.devices.state().together.clear();
    world.sweep();
    assert_eq!(world.released(), names(&["c", "a", "b"]));
    assert_eq!(world.suspects(), noted(&[]));
    let fetches = |state: &crate::device::State| {
        let requests = state.requests.iter();
        requests.filter(|request| **request == "fetch_together").count()
    };
    assert_eq!(
        fetches(&world.devices.state()),
        3,
        "one that failed, one for `c`, one for the suspects"
    );
}

#[test]
fn where_all_others_came_the_one_that_did_not_is_the_only_suspect() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.devices.state().abilities = Some(Abilities {
        reads_together: false,
        ..all_abilities()
    });
    world.hangs_at(&["a"]);
    world.fails("silent; it was to send a");
    world.fails("silent; it was to send a");
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["b"]), noted(&[("a", 2)]))
    );
}

#[test]
fn a_device_that_owes_a_digest_for_too_long_makes_a_suspect_of_the_largest_file() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"three"), ("c", b"two")]);
    world.devices.state().owes_digests = true;
    world.fails("silent; it was to send b");
    assert_eq!(world.suspects(), noted(&[("b", 1)]));
}

#[test]
fn a_suspect_of_one_source_keeps_no_other_source_waiting() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.suspect(&["a"]);
    world.hangs_at(&["a"]);
    world.sweep();
    let requests = world.devices.state().requests.clone();
    let surveys = requests.iter().filter(|request| **request == "survey").count();
    assert_eq!(surveys, 2, "{requests:?}");
}

#[test]
fn a_suspect_waits_for_what_one_plan_does_not_hold() {
    let files: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = FakeWorld::with_files(&files);
    world.suspect(&["f00"]);
    let bounds = Bounds {
        plans: PlanBytes {
            own: 1_600,
            shared: 0,
            ..PlanBytes::default()
        },
        ..Bounds::with_parallel(1)
    };
    world.visit(std::slice::from_ref(&world.rules), bounds, Mode::Act);
    let released = world.released();
    assert_eq!((released.len(), released.last().unwrap().as_str()), (40, "f00"));
}

#[test]
fn suspects_behind_the_end_of_a_session_are_told_as_not_reached_whoever_ended_it() {
    let not_reached = Reason::Wait(WaitReason::NotReached);
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["a", "b"]);
    world.suspect(&["a", "b"]);
    world.hangs_at(&["a"]);
    let standing = world.sweep().passes[0].1.standing.clone().unwrap();
    assert_eq!(standing.totals, [(not_reached, 2, 6)]);
    assert_eq!(world.suspects(), noted(&[("b", 2), ("a", 3)]));

    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["b"]);
    world.hangs_at(&["a"]);
    let standing = world.sweep().passes[0].1.standing.clone().unwrap();
    assert_eq!(standing.totals, [(not_reached, 2, 6)]);
}

#[test]
fn a_session_that_ends_in_another_stage_with_a_suspect_lets_the_next_one_have_its_turn() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["a", "b"]);
    world.suspect(&["a", "b"]);
    world.devices.state().fails_at = Some(("rename", FailureClass::Stalled));
    world.fails("gone");
    assert_eq!(world.suspects(), noted(&[("b", 2), ("a", 3)]));
}

#[test]
fn a_suspect_for_which_there_is_no_room_stays_one() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.suspect(&["a"]);
    *world.store.room.lock().unwrap() = Some(1);
    world.sweep();
    assert_eq!(world.suspects(), noted(&[("a", 1)]));
    *world.store.room.lock().unwrap() = None;
    assert_eq!(world.sweep().verdict(), Verdict::Well);
    assert_eq!(world.suspects(), noted(&[]));
}

#[test]
fn a_new_file_goes_before_the_withdrawn_one_of_its_name() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.suspect(&["a"]);
    world.hangs_at(&["a"]);
    world.sweep();
    assert!(world.on_device()[0].starts_with(".gleaner-withdrawn"));
    world.devices.state().record("a", b"another");
    world.hangs_at(&[]);
    world.sweep();
    let sizes = world.devices.state().together.clone();
    assert_eq!(sizes[sizes.len() - 2..], [7, 3]);
}

#[test]
fn a_source_that_is_gone_makes_no_file_a_suspect() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("fetch_together", FailureClass::SourceMissing));
    world.sweep();
    assert_eq!(world.suspects(), noted(&[]));
}

#[test]
fn a_dry_run_plans_a_suspect_last() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["a"]);
    world.run(Mode::DryRun);
    let events = world.reporter.0.lock().unwrap();
    let planned = events.iter().filter_map(|event| match event {
        Event::Planned { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(planned.collect::<Vec<_>>(), ["b", "a"]);
}
