//! A listing that never ends: files that were listed are gathered, and files that were not listed are not
//! considered gone.

use std::time::Duration;

use engine::exclude::Exclude;
use engine::ports::{DeviceFailure, FileFaultKind, PassOutcome, Reason};
use engine::rules::{Mode, ReleaseRule};
use model::{FailureClass, FileState, SourcePath, WaitReason};
use sim::simulator::device::DeviceFaults;
use sim::simulator::device::Request::{Remove, Survey};

use crate::world::{TestWorld, reasons, stored_file};

/// Enough time to list all present files.
const SHORT_LISTING: Duration = Duration::from_millis(20);

fn world_with_endless_listing(files: &[(&str, &[u8])]) -> TestWorld {
    let mut world = TestWorld::with_files(files);
    world.rules.rules.max_listing_time = SHORT_LISTING;
    world.device().faults.lists_without_end = true;
    world
}

#[tokio::test(start_paused = true)]
async fn files_listed_by_an_endless_listing_are_gathered() {
    let world = world_with_endless_listing(&[("a", b"one")]);
    let summary = world.sweep().await;
    let pass = &summary.passes[0].1;
    assert!(matches!(
        pass.outcome,
        PassOutcome::Failed {
            class: FailureClass::Stalled,
            ..
        }
    ));
    assert_eq!(pass.remaining, None, "the remaining files are not known");
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![stored_file("a", "one")])
    );
}

#[tokio::test(start_paused = true)]
async fn files_listed_before_a_listing_was_given_up_are_gathered() {
    let mut world = TestWorld::with_files(&[("a", b"one")]);
    world.rules.sources.push(SourcePath::new("/films").unwrap());
    world.device().faults.gives_up_listing = Some(DeviceFailure::new(FailureClass::Protocol, "too much"));
    let summary = world.sweep().await;
    let outcome = &summary.passes[0].1.outcome;
    let expected = PassOutcome::Failed {
        class: FailureClass::Protocol,
        message: "too much; the files listed so far were gathered".into(),
        remedy: None,
    };
    assert_eq!(*outcome, expected);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![stored_file("a", "one")])
    );
    assert_eq!(world.request_count(Survey), 2, "the next source is surveyed too");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_does_not_claim_that_files_were_gathered() {
    let world = world_with_endless_listing(&[("a", b"one")]);
    let summary = world.sweep_in(Mode::DryRun).await;
    let PassOutcome::Failed { message, .. } = &summary.passes[0].1.outcome else {
        panic!("{:?}", summary.passes);
    };
    assert!(
        message.ends_with("; a sweep would gather the files listed so far"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn files_not_listed_by_an_endless_listing_are_not_considered_gone() {
    let world = world_with_endless_listing(&[("a", b"one")]);
    world.fail_session_at((Remove, FailureClass::Stalled));
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Stored]);
    world.fail_session_at(None);
    world.device().faults.pause_before_each_name = SHORT_LISTING * 2;
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Stored]);
    world.device().faults.pause_before_each_name = Duration::ZERO;
    world.sweep().await;
    assert_eq!(
        (world.on_device(), world.states()),
        (Vec::new(), vec![FileState::Released])
    );
}

#[tokio::test(start_paused = true)]
async fn a_marker_whose_file_was_not_listed_stays() {
    let mut world = world_with_endless_listing(&[("a.done", b""), ("b", b"two"), ("b.done", b"")]);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    world.sweep().await;
    assert_eq!(world.on_device(), ["a.done", "b.done"]);
    world.device().faults.lists_without_end = false;
    world.sweep().await;
    assert!(world.on_device().is_empty());
}

