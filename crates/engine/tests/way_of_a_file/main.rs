//! The engine on devices, a store and a ledger in memory: what must hold whatever happens between two of its steps.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it is surprised"
)]

mod device;
mod endless;
mod home;
mod naming;
mod reading;
mod releasing;
mod resume;
mod room;
mod suspects;
mod telling;
mod turns;
mod vast;
mod withdrawing;

use std::time::Duration;

use engine::event::Event;
use engine::exclude::Exclude;
use engine::fleet::{Bounds, SweepSummary, Verdict, sweep};
use engine::oldest::PlanBytes;
use engine::placement::{Layout, LayoutPart, NameRule};
use engine::ports::{Abilities, FileFaultKind, PassOutcome, Reason};
use engine::rules::{DeviceRules, Mode, ReleaseRule, Rules};
use engine::world::{Stop, World};
use model::{DeviceName, FailureClass, FileState, LeaveReason, SourcePath, WaitReason};

use device::{FakeDevices, all_abilities};
use home::{FakeClock, FakeLedger, FakeReporter, FakeStore};

/// Plans of ten files.
fn short_plans() -> Bounds {
    Bounds {
        plans: PlanBytes {
            own: 1_600,
            shared: 0,
            ..PlanBytes::default()
        },
        ..Bounds::with_parallel(1)
    }
}

#[derive(Clone)]
struct FakeWorld {
    devices: FakeDevices,
    store: FakeStore,
    ledger: FakeLedger,
    reporter: FakeReporter,
    rules: DeviceRules,
}

impl World for FakeWorld {
    type Devices = FakeDevices;
    type Store = FakeStore;
    type Ledger = FakeLedger;
    type Clock = FakeClock;
    type Reporter = FakeReporter;

    fn devices(&self) -> &FakeDevices {
        &self.devices
    }
    fn store(&self) -> &FakeStore {
        &self.store
    }
    fn ledger(&self) -> &FakeLedger {
        &self.ledger
    }
    fn clock(&self) -> &FakeClock {
        &FakeClock
    }
    fn reporter(&self) -> &FakeReporter {
        &self.reporter
    }
}

impl FakeWorld {
    fn new() -> Self {
        let rules = Rules {
            settle: Duration::from_secs(30),
            longest_listing: Duration::from_mins(15),
            settle_blind: Duration::from_mins(10),
            exclude: Exclude::default(),
            done_suffix: None,
            release: ReleaseRule::Delete,
            prune_empty: false,
            layout: Layout {
                parts: vec![LayoutPart::Path],
            },
            names: NameRule::Bytes,
        };
        let (name, sources) = (
            DeviceName::new("bee").unwrap(),
            vec![SourcePath::new("/photos").unwrap()],
        );
        Self {
            devices: FakeDevices::default(),
            store: FakeStore::default(),
            ledger: FakeLedger::default(),
            reporter: FakeReporter::default(),
            rules: DeviceRules { name, sources, rules },
        }
    }

    fn with_files(files: &[(&str, &[u8])]) -> Self {
        let world = Self::new();
        for (path, content) in files {
            world.devices.state().record(path, content);
        }
        world
    }

    fn run(&self, mode: Mode) -> SweepSummary {
        self.visit(std::slice::from_ref(&self.rules), Bounds::with_parallel(4), mode)
    }

    fn visit(&self, devices: &[DeviceRules], bounds: Bounds, mode: Mode) -> SweepSummary {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // No time passes but what is slept.
            .start_paused(true)
            .build()
            .unwrap();
        runtime
            .block_on(sweep(self, devices, bounds, mode, &Stop::default()))
            .unwrap()
    }

    fn sweep(&self) -> SweepSummary {
        self.run(Mode::Act)
    }

    fn on_device(&self) -> Vec<String> {
        self.devices.state().files.keys().cloned().collect()
    }

    fn in_store(&self) -> Vec<(String, String)> {
        let published = self.store.published.lock().unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        published
            .iter()
            .map(|(name, bytes)| (name.clone(), text(bytes)))
            .collect()
    }

    fn states(&self) -> Vec<FileState> {
        self.ledger
            .rows
            .lock()
            .unwrap()
            .iter()
            .map(|row| row.state)
            .collect()
    }

