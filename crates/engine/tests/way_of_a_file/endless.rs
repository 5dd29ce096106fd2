//! A listing that never comes to its end: what it has named is gathered, and nothing is concluded from what it has not named.

use std::time::Duration;

use engine::ports::{DeviceFailure, Others, PassOutcome};
use engine::rules::Mode;
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
