//! What a device or its owner does between the survey and the first byte.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FileState, LeaveReason, WaitReason};

use sim::simulator::device::Request::{Fetch, Inspect, Rename};

use crate::world::{TestWorld, hold, pair, reasons, take_away, write};

#[tokio::test(start_paused = true)]
async fn a_file_that_its_owner_took_away_is_let_go_without_a_word() {
    // Stored and kept by an earlier pass, or not known at all.
    for is_known in [false, true] {
        let mut world = TestWorld::with_files(&[("a", b"one")]);
        if is_known {
            world.rules.rules.release = ReleaseRule::Keep;
            world.sweep().await;
            world.rules.rules.release = ReleaseRule::Delete;
        }
        world.device().before_next(Rename, |device| take_away(device, ""));
        let summary = world.sweep().await;
        assert_eq!(reasons(&summary), []);
        // It is not looked for under other names.
        assert_eq!(world.asked(Rename), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_file_that_its_owner_took_away_is_let_go() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world
        .device()
        .before_next(Inspect, |device| take_away(device, "/a"));
    world.device().faults.refuses_inspect = Some(("b", FileFaultKind::Permission));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::Unreadable)]);
    assert!(world.in_store().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_file_under_the_name_that_was_surveyed_settles_where_it_lies() {
    let world = TestWorld::with_files(&[("a", b"old")]);
    world.device().before_next(Rename, |device| {
        take_away(device, "");
        device.record(b"a", b"new");
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.asked(Fetch), 0);
    world.sweep().await;
    assert_eq!(world.in_store(), [pair("a", "new")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_opened_since_the_survey_is_not_read() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Rename, |device| hold(device, "a"));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Open)]);
    assert_eq!(world.asked(Fetch), 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_renames_nothing_is_asked_no_more_than_helps() {
    for (refusal, reason, renames) in [
        // A place beside the file may be ours to write, and a name beside it needs no folder.
        (FileFaultKind::Permission, LeaveReason::FolderUnwritable, 3),
        // Where the cause is known, no other place helps.
        (FileFaultKind::FolderUnwritable, LeaveReason::FolderUnwritable, 1),
        (FileFaultKind::Immutable, LeaveReason::Immutable, 1),
        (FileFaultKind::Sticky, LeaveReason::Sticky, 1),
        (FileFaultKind::Unsupported, LeaveReason::RenameUnsupported, 2),
        (FileFaultKind::Other, LeaveReason::FolderUnwritable, 3),
    ] {
        let world = TestWorld::with_files(&[("a", b"one")]);
        world.device().faults.refuses_renames = Some(refusal);
        let summary = world.sweep().await;
        assert_eq!(reasons(&summary), [Reason::Leave(reason)]);
        assert_eq!(world.asked(Rename), renames, "{refusal:?}");
        assert_eq!(world.in_store(), [pair("a", "one")]);
        assert_eq!(world.states(), [FileState::Kept]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_withdrawn_folder_is_another_logins_a_hidden_name_does() {
    let world = TestWorld::with_files(&[("a", b"one"), ("day/b", b"two")]);
    world.device().faults.refuses_folders = true;
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 2]);
    assert_eq!(world.on_device(), [""; 0]);
}

fn folders(world: &TestWorld) -> Vec<Vec<u8>> {
    world.device().folders().cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn folders_that_were_made_for_a_rename_are_removed_again() {
    let world = TestWorld::with_files(&[("usb/a", b"one"), ("b", b"two")]);
    world.device().faults.mounted = Some("usb");
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 2]);
    assert_eq!(folders(&world), [b"usb"]);

    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().faults.refuses_renames = Some(FileFaultKind::Permission);
    world.sweep().await;
    assert_eq!(folders(&world), [b""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_file_that_has_grown_is_told() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world
        .device()
        .before_next(Fetch, |device| write(device, "a", b"one more"));
    world.sweep().await;
    let details = world.details();
    let place = details[0].strip_prefix("Grown; it lies at .gleaner-withdrawn/ledger0/");
    assert!(place.is_some_and(|place| place.ends_with("/a")), "{details:?}");

    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world
        .device()
        .before_next(Fetch, |device| write(device, "a", b"one more"));
    world.sweep().await;
    assert_eq!(world.details(), ["Grown"]);
}