#[tokio::test(start_paused = true)]
async fn files_not_listed_by_an_endless_listing_keep_their_sightings() {
    let waits = vec![Reason::Wait(WaitReason::ClockUntrusted)];
    for (is_cut, left) in [(true, vec![]), (false, waits.clone())] {
        let mut world = TestWorld::new();
        world.rules.rules.max_listing_time = SHORT_LISTING;
        world.record_in_the_future(0, "day/a");
        assert_eq!(reasons(&world.sweep().await), waits);
        // One listing does not contain the file. If that listing was complete, the file was gone, and the
        // next look counts as the first.
        if is_cut {
            world.device().faults.pause_before_each_name = SHORT_LISTING * 2;
        } else {
            world.device().faults.unlistable = Some("day");
        }
        world.sweep().await;
        world.device().faults = DeviceFaults::default();
        assert_eq!(reasons(&world.sweep().await), left);
    }
}

/// A device that lists one file a second, with a limit of twenty seconds for a listing.
fn slow_world(files: &[String]) -> TestWorld {
    let mut world = TestWorld::new();
    for name in files {
        world.sim.record(0, name, name.as_bytes());
    }
    world.rules.rules.max_listing_time = Duration::from_secs(20);
    world.device().faults.pause_before_each_name = Duration::from_secs(1);
    world
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("f{number:03}")).collect()
}

/// Sweeps until a pass ends well. Returns the number of sweeps.
async fn sweep_until_well(world: &TestWorld) -> usize {
    let mut sweeps = 1;
    while world.sweep().await.passes[0].1.outcome != PassOutcome::Well {
        sweeps += 1;
        assert!(sweeps < 30);
    }
    sweeps
}

#[tokio::test(start_paused = true)]
async fn a_long_listing_of_kept_files_is_completed() {
    let mut world = slow_world(&numbered(0..100));
    world.rules.rules.release = ReleaseRule::Keep;
    sweep_until_well(&world).await;
    assert_eq!(world.in_store().len(), 100);
    world.sim.record(0, "new", b"new");
    assert_eq!(sweep_until_well(&world).await, 1);
    assert_eq!((world.in_store().len(), world.on_device().len()), (101, 101));
}

#[tokio::test(start_paused = true)]
async fn a_long_listing_of_files_that_cannot_be_renamed_is_completed() {
    let world = slow_world(&numbered(0..100));
    world.device().faults.refuses_renames = Some(FileFaultKind::Permission);
    let mut sweeps = 0;
    while world.in_store().len() < 100 {
        world.sweep().await;
        sweeps += 1;
        assert!(sweeps < 30, "{}", world.in_store().len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_listing_of_excluded_files_is_completed() {
    let mut world = slow_world(&numbered(0..100));
    world.rules.rules.exclude = Exclude::new(["f*".to_owned()]).unwrap();
    world.sim.record(0, "new", b"new");
    assert_eq!(sweep_until_well(&world).await, 1);
    assert_eq!(world.in_store(), [stored_file("new", "new")]);
}

#[tokio::test(start_paused = true)]
async fn markers_do_not_pile_up_at_the_start_of_a_long_listing() {
    let mut files = numbered(0..60);
    files.extend(numbered(0..60).iter().map(|name| format!("{name}.done")));
    let mut world = slow_world(&files);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    sweep_until_well(&world).await;
    // A marker is gathered in the sweep after its file. The markers of one plan, ten files, may be left for
    // the next sweep.
    assert!(world.on_device().len() <= 10, "{:?}", world.on_device());
    world.sweep().await;
    assert!(world.on_device().is_empty(), "{:?}", world.on_device());
}

#[tokio::test(start_paused = true)]
async fn a_slow_ledger_does_not_count_against_the_listing_time() {
    let mut world = slow_world(&numbered(0..15));
    world.rules.rules.max_listing_time = Duration::from_secs(40);
    world.ledger().slow_down(Duration::from_secs(10));
    assert_eq!(world.sweep().await.passes[0].1.outcome, PassOutcome::Well);
    assert!(world.on_device().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_endless_listing_that_never_pauses_is_cut_off() {
    let mut world = slow_world(&[]);
    world.rules.rules.max_listing_time = Duration::from_millis(500);
    world.device().faults.invents = Some("ghost");
    let summary = world.sweep().await;
    let PassOutcome::Failed { class, .. } = &summary.passes[0].1.outcome else {
        panic!("{:?}", summary.passes);
    };
    assert_eq!(*class, FailureClass::Stalled);
}
