//! Changes on the device between the survey and the first received byte.

use engine::ports::{FileFaultKind, Reason};
use engine::rules::ReleaseRule;
use model::{FileState, LeaveReason, WaitReason};

use sim::simulator::device::Request::{Fetch, Inspect, Rename};

use crate::world::{TestWorld, open_for_writing, overwrite, reasons, remove_files, stored_file};

#[tokio::test(start_paused = true)]
async fn a_file_removed_by_its_owner_is_not_reported() {
    // Stored and kept by an earlier pass, or not known at all.
    for is_known in [false, true] {
        let mut world = TestWorld::with_files(&[("a", b"one")]);
        if is_known {
            world.rules.rules.release = ReleaseRule::Keep;
            world.sweep().await;
            world.rules.rules.release = ReleaseRule::Delete;
        }
        world
            .device()
            .before_next(Rename, |device| remove_files(device, ""));
        let summary = world.sweep().await;
        assert_eq!(reasons(&summary), []);
        // gleaner does not try to rename it to other places.
        assert_eq!(world.request_count(Rename), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_file_removed_by_its_owner_is_not_reported() {
    let world = TestWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world
        .device()
        .before_next(Inspect, |device| remove_files(device, "/a"));
    world.device().faults.refuses_inspect = Some(("b", FileFaultKind::Permission));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::Unreadable)]);
    assert!(world.in_store().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_file_under_the_surveyed_name_settles_at_its_path() {
    let world = TestWorld::with_files(&[("a", b"old")]);
    world.device().before_next(Rename, |device| {
        remove_files(device, "");
        device.record(b"a", b"new");
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.request_count(Fetch), 0);
    world.sweep().await;
    assert_eq!(world.in_store(), [stored_file("a", "new")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_opened_since_the_survey_is_not_read() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world
        .device()
        .before_next(Rename, |device| open_for_writing(device, "a"));
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Open)]);
    assert_eq!(world.request_count(Fetch), 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_refuses_renames_receives_no_useless_requests() {
    for (refusal, reason, renames) in [
        // The file's own folder may be writable, and a hidden name needs no folder.
        (FileFaultKind::Permission, LeaveReason::FolderUnwritable, 3),
        // The cause is known, so no other place helps.
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
        assert_eq!(world.request_count(Rename), renames, "{refusal:?}");
        assert_eq!(world.in_store(), [stored_file("a", "one")]);
        assert_eq!(world.states(), [FileState::Kept]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hidden_name_is_used_if_the_withdrawn_folder_is_another_logins() {
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
async fn folders_created_for_a_rename_are_removed_again() {
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
async fn the_path_of_a_file_that_has_grown_is_reported() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world
        .device()
        .before_next(Fetch, |device| overwrite(device, "a", b"one more"));
    world.sweep().await;
    let details = world.details();
    let path = details[0].strip_prefix("Grown; the file is at .gleaner-withdrawn/ledger0/");
    assert!(path.is_some_and(|path| path.ends_with("/a")), "{details:?}");

    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    world
        .device()
        .before_next(Fetch, |device| overwrite(device, "a", b"one more"));
    world.sweep().await;
    assert_eq!(world.details(), ["Grown"]);
}