    /// What was said of the files that were left.
    fn details(&self) -> Vec<String> {
        let events = self.reporter.0.lock().unwrap();
        let left = events.iter().filter_map(|event| match event {
            Event::LeftBehind { detail, .. } => detail.clone(),
            _ => None,
        });
        left.collect()
    }

    fn reasons(summary: &SweepSummary) -> Vec<Reason> {
        let standing = summary.passes[0].1.standing.as_ref().unwrap();
        standing.totals.iter().map(|(reason, ..)| *reason).collect()
    }
}

fn pair(name: &str, content: &str) -> (String, String) {
    (name.into(), content.into())
}

#[test]
fn a_finished_file_comes_home_and_leaves_its_device() {
    let world = FakeWorld::with_files(&[("day/a", b"one"), ("b", b"two"), ("empty", b"")]);
    let summary = world.sweep();
    assert_eq!(summary.verdict(), Verdict::Well);
    assert_eq!(world.on_device(), [""; 0]);
    assert_eq!(
        world.in_store(),
        [pair("b", "two"), pair("day/a", "one"), pair("empty", "")]
    );
    assert_eq!(world.states(), [FileState::Released; 3]);
    assert!(world.store.sealed.lock().unwrap().is_empty());
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    assert_eq!(world.run(Mode::DryRun).verdict(), Verdict::Well);
    assert_eq!(world.on_device(), ["a"]);
    assert!(world.in_store().is_empty() && world.states().is_empty());
    assert_eq!(world.devices.state().requests, ["connect", "survey"]);
    assert!(world.ledger.ends.lock().unwrap().is_empty());
}

#[test]
fn a_write_just_before_the_release_keeps_the_file_and_both_versions_come_home() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    // The third look is that of the release.
    world.devices.state().before_next("inspect", |state| {
        state.before_next("inspect", |state| {
            state.before_next("inspect", |state| state.write("/a", b"one and more"));
        });
    });
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Changed)]);
    assert_eq!(world.on_device().len(), 1);
    world.sweep();
    assert_eq!(world.on_device(), [""; 0]);
    let contents: Vec<String> = world.in_store().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, ["one", "one and more"]);
}

#[test]
fn a_write_while_it_is_fetched_is_noticed_though_size_and_mtime_stay() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().before_next("fetch", |state| {
        state.before_next("inspect", |state| state.write("/a", b"two"));
    });
    world.sweep();
    assert!(world.in_store().is_empty(), "{:?}", world.in_store());
    world.sweep();
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "two")], Vec::new())
    );
}

#[test]
fn a_name_used_again_between_survey_and_withdrawal_loses_neither_file() {
    let world = FakeWorld::with_files(&[("a", b"old")]);
    world.devices.state().before_next("rename", |state| {
        let old = state.files.remove("a").unwrap();
        state.files.insert("a.1".into(), old);
        state.record("a", b"new");
    });
    world.sweep();
    world.sweep();
    assert_eq!(world.in_store(), [pair("a", "new"), pair("a.1", "old")]);
    assert_eq!(world.on_device(), [""; 0]);
}

#[test]
fn a_name_used_again_after_the_withdrawal_is_another_file() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world
        .devices
        .state()
        .before_next("fetch", |state| state.record("a", b"two"));
    world.sweep();
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], vec!["a".into()])
    );
    world.sweep();
    let stored = world.in_store();
    assert_eq!(stored[0], pair("a", "one"));
    assert!(
        stored[1].0.starts_with("a~") && stored[1].1 == "two",
        "{stored:?}"
    );
    assert_eq!(world.on_device(), [""; 0]);
}

#[test]
fn an_open_file_stays_where_it_is() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().open.insert(1);
    let summary = world.sweep();
    assert_eq!(
        (FakeWorld::reasons(&summary), world.on_device()),
        (vec![Reason::Wait(WaitReason::Open)], vec!["a".into()])
    );
}

#[test]
fn a_file_that_is_opened_while_it_is_fetched_is_not_released() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world
        .devices
        .state()
        .before_next("fetch", |state| state.open.extend([1]));
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Open)]);
    assert_eq!(world.on_device().len(), 1);
}

#[test]
fn a_device_whose_digest_differs_keeps_its_file() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().lies_about_digests = true;
    let summary = world.sweep();
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::Unproved)]);
    assert!(world.in_store().is_empty() && world.store.sealed.lock().unwrap().is_empty());
    world.devices.state().lies_about_digests = false;
    world.sweep();
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], Vec::new())
    );
}

