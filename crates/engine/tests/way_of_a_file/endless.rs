//! A listing that never comes to its end: what it has named is gathered, and nothing is concluded from what it has not named.

use std::time::Duration;

use engine::exclude::Exclude;
use engine::ports::{DeviceFailure, FileFaultKind, Others, PassOutcome};
use engine::rules::{Mode, ReleaseRule};
use model::{FailureClass, FileState, SourcePath, Timestamp};

use crate::device::NOW;
use crate::{FakeWorld, pair};

fn world_without_end(files: &[(&str, &[u8])]) -> FakeWorld {
    let mut world = FakeWorld::with_files(files);
    world.rules.rules.longest_listing = Duration::from_millis(20);
    world.devices.state().endless = true;
    world
}

#[test]
fn what_a_listing_without_end_has_named_is_gathered_and_the_pass_is_told_as_stalled() {
    let world = world_without_end(&[("a", b"one")]);
    let summary = world.sweep();
    let pass = &summary.passes[0].1;
    assert!(matches!(
        pass.outcome,
        PassOutcome::Failed {
            class: FailureClass::Stalled,
            ..
        }
    ));
    assert_eq!(pass.standing, None, "what is left is not known");
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
}

#[test]
fn what_a_session_has_named_before_it_gave_up_is_gathered_and_other_sources_go_on() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.devices.state().gives_up_listing = Some(DeviceFailure {
        class: FailureClass::Protocol,
        message: "too much".into(),
    });
    let summary = world.sweep();
    let outcome = &summary.passes[0].1.outcome;
    let expected = PassOutcome::Failed {
        class: FailureClass::Protocol,
        message: "too much; what it had named was gathered".into(),
    };
    assert_eq!(*outcome, expected);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
    let surveys = |requests: &[&str]| requests.iter().filter(|request| **request == "survey").count();
    assert_eq!(surveys(&world.devices.state().requests), 2);
}

#[test]
fn a_dry_run_does_not_say_that_anything_was_gathered() {
    let world = world_without_end(&[("a", b"one")]);
    let summary = world.run(Mode::DryRun);
    let PassOutcome::Failed { message, .. } = &summary.passes[0].1.outcome else {
        panic!("{:?}", summary.passes);
    };
    assert!(
        message.ends_with("; a sweep would gather what it had named"),
        "{message}"
    );
}

#[test]
fn what_a_listing_without_end_has_not_named_is_not_taken_for_gone() {
    let world = world_without_end(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("remove", FailureClass::Stalled));
    world.sweep();
    assert_eq!(world.states(), [FileState::Stored]);
    world.devices.state().fails_at = None;
    let unnamed = std::mem::take(&mut world.devices.state().files);
    world.sweep();
    assert_eq!(world.states(), [FileState::Stored]);
    world.devices.state().files = unnamed;
    world.sweep();
    assert_eq!(
        (world.on_device(), world.states()),
        (Vec::new(), vec![FileState::Released])
    );
}

#[test]
fn a_marker_whose_file_was_not_named_stays() {
    let mut world = world_without_end(&[("a.done", b""), ("b", b"two"), ("b.done", b"")]);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    world.sweep();
    assert_eq!(world.on_device(), ["a.done", "b.done"]);
    world.devices.state().endless = false;
    world.sweep();
    assert!(world.on_device().is_empty());
}

#[test]
fn what_a_listing_without_end_has_not_named_goes_on_being_unchanged() {
    let world = world_without_end(&[("a", b"one")]);
    let in_the_future = Timestamp::from_seconds(NOW + 100);
    let looked_at_twice = |file: &mut crate::device::File| file.identity.modified = in_the_future;
    world.devices.state().files.values_mut().for_each(looked_at_twice);
    world.sweep();
    world.devices.state().endless = false;
    world.sweep();
    assert_eq!(
        *world.ledger.others.lock().unwrap(),
        [Others::Kept, Others::Forgotten]
    );
}

/// A device that names one file in a second, of which a listing may take twenty.
fn slow_world(files: &[String]) -> FakeWorld {
    let mut world = FakeWorld::new();
    for name in files {
        world.devices.state().record(name, name.as_bytes());
    }
    world.rules.rules.longest_listing = Duration::from_secs(20);
    world.devices.state().pauses_before_each_name = Duration::from_secs(1);
    world
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("f{number:03}")).collect()
}

/// Sweeps until a pass ends well.
fn sweeps_until_all_is_well(world: &FakeWorld) -> usize {
    let is_well = |_: &usize| world.sweep().passes[0].1.outcome == PassOutcome::Well;
    (1..30).find(is_well).unwrap()
}

#[test]
fn a_long_listing_of_files_that_are_kept_comes_to_its_end() {
    let mut world = slow_world(&numbered(0..100));
    world.rules.rules.release = ReleaseRule::Keep;
    sweeps_until_all_is_well(&world);
    assert_eq!(world.in_store().len(), 100);
    world.devices.state().record("new", b"new");
    assert_eq!(sweeps_until_all_is_well(&world), 1);
    assert_eq!((world.in_store().len(), world.on_device().len()), (101, 101));
}

#[test]
fn a_long_listing_of_files_in_a_folder_that_cannot_be_written_comes_to_its_end() {
    let world = slow_world(&numbered(0..100));
    world.devices.state().refuses_renames = Some(FileFaultKind::Permission);
    let gathered = |_: &usize| {
        world.sweep();
        world.in_store().len() == 100
    };
    assert!(
        (1..30).any(|sweep| gathered(&sweep)),
        "{}",
        world.in_store().len()
    );
}

#[test]
fn a_long_listing_of_files_that_are_excluded_comes_to_its_end() {
    let mut world = slow_world(&numbered(0..100));
    world.rules.rules.exclude = Exclude::new(["f*".to_owned()]).unwrap();
    world.devices.state().record("new", b"new");
    assert_eq!(sweeps_until_all_is_well(&world), 1);
    assert_eq!(world.in_store(), [pair("new", "new")]);
}

#[test]
fn markers_do_not_pile_up_at_the_beginning_of_a_long_listing() {
    let mut files = numbered(0..60);
    files.extend(numbered(0..60).iter().map(|name| format!("{name}.done")));
    let mut world = slow_world(&files);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    sweeps_until_all_is_well(&world);
    assert!(world.on_device().is_empty(), "{:?}", world.on_device());
}

#[test]
fn a_ledger_that_is_slow_makes_no_listing_long() {
    let mut world = slow_world(&numbered(0..15));
    world.rules.rules.longest_listing = Duration::from_secs(40);
    *world.ledger.is_slow.lock().unwrap() = Duration::from_secs(10);
    assert_eq!(world.sweep().passes[0].1.outcome, PassOutcome::Well);
    assert!(world.on_device().is_empty());
}

#[test]
fn a_listing_without_end_is_cut_off_though_it_is_never_waited_for() {
    let mut world = slow_world(&[]);
    world.rules.rules.longest_listing = Duration::from_millis(500);
    world.devices.state().invents = Some("ghost");
    let summary = world.sweep();
    let PassOutcome::Failed { class, .. } = &summary.passes[0].1.outcome else {
        panic!("{:?}", summary.passes);
    };
    assert_eq!(*class, FailureClass::Stalled);
}
