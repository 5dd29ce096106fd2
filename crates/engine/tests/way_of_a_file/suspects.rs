//! A file with which every session ends: it goes last, and in the end alone, so that all others come home.

use engine::event::Event;
use engine::ports::{Abilities, Ledger as _, PassOutcome, Reason};
use engine::rules::{Mode, ReleaseRule};
use model::{FailureClass, RelativePath, SourcePath, WaitReason};

use crate::device::all_abilities;
use crate::{FakeWorld, short_plans};

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
            .map(|(_, lies_at, suspicion)| {
                let withdrawn = engine::withdrawn::parse(lies_at);
                let original = withdrawn.map_or_else(|| lies_at.clone(), |withdrawn| withdrawn.original);
                (original.to_string(), suspicion.times)
            })
            .collect()
    }

    /// Notes them so many times.
    fn suspect(&self, paths: &[&str], times: usize) {
        for _ in 0..times {
            let paths = paths.iter().map(|path| RelativePath::new(path).unwrap());
            let noted = self
                .ledger
                .suspect(&self.rules.name, &self.rules.sources[0], paths.collect());
            futures_util::FutureExt::now_or_never(noted).unwrap().unwrap();
        }
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
    let after = |message: &str, released: &[&str], suspects: &[(&str, u64)]| {
        world.fails(message);
        assert_eq!(
            (world.released(), world.suspects()),
            (names(released), noted(suspects))
        );
    };
    let (one, several) = (
        "silent; it was to send b",
        "silent; it was to send b, or one of 1 files after it",
    );
    // `a` had come, but the batch is not whole. `c` may have been on its way.
    after(several, &[], &[("b", 1), ("c", 1)]);
    // Once may have been the link's fault.
    after(several, &[], &[("b", 2), ("c", 2)]);
    after(several, &["a"], &[("b", 3), ("c", 3)]);
    after(one, &["a"], &[("c", 3), ("b", 4)]);
    after(one, &["a", "c"], &[("b", 5)]);
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
    (0..8).for_each(|_| drop(world.sweep()));
    assert_eq!(world.released(), names(&["c"]));
    world.hangs_at(&["a"]);
    (0..2).for_each(|_| drop(world.sweep()));
    assert_eq!(world.released(), names(&["c", "b"]));
    assert_eq!(world.suspects().len(), 1);
}

#[test]
fn a_link_that_breaks_makes_no_suspect_where_files_are_gone_on_with() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.devices.state().fails_at = Some(("fetch_together", FailureClass::TunnelDown));
    world.sweep();
    assert_eq!(world.suspects(), noted(&[]));
}

#[test]
fn a_file_too_large_for_the_life_of_a_link_goes_last_where_nothing_is_gone_on_with() {
    let large = vec![7; usize::try_from(engine::ports::device::SMALL).unwrap() + 1];
    let world = FakeWorld::with_files(&[("a", &large), ("b", b"two")]);
    world.devices.state().abilities = Some(Abilities {
        digests: false,
        ..all_abilities()
    });
    world.devices.state().fails_at = Some(("fetch", FailureClass::TunnelDown));
    (0..2).for_each(|_| drop(world.sweep()));
    assert_eq!(world.suspects(), noted(&[("a", 2)]));
    world.devices.state().fails_at = None;
    world.sweep();
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["b", "a"]), noted(&[]))
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
    (0..3).for_each(|_| world.fails("silent; it was to send a"));
    assert_eq!(
        (world.released(), world.suspects()),
        (names(&["b"]), noted(&[("a", 3)]))
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
fn a_suspect_of_one_source_keeps_no_other_source_waiting_and_hides_no_other_failure() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.suspect(&["a"], 2);
    world.hangs_at(&["a"]);
    world.devices.state().missing_sources.push("/films".into());
    world.fails("silent; before that: no such folder; it was to send a");
    let requests = world.devices.state().requests.clone();
    let surveys = requests.iter().filter(|request| **request == "survey").count();
    assert_eq!(surveys, 2, "{requests:?}");
}

#[test]
fn a_suspect_waits_for_what_one_plan_does_not_hold() {
    let files: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"one"[..])).collect();
    let world = FakeWorld::with_files(&files);
    world.suspect(&["f00"], 2);
    world.visit(std::slice::from_ref(&world.rules), short_plans(), Mode::Act);
    let released = world.released();
    assert_eq!((released.len(), released.last().unwrap().as_str()), (40, "f00"));
}

#[test]
fn suspects_behind_the_end_of_a_session_are_told_as_not_reached_whoever_ended_it() {
    let not_reached = Reason::Wait(WaitReason::NotReached);
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["a", "b"], 3);
    world.hangs_at(&["a"]);
    let standing = world.sweep().passes[0].1.standing.clone().unwrap();
    assert_eq!(standing.totals, [(not_reached, 2, 6)]);

    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["b"], 2);
    world.hangs_at(&["a"]);
    let standing = world.sweep().passes[0].1.standing.clone().unwrap();
    assert_eq!(standing.totals, [(not_reached, 2, 6)]);
}

#[test]
fn a_session_that_ends_in_another_stage_with_a_suspect_lets_the_next_one_have_its_turn() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.suspect(&["a", "b"], 3);
    world.devices.state().fails_at = Some(("rename", FailureClass::Stalled));
    world.fails("gone");
    assert_eq!(world.suspects(), noted(&[("b", 3), ("a", 4)]));
}

#[test]
fn what_is_recorded_is_no_suspect_any_more_though_it_stays_on_the_device() {
    let mut world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.suspect(&["a"], 1);
    world.suspect(&["b"], 3);
    *world.store.room.lock().unwrap() = Some(1);
    world.sweep();
    assert_eq!(world.suspects(), noted(&[("a", 1), ("b", 3)]));
    *world.store.room.lock().unwrap() = None;
    world.sweep();
    assert_eq!((world.in_store().len(), world.suspects()), (2, noted(&[])));
}

#[test]
fn a_new_file_of_the_name_of_a_suspect_is_another() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.hangs_at(&["a"]);
    (0..2).for_each(|_| drop(world.sweep()));
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
    world.suspect(&["a"], 2);
    world.run(Mode::DryRun);
    let events = world.reporter.0.lock().unwrap();
    let planned = events.iter().filter_map(|event| match event {
        Event::Planned { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(planned.collect::<Vec<_>>(), ["b", "a"]);
}