#[test]
fn a_row_of_an_earlier_pass_is_no_proof() {
    for (name, damage) in [("moved away", None), ("altered", Some(b"other".to_vec()))] {
        let world = FakeWorld::with_files(&[("a", b"one")]);
        world.devices.state().fails_at = Some(("remove", FailureClass::Protocol));
        assert_eq!(world.sweep().verdict(), Verdict::Partial);
        assert_eq!(world.states(), [FileState::Stored], "{name}");
        world.devices.state().fails_at = None;
        let mut published = world.store.published.lock().unwrap();
        match damage {
            None => drop(published.remove("a")),
            Some(bytes) => drop(published.insert("a".into(), bytes)),
        }
        drop(published);
        world.sweep();
        assert_eq!(world.on_device(), [""; 0], "{name}");
        assert!(
            world.in_store().iter().any(|(_, content)| content == "one"),
            "{name}: {:?}",
            world.in_store()
        );
    }
}

#[test]
fn a_recorded_file_is_released_without_being_fetched_again() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("remove", FailureClass::Stalled));
    world.sweep();
    world.devices.state().fails_at = None;
    world.devices.state().requests.clear();
    world.sweep();
    assert_eq!(
        (world.on_device(), world.states()),
        (Vec::new(), vec![FileState::Released])
    );
    assert!(!world.devices.state().requests.contains(&"fetch"));
}

#[test]
fn the_record_of_a_removal_that_could_not_be_noted_is_brought_up_to_date() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().fails_at = Some(("remove", FailureClass::Stalled));
    world.sweep();
    world.devices.state().fails_at = None;
    world.devices.state().files.clear();
    world.sweep();
    assert_eq!(world.states(), [FileState::Released]);
}

#[test]
fn a_folder_that_cannot_be_written_is_stored_once_and_reported_each_time() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().refuses_renames = Some(FileFaultKind::Permission);
    for _ in 0..3 {
        let summary = world.sweep();
        assert_eq!(summary.verdict(), Verdict::Partial);
        assert_eq!(
            FakeWorld::reasons(&summary),
            [Reason::Leave(LeaveReason::FolderUnwritable)]
        );
    }
    assert_eq!(
        (world.states(), world.on_device()),
        (vec![FileState::Kept], vec!["a".into()])
    );
    let fetches = world
        .devices
        .state()
        .requests
        .iter()
        .filter(|request| **request == "fetch")
        .count();
    assert_eq!(fetches, 1);
    world.devices.state().refuses_renames = None;
    world.sweep();
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
    assert_eq!(world.states(), [FileState::Released; 2]);
}

#[test]
fn what_the_rules_keep_is_stored_once_and_stays_in_place() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world.rules.rules.release = ReleaseRule::Keep;
    for _ in 0..2 {
        let summary = world.sweep();
        assert_eq!(summary.verdict(), Verdict::Well);
        assert_eq!(
            FakeWorld::reasons(&summary),
            [Reason::Leave(LeaveReason::KeptByRule)]
        );
    }
    assert_eq!(
        (world.states(), world.on_device()),
        (vec![FileState::Kept], vec!["a".into()])
    );
    assert!(!world.devices.state().requests.contains(&"rename"));
}

#[test]
fn what_cannot_be_read_together_with_others_is_read_by_itself() {
    let large = vec![7; 100_000];
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"four"), ("c", b""), ("d", &large)]);
    world.devices.state().passes_over.insert(4);
    world.sweep();
    assert_eq!(world.states(), [FileState::Released; 4]);
    assert!(world.on_device().is_empty());
    let state = world.devices.state();
    let asked = |request| state.requests.iter().filter(|asked| **asked == request).count();
    assert_eq!((asked("fetch_together"), asked("fetch")), (1, 4));
    drop(state);

    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().abilities = Some(Abilities {
        reads_together: false,
        ..all_abilities()
    });
    world.sweep();
    assert_eq!(world.states(), [FileState::Released]);
    assert!(!world.devices.state().requests.contains(&"fetch_together"));
}

#[test]
fn a_device_without_atomic_rename_keeps_what_is_stored() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    world.devices.state().abilities = Some(Abilities {
        renames_atomically: false,
        ..all_abilities()
    });
    let summary = world.sweep();
    assert_eq!(
        FakeWorld::reasons(&summary),
        [Reason::Leave(LeaveReason::RenameUnsupported)]
    );
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], vec!["a".into()])
    );
}

