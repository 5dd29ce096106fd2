//! What the ledger and the reporter are told of a file is what happened to it.

use engine::event::Event;
use engine::ports::{Abilities, CompressionFinding, Placed, PublishFault, Reason};
use model::{LeaveReason, Timestamp, WaitReason};

use crate::FakeWorld;
use crate::device::{NOW, all_abilities};

#[test]
fn the_record_says_whether_the_device_digested_the_file_too() {
    for digests in [true, false] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        world.devices.state().abilities = Some(Abilities {
            digests,
            ..all_abilities()
        });
        world.sweep();
        assert_eq!(world.ledger.rows.lock().unwrap()[0].record.device_digest, digests);
    }
}

#[test]
fn a_file_that_its_device_cannot_digest_waits_and_the_cause_is_told() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().cannot_digest = true;
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert_eq!(world.details(), ["the device could not digest it"]);
    assert!(world.in_store().is_empty());
}

#[test]
fn a_file_that_finds_its_name_taken_is_told_to_be_in_conflict_and_no_other() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    let taken = ("a".to_owned(), b"other".to_vec());
    world.store.published.lock().unwrap().extend([taken]);
    world.sweep();
    let events = world.reporter.0.lock().unwrap();
    let stored = events.iter().filter_map(|event| match event {
        Event::Stored {
            path,
            conflict,
            placed,
            ..
        } => Some((path.to_string(), *conflict, *placed)),
        _ => None,
    });
    let mut stored: Vec<_> = stored.collect();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        stored,
        [("a".into(), true, Placed::New), ("b".into(), false, Placed::New)]
    );
}

#[test]
fn what_was_in_the_store_before_is_recorded_as_such_and_not_counted_as_stored() {
    for was_there in [true, false] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        if was_there {
            let there = ("a".to_owned(), b"one".to_vec());
            world.store.published.lock().unwrap().extend([there]);
        }
        world.sweep();
        assert_eq!(world.ledger.rows.lock().unwrap()[0].record.was_there, was_there);
        let stored = if was_there { (0, 0) } else { (1, 3) };
        assert_eq!(world.ledger.ends.lock().unwrap()[0].stored, stored);
    }
}

#[test]
fn a_file_that_finds_no_name_stays_on_its_device_and_not_in_staging_and_the_cause_is_told() {
    let name = Reason::Leave(LeaveReason::Name);
    for (fault, reason, detail) in [
        (PublishFault::Unacceptable("odd".into()), name, "odd"),
        (
            PublishFault::Failed("moved".into()),
            Reason::Wait(WaitReason::Unproved),
            "moved",
        ),
        (
            PublishFault::Taken,
            name,
            "every name for its content is taken by other content in the store",
        ),
    ] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        *world.store.publish_fault.lock().unwrap() = Some(fault);
        let summary = world.sweep();
        assert_eq!(FakeWorld::reasons(&summary), [reason]);
        assert_eq!(world.details(), [detail]);
        assert_eq!(world.on_device().len(), 1);
        assert!(world.states().is_empty() && world.store.sealed.lock().unwrap().is_empty());
    }
}

#[test]
fn what_is_found_out_about_compression_is_remembered_for_a_day_and_then_measured_again() {
    let found = |paid, hours: i64| CompressionFinding {
        paid,
        at: Timestamp::from_seconds(NOW - hours * 3600),
    };
    let cases = [
        (None, None),
        (Some(found(true, 1)), Some(true)),
        (Some(found(false, 23)), Some(false)),
        (Some(found(true, 25)), None),
        // The collector's clock was set back since.
        (Some(found(true, -2)), None),
    ];
    for (remembered, told) in cases {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        *world.ledger.compression.lock().unwrap() = remembered;
        world.sweep();
        assert_eq!(
            world.devices.state().told_of_compression,
            [told],
            "{remembered:?}"
        );
    }
}

#[test]
fn a_pass_notes_what_its_session_found_out_about_compression() {
    for paid in [None, Some(true), Some(false)] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        world.devices.state().compression_pays = paid;
        world.sweep();
        let ends = world.ledger.ends.lock().unwrap();
        let report = ends[0].report.as_ref().unwrap();
        assert_eq!(report.compression.map(|found| found.paid), paid);
    }
}

#[test]
fn what_other_collectors_have_left_in_the_store_is_told_where_there_is_some() {
    for (files, told) in [(0, vec![]), (3, vec![3])] {
        let world = FakeWorld::new();
        *world.store.foreign_leftovers.lock().unwrap() = files;
        world.sweep();
        let events = world.reporter.0.lock().unwrap();
        let foreign = events.iter().filter_map(|event| match event {
            Event::ForeignStaging { files } => Some(*files),
            _ => None,
        });
        assert_eq!(foreign.collect::<Vec<_>>(), told);
    }
}
