//! What a device or its owner does between the survey and the first byte.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FileState, LeaveReason, WaitReason};

use crate::{FakeWorld, pair};

fn asked(world: &FakeWorld, request: &str) -> usize {
    let state = world.devices.state();
    state.requests.iter().filter(|asked| **asked == request).count()
}

#[test]
fn a_file_that_its_owner_took_away_is_let_go_without_a_word() {
    // Stored and kept by an earlier pass, or not known at all.
    for is_known in [false, true] {
        let mut world = FakeWorld::with_files(&[("a", b"one")]);
        if is_known {
            world.rules.rules.release = ReleaseRule::Keep;
            world.sweep();
            world.rules.rules.release = ReleaseRule::Delete;
        }
        world.devices.state().before_next("rename", |state| {
            state.files.clear();
        });
        let summary = world.sweep();
        assert_eq!(FakeWorld::reasons(&summary), []);
        // It is not looked for under other names.
        assert_eq!(asked(&world, "rename"), 1);
    }
}

#[test]
fn a_withdrawn_file_that_its_owner_took_away_is_let_go_and_one_that_cannot_be_looked_at_is_told() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.devices.state().before_next("inspect", |state| {
        state.files.retain(|path, _| !path.ends_with("/a"));
    });
    world.devices.state().refuses_looks = Some(("b", FileFaultKind::Permission));
    let summary = world.sweep();
    assert_eq!(
        FakeWorld::reasons(&summary),
        [Reason::Leave(LeaveReason::Unreadable)]
    );
    assert!(world.in_store().is_empty());
}

#[test]
fn another_file_under_the_name_that_was_surveyed_settles_where_it_lies() {
    let world = FakeWorld::with_files(&[("a", b"old")]);
    world.devices.state().before_next("rename", |state| {
        state.files.clear();
        state.record("a", b"new");
    });
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(asked(&world, "fetch"), 0);
    world.sweep();
    assert_eq!(world.in_store(), [pair("a", "new")]);
}

#[test]
fn a_file_that_was_opened_since_the_survey_is_not_read() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("rename", |state| {
        state.open.insert(1);
    });
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Open)]);
    assert_eq!(asked(&world, "fetch"), 0);
}

#[test]
fn a_device_that_renames_nothing_is_asked_no_more_than_helps_and_the_reason_told() {
    for (refusal, reason, renames) in [
        // A place beside the file may be another's to write; a third try would be for want of room.
        (FileFaultKind::Permission, LeaveReason::FolderUnwritable, 2),
        (FileFaultKind::Unsupported, LeaveReason::RenameUnsupported, 2),
        (FileFaultKind::Other, LeaveReason::FolderUnwritable, 3),
    ] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        world.devices.state().refuses_renames = Some(refusal);
        let summary = world.sweep();
        assert_eq!(FakeWorld::reasons(&summary), [Reason::Leave(reason)]);
        assert_eq!(asked(&world, "rename"), renames, "{refusal:?}");
        assert_eq!(world.in_store(), [pair("a", "one")]);
        assert_eq!(world.states(), [FileState::Kept]);
    }
}

#[test]
fn folders_that_were_made_for_a_rename_are_removed_again_whether_it_worked_or_not() {
    let world = FakeWorld::with_files(&[("usb/a", b"one"), ("b", b"two")]);
    world.devices.state().mounted = Some("usb");
    world.sweep();
    assert_eq!(world.states(), [FileState::Released; 2]);
    let left = world.devices.state().folders.clone();
    assert!(left.iter().all(|folder| !folder.contains(".gleaner")), "{left:?}");

    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().refuses_renames = Some(FileFaultKind::Permission);
    world.devices.state().makes_folders_in_vain = true;
    world.sweep();
    assert_eq!(world.devices.state().folders.len(), 0);
}

#[test]
fn who_is_to_mend_a_file_is_told_where_it_lies() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("fetch", |state| {
        state.files.values_mut().for_each(|file| file.identity.size += 1);
    });
    world.sweep();
    let details = world.details();
    let place = details[0].strip_prefix("has grown; it lies at .gleaner-withdrawn/ours/");
    assert!(place.is_some_and(|place| place.ends_with("/a")), "{details:?}");

    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world.devices.state().before_next("fetch", |state| {
        state.files.values_mut().for_each(|file| file.identity.size += 1);
    });
    world.sweep();
    assert_eq!(world.details(), ["has grown"]);
}