#[test]
fn a_full_store_ends_the_sweep_without_loss_and_the_next_goes_on() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    *world.store.full.lock().unwrap() = true;
    let summary = world.sweep();
    assert_eq!(summary.verdict(), Verdict::Partial);
    assert!(matches!(
        summary.passes[0].1.outcome,
        PassOutcome::HomeFailed { .. }
    ));
    assert!(world.in_store().is_empty() && world.on_device().len() == 1);
    *world.store.full.lock().unwrap() = false;
    world.sweep();
    assert_eq!(
        (world.in_store(), world.on_device()),
        (vec![pair("a", "one")], Vec::new())
    );
}

#[test]
fn a_marker_says_which_files_are_done_and_goes_after_its_file() {
    let mut world = FakeWorld::with_files(&[("a", b"one"), ("a.done", b""), ("b", b"two")]);
    world.rules.rules.done_suffix = Some(b".done".to_vec());
    let summary = world.sweep();
    assert_eq!(
        FakeWorld::reasons(&summary),
        [Reason::Wait(WaitReason::NotMarkedDone)]
    );
    assert_eq!(world.on_device(), ["a.done", "b"]);
    world.sweep();
    assert_eq!(world.on_device(), ["b"]);
}

#[test]
fn a_device_that_fails_at_any_step_loses_nothing_and_the_next_pass_goes_on() {
    for step in [
        "connect",
        "survey",
        "rename",
        "inspect",
        "fetch",
        "digest",
        "remove",
        "remove_folders",
    ] {
        let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
        world.devices.state().fails_at = Some((step, FailureClass::TunnelDown));
        assert_eq!(world.sweep().verdict(), Verdict::Unreachable, "{step}");
        for content in ["one", "two"] {
            let on_device = world
                .devices
                .state()
                .files
                .values()
                .any(|file| file.content == content.as_bytes());
            assert!(
                on_device || world.in_store().iter().any(|(_, stored)| stored == content),
                "{step}: {content}"
            );
        }
        world.devices.state().fails_at = None;
        world.sweep();
        world.sweep();
        assert_eq!(
            (world.on_device(), world.in_store().len()),
            (Vec::new(), 2),
            "{step}"
        );
        assert!(
            world.states().iter().all(|state| *state == FileState::Released),
            "{step}"
        );
    }
}

#[test]
fn a_file_that_is_larger_than_the_room_holds_up_no_other() {
    let world = FakeWorld::with_files(&[("a-large", b"much too large"), ("b", b"two")]);
    *world.store.room.lock().unwrap() = Some(5);
    let summary = world.sweep();
    assert_eq!(summary.verdict(), Verdict::Partial);
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Wait(WaitReason::NoRoom)]);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (vec!["a-large".into()], vec![pair("b", "two")])
    );
}

#[test]
fn a_device_that_is_full_is_emptied_all_the_same() {
    let world = FakeWorld::with_files(&[("day/a", b"one"), ("b", b"two")]);
    world.devices.state().full = true;
    assert_eq!(world.sweep().verdict(), Verdict::Well);
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("b", "two"), pair("day/a", "one")])
    );
}

#[test]
fn a_source_that_is_missing_holds_up_no_other() {
    let mut world = FakeWorld::with_files(&[("a", b"one")]);
    world
        .rules
        .sources
        .insert(0, SourcePath::new("/missing").unwrap());
    world.devices.state().missing_sources.push("/missing".into());
    let summary = world.sweep();
    assert!(matches!(
        summary.passes[0].1.outcome,
        PassOutcome::Failed {
            class: FailureClass::SourceMissing,
            ..
        }
    ));
    assert_eq!(
        (world.on_device(), world.in_store()),
        (Vec::new(), vec![pair("a", "one")])
    );
}

#[test]
fn what_a_failed_batch_did_not_come_to_is_said_to_wait() {
    let world = FakeWorld::with_files(&[("a", b"one"), ("b", b"two")]);
    world.devices.state().fails_at = Some(("fetch", FailureClass::TunnelDown));
    let summary = world.sweep();
    let standing = summary.passes[0].1.standing.as_ref().unwrap();
    assert_eq!(standing.totals, [(Reason::Wait(WaitReason::NotReached), 2, 6)]);
}
