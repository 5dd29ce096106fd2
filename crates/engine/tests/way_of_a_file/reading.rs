//! How files are read and proved: together or alone, from the beginning or from where they broke off, in one go or range by range.

use std::time::Duration;

use engine::event::Event;
use engine::fleet::Verdict;
use engine::ports::{Abilities, FileFaultKind, Reason};
use model::{FileState, LeaveReason, WaitReason};

use crate::device::{State, all_abilities};
use crate::vast::VAST;
use crate::{FakeWorld, pair};

/// The size up to which files are read together.
const SMALL: usize = 64 << 10;

const RANGE: u64 = 16 << 20;

#[test]
fn small_files_are_read_together_and_no_larger_ones() {
    let (just_small, larger) = (vec![1; SMALL], vec![2; SMALL + 1]);
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", &just_small), ("c", &larger)]);
    world.sweep();
    assert_eq!(world.states(), [FileState::Released; 3]);
    let mut together = world.devices.state().together.clone();
    together.sort_unstable();
    assert_eq!(together, [3, 64 << 10]);
}

#[test]
fn a_file_that_is_read_alone_goes_on_where_it_broke_off() {
    let larger = vec![b'x'; SMALL + 9];
    let world = FakeWorld::with_files(&[("a", &larger)]);
    *world.store.partial.lock().unwrap() = vec![b'x'; SMALL];
    world.sweep();
    assert_eq!(world.devices.state().offsets, [64 << 10]);
    assert_eq!(world.store.published.lock().unwrap()["a"], larger);
    assert_eq!(resumed(&world), [64 << 10]);
}

/// How many bytes were there of files that were gone on with.
fn resumed(world: &FakeWorld) -> Vec<u64> {
    let events = world.reporter.0.lock().unwrap();
    let resumed = events.iter().filter_map(|event| match event {
        Event::Resumed { bytes, .. } => Some(*bytes),
        _ => None,
    });
    resumed.collect()
}

#[test]
fn what_is_read_together_or_cannot_be_proved_begins_at_its_beginning() {
    let larger = vec![b'x'; SMALL + 9];
    for abilities in [
        all_abilities(),
        Abilities {
            digests: false,
            ..all_abilities()
        },
    ] {
        let is_small = abilities.digests;
        let content = if is_small { &b"one"[..] } else { &larger };
        let world = FakeWorld::with_files(&[("a", content)]);
        world.devices.state().abilities = Some(abilities);
        *world.store.partial.lock().unwrap() = vec![b'x'; 2];
        world.sweep();
        assert_eq!(world.devices.state().offsets, [0]);
        assert_eq!(world.store.published.lock().unwrap()["a"], content);
        assert_eq!(resumed(&world), [0; 0]);
    }
}

#[test]
fn a_file_of_a_gibibyte_is_digested_in_one_go_and_a_larger_one_range_by_range() {
    let world = FakeWorld::new();
    world.devices.state().record_vast("gibibyte", VAST);
    // Ranges without a rest.
    world.devices.state().record_vast("even", VAST * 2);
    // More than is asked for at once, and a last range of five bytes.
    world.devices.state().record_vast("larger", VAST * 4 + 5);
    world.sweep();
    assert_eq!(world.states(), [FileState::Released; 3]);
    let state = world.devices.state();
    let digested = state.digested.iter();
    let parts: Vec<_> = digested.map(|request| (request.offset, request.length)).collect();
    let mut expected: Vec<_> = (0..128).map(|number| (number * RANGE, Some(RANGE))).collect();
    expected.push((0, None));
    expected.extend((0..256).map(|number| (number * RANGE, Some(RANGE))));
    expected.push((256 * RANGE, Some(5)));
    assert!(parts == expected, "{} ranges", parts.len());
    let asked = state.requests.iter().filter(|request| **request == "digest");
    assert_eq!(asked.count(), 4);
}

#[test]
fn a_vast_file_whose_digests_differ_stays() {
    let world = FakeWorld::new();
    world.devices.state().record_vast("vast", VAST + 1);
    world.devices.state().lies_about_digests = true;
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert!(world.in_store().is_empty());
}

#[test]
fn a_file_that_comes_short_is_left_and_somebody_is_told_unless_it_was_written_to() {
    let world = FakeWorld::with_files(&[("a", b"three")]);
    world.devices.state().withholds = 2;
    let summary = world.sweep();
    assert_eq!(summary.verdict(), Verdict::Partial);
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert_eq!(world.details(), ["3 of 5 bytes were there"]);
    assert!(world.in_store().is_empty());
    let write_it = |state: &mut State| state.write("a", b"other");
    world.devices.state().before_next("fetch", write_it);
    let summary = world.sweep();
    assert_eq!(summary.verdict(), Verdict::Well);
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    world.devices.state().withholds = 0;
    world.sweep();
    assert_eq!(world.in_store(), [pair("a", "other")]);
}

#[test]
fn nothing_is_asked_of_a_device_about_a_file_that_came_short_while_others_come() {
    let world = FakeWorld::with_files(&[("a", b"three"), ("b", b"other")]);
    world.devices.state().withholds = 2;
    world.devices.state().pauses_after_each_small_file = Duration::from_secs(1);
    let summary = world.sweep();
    assert_eq!(summary.passes[0].1.standing.as_ref().unwrap().files.len(), 2);
}

#[test]
fn a_file_is_written_as_it_comes_and_its_last_bytes_are_left_to_the_sealing() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.sweep();
    assert_eq!(*world.store.appends.lock().unwrap(), 0);
    assert_eq!(*world.store.sealed_with.lock().unwrap(), [1]);

    let world = FakeWorld::new();
    world.devices.state().record_vast("vast", VAST);
    world.sweep();
    let last = world.store.sealed_with.lock().unwrap()[0];
    assert!((1..=32).contains(&last), "{last} chunks of a thousand were held");
}

#[test]
fn a_file_that_cannot_be_looked_at_after_it_was_read_is_not_claimed_and_the_cause_is_told() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("fetch", |state| {
        state.refuses_looks = Some(("a", FileFaultKind::Permission));
    });
    let summary = world.sweep();
    assert_eq!(
        FakeWorld::reasons(&summary),
        [Reason::Leave(LeaveReason::Unreadable)]
    );
    assert_eq!(world.details(), ["refused"]);

    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("fetch", |state| {
        state.before_next("inspect", |state| state.files.clear());
    });
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.details(), ["it vanished while it was read"]);
    assert!(world.in_store().is_empty());
}
