//! How files are read and proved: together or alone, from the start or resumed, whole or range by range.

use engine::event::Event;
use engine::fleet::SweepResult;
use engine::ports::{FileFaultKind, Reason};
use model::{FileState, LeaveReason, WaitReason};
use sim::simulator::device::Request::{Digest, Fetch, Inspect};

use crate::resume::interrupt_fetch;
use crate::world::{TestWorld, overwrite, reasons, remove_files, stored_file};

/// Files up to this size are read together.
const SMALL_FILE_MAX: usize = 64 << 10;

#[tokio::test(start_paused = true)]
async fn only_small_files_are_read_together() {
    let (just_small, larger) = (vec![1; SMALL_FILE_MAX], vec![2; SMALL_FILE_MAX + 1]);
    let world = TestWorld::with_files(&[("a", b"one"), ("b", &just_small), ("c", &larger)]);
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 3]);
    let mut together = world.device().requests.together.clone();
    together.sort_unstable();
    assert_eq!(together, [3, 64 << 10]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_read_alone_resumes_where_it_stopped() {
    let larger = "x".repeat(SMALL_FILE_MAX + 9);
    let world = TestWorld::with_files(&[("a", larger.as_bytes())]);
    interrupt_fetch(&world).await;
    world.sweep().await;
    let offsets = world.device().requests.offsets.clone();
    assert!(offsets.len() == 2 && offsets[1] > 30_000, "{offsets:?}");
    assert_eq!(world.in_store(), [stored_file("a", &larger)]);
    assert_eq!(resumed(&world), [offsets[1]]);
}

/// The bytes present of each resumed file.
fn resumed(world: &TestWorld) -> Vec<u64> {
    let events = world.events();
    let resumed = events.iter().filter_map(|event| match event {
        Event::Resumed { bytes, .. } => Some(*bytes),
        _ => None,
    });
    resumed.collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_read_together_or_without_digests_restarts_from_zero() {
    for (digests, size) in [(true, SMALL_FILE_MAX), (false, SMALL_FILE_MAX + 9)] {
        let content = "x".repeat(size);
        let world = TestWorld::with_files(&[("a", content.as_bytes())]);
        world.device().abilities.digests = digests;
        interrupt_fetch(&world).await;
        world.sweep().await;
        assert_eq!(world.device().requests.offsets, [0, 0]);
        assert_eq!(world.in_store(), [stored_file("a", &content)]);
        assert_eq!(resumed(&world), [0; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_of_64_ranges_is_digested_whole_and_a_larger_one_by_range() {
    let (whole, range) = (vec![b'x'; 64 * 4096], Some(4096));
    let world = TestWorld::with_files(&[
        ("64", &whole),
        // Whole ranges only.
        ("even", &whole.repeat(2)),
        // More ranges than one request holds, and a last range of five bytes.
        ("larger", &[&whole.repeat(4)[..], b"xxxxx"].concat()),
    ]);
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Released; 3]);
    let mut expected = vec![(0, None)];
    expected.extend((0..128).map(|number| (number * 4096, range)));
    expected.extend((0..256).map(|number| (number * 4096, range)));
    expected.push((256 * 4096, Some(5)));
    let digested = world.device().requests.digested.clone();
    assert!(digested == expected, "{} ranges", digested.len());
    assert_eq!(world.request_count(Digest), 4);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_many_ranges_stays_if_one_digest_differs() {
    let world = TestWorld::with_files(&[("a", &vec![b'x'; 65 * 4096])]);
    world.device().wrong_digests = 1;
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert!(world.in_store().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_ends_early_is_a_fault_unless_it_was_written_to() {
    let world = TestWorld::with_files(&[("a", b"three")]);
    world.device().faults.withholds = 2;
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Partial);
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert_eq!(world.details(), ["3 of 5 bytes were there"]);
    assert!(world.in_store().is_empty());
    world
        .device()
        .before_next(Fetch, |device| overwrite(device, "/a", b"other"));
    let summary = world.sweep().await;
    assert_eq!(summary.result(), SweepResult::Well);
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    world.device().faults.withholds = 0;
    world.sweep().await;
    assert_eq!(world.in_store(), [stored_file("a", "other")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_ended_early_is_inspected_only_after_all_others_arrived() {
    let names = ["a", "b", "c", "d", "e"];
    let world = TestWorld::with_files(&names.map(|name| (name, &[7; 1000][..])));
    world.device().faults.withholds = 2;
    // Each file takes as long as four requests.
    world.sim.links[0].slow_down(1000);
    let summary = world.sweep().await;
    assert_eq!(summary.passes[0].1.remaining.as_ref().unwrap().files.len(), 5);
    let mut requests = world.device().requests.begun.clone();
    requests.retain(|request| [Inspect, Fetch].contains(request));
    assert_eq!(requests, [Inspect, Fetch, Fetch, Fetch, Fetch, Fetch, Inspect]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_written_as_it_arrives_and_its_last_bytes_when_sealed() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.sweep().await;
    assert_eq!(world.store().appends, 0);
    assert_eq!(world.store().chunks_at_seal, [1]);

    let world = TestWorld::with_files(&[("a", &vec![0; 4 << 20])]);
    world.sweep().await;
    let last = world.store().chunks_at_seal[0];
    assert!((1..=32).contains(&last), "{last} chunks of a thousand were held");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_inspected_after_it_was_read_is_not_stored() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.faults.refuses_inspect = Some(("a", FileFaultKind::Permission));
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::Unreadable)]);
    assert_eq!(world.details(), ["Permission"]);

    let world = TestWorld::with_files(&[("a", b"one")]);
    world.device().before_next(Fetch, |device| {
        device.before_next(Inspect, |device| remove_files(device, ""));
    });
    let summary = world.sweep().await;
    assert_eq!(reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.details(), ["it was removed while it was read"]);
    assert!(world.in_store().is_empty());
}
